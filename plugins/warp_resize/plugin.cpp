#include "../common/plugin.h"

#include "kernel.cuh"

namespace tweenrt {

struct WarpResize : OpDefaults {
    static constexpr char const* kName = "WarpResize";
    static constexpr std::array kInputs{Tensor{"x", "NCHW"}, Tensor{"flow", "N2HW"}};
    static constexpr std::array kOutputs{Tensor{"y", "NCHW", kTileOfOp}};
    static constexpr std::array kAttributes{Attribute{"shrink", Attribute::kRequired, 2, INT32_MAX}};
    static constexpr std::array kCombinations{
        std::array{Format::kHalfHwc8, Format::kFloat, Format::kHalfHwc8},
        std::array{Format::kHalfHwc8, Format::kHalf, Format::kHalfHwc8},
        std::array{Format::kHalf, Format::kFloat, Format::kHalf},
        std::array{Format::kHalf, Format::kHalf, Format::kHalf},
        std::array{Format::kFloat, Format::kFloat, Format::kFloat},
        std::array{Format::kFloat, Format::kHalf, Format::kFloat},
    };

    static int32_t tile(int32_t const* attributes) { return attributes[0]; }

    static std::string check(int32_t const* attributes, Letters const& size, std::vector<Dims> const&) {
        int32_t const shrink = attributes[0];
        if (shrink % 2 != 0) return "shrink must be even, got " + std::to_string(shrink);
        for (char const side : {'H', 'W'})
            if (size[side] != kUnknown && size[side] % shrink != 0)
                return std::string("x must have a multiple of shrink = ") + std::to_string(shrink) + " pixels along " +
                       side + ", got " + std::to_string(size[side]);
        return {};
    }

    static cudaError_t run(Call const& call, void*, cudaStream_t stream) {
        Size const size{call.size('N'), call.size('C'), call.size('H'), call.size('W')};
        return warp_resize(call.formats[0], call.formats[1], size, call.attributes[0], call.inputs[0], call.inputs[1],
                           call.outputs[0], stream);
    }
};

}  // namespace tweenrt

TWEENRT_PLUGIN(WarpResize)
