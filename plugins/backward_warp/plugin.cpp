#include "../common/plugin.h"
#include "kernel.cuh"

namespace tweenrt {

struct BackwardWarp : OpDefaults {
    static constexpr char const* kName = "BackwardWarp";
    static constexpr std::array kInputs{Tensor{"x", "NCHW"}, Tensor{"flow", "N2HW"}};
    static constexpr std::array kOutputs{Tensor{"y", "NCHW"}};
    static constexpr std::array kAttributes{Attribute{"padding", 0, 0, 0, {"border", "zeros"}}};
    static constexpr std::array kCombinations{
        std::array{Format::kHalfHwc8, Format::kFloat, Format::kHalfHwc8},
        std::array{Format::kHalfHwc8, Format::kHalf, Format::kHalfHwc8},
        std::array{Format::kHalf, Format::kFloat, Format::kHalf},
        std::array{Format::kHalf, Format::kHalf, Format::kHalf},
        std::array{Format::kFloat, Format::kFloat, Format::kFloat},
        std::array{Format::kFloat, Format::kHalf, Format::kFloat},
    };

    static cudaError_t run(Call const& call, void*, cudaStream_t stream) {
        Size const size{call.size('N'), call.size('C'), call.size('H'), call.size('W')};
        return backward_warp(call.formats[0], call.formats[1], size, static_cast<Border>(call.attributes[0]),
                             call.inputs[0], call.inputs[1], call.outputs[0], stream);
    }
};

}  // namespace tweenrt

TWEENRT_PLUGIN(BackwardWarp)
