#include "../common/plugin.h"

#include <utility>

#include "kernel.cuh"

namespace tweenrt {
namespace {

// Formats of (feature0, feature1, feature, step, coarse, seen, flow).
constexpr std::array<Format, 7> combination(Format features, Format flow) {
    return {features, features, features, flow, flow, features, flow};
}

}  // namespace

struct WarpConcat : OpDefaults {
    static constexpr char const* kName = "WarpConcat";
    static constexpr std::array kInputs{Tensor{"feature0", "NCHW"}, Tensor{"feature1", "NCHW"},
                                        Tensor{"feature", "NFHW"}, Tensor{"step", "N4HW"}, Tensor{"coarse", "N4hw"}};
    static constexpr std::array kOutputs{Tensor{"seen", "N*HW"}, Tensor{"flow", "N4HW"}};
    static constexpr std::array kAttributes{Attribute{"feature_first", 1, 0, 1}};
    static constexpr std::array kCombinations{
        combination(Format::kHalfHwc8, Format::kFloat), combination(Format::kHalfHwc8, Format::kHalf),
        combination(Format::kHalf, Format::kFloat),     combination(Format::kHalf, Format::kHalf),
        combination(Format::kFloat, Format::kFloat),    combination(Format::kFloat, Format::kHalf),
    };

    static int64_t channels(int32_t const*, Letters const& size) { return size['F'] + 2 * size['C'] + 4; }

    static std::string check(int32_t const*, Letters const& size, std::vector<Dims> const&) {
        if (!size.known("CF")) return "the channels of feature0, feature1 and feature must be fixed numbers";
        for (auto const& [whole, half] : {std::pair{'H', 'h'}, std::pair{'W', 'w'}})
            if (size[whole] != kUnknown && size[half] != kUnknown && size[whole] != 2 * size[half])
                return std::string("coarse must have half the size of step along ") + whole + ", got " +
                       std::to_string(size[half]) + " for " + std::to_string(size[whole]);
        return {};
    }

    static cudaError_t run(Call const& call, void*, cudaStream_t stream) {
        Size const size{call.size('N'), call.size('C'), call.size('H'), call.size('W')};
        return warp_concat(call.formats[0], call.formats[3], size, call.size('F'), call.attributes[0] != 0,
                           call.inputs[0], call.inputs[1], call.inputs[2], call.inputs[3], call.inputs[4],
                           call.outputs[0], call.outputs[1], stream);
    }
};

}  // namespace tweenrt

TWEENRT_PLUGIN(WarpConcat)
