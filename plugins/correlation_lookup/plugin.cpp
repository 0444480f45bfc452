#include "../common/plugin.h"

#include "kernel.cuh"

namespace tweenrt {

struct CorrelationLookup : OpDefaults {
    static constexpr char const* kName = "CorrelationLookup";
    static constexpr std::array kInputs{Tensor{"corr", "Q1hw"}, Tensor{"coords", "B2HW"}};
    static constexpr std::array kOutputs{Tensor{"y", "B*HW"}};
    static constexpr std::array kAttributes{Attribute{"radius", Attribute::kRequired, 0, kMaxLookupRadius}};
    // The maps are always planes: a window of one query's map lies in few rows, and there is one channel.
    static constexpr std::array kCombinations{
        std::array{Format::kHalf, Format::kFloat, Format::kHalfHwc8},
        std::array{Format::kHalf, Format::kHalf, Format::kHalfHwc8},
        std::array{Format::kHalf, Format::kFloat, Format::kHalf},
        std::array{Format::kHalf, Format::kHalf, Format::kHalf},
        std::array{Format::kFloat, Format::kFloat, Format::kFloat},
        std::array{Format::kFloat, Format::kHalf, Format::kFloat},
    };

    static int64_t channels(int32_t const* attributes, Letters const&) {
        int64_t const side = 2 * attributes[0] + 1;
        return side * side;
    }

    static std::string check(int32_t const*, Letters const& size, std::vector<Dims> const&) {
        if (!size.known("QBHW") || size['Q'] == size['B'] * size['H'] * size['W']) return {};
        return "corr must hold one map for each of the " + std::to_string(size['B'] * size['H'] * size['W']) +
               " pixels of coords, got " + std::to_string(size['Q']);
    }

    static cudaError_t run(Call const& call, void*, cudaStream_t stream) {
        LookupSize const size{call.size('B'), call.size('H'), call.size('W'),
                              call.size('h'), call.size('w'), call.attributes[0]};
        return correlation_lookup(call.formats[2], call.formats[1], size, call.inputs[0], call.inputs[1],
                                  call.outputs[0], stream);
    }
};

}  // namespace tweenrt

TWEENRT_PLUGIN(CorrelationLookup)
