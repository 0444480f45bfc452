#include "../common/plugin.h"

#include "kernel.cuh"

namespace tweenrt {

struct MaskedConv2d : OpDefaults {
    static constexpr char const* kName = "MaskedConv2d";
    static constexpr std::array kInputs{Tensor{"x", "NCHW"},      Tensor{"mask", "N1HW"},
                                        Tensor{"weight", "DC33"}, Tensor{"bias", "D"},
                                        Tensor{"slope", "D"},     Tensor{"tiles", "3NHW", kTileSide}};
    static constexpr std::array kOutputs{Tensor{"y", "NDHW"}};
    static constexpr Format kFloat = Format::kFloat, kHalf = Format::kHalf, kHwc8 = Format::kHalfHwc8,
                            kInt32 = Format::kInt32;
    static constexpr std::array kCombinations{
        std::array{kHwc8, kHalf, kHalf, kHalf, kHalf, kInt32, kHwc8},
        std::array{kHwc8, kFloat, kHalf, kHalf, kHalf, kInt32, kHwc8},
        std::array{kHalf, kHalf, kHalf, kHalf, kHalf, kInt32, kHalf},
        std::array{kHalf, kFloat, kHalf, kHalf, kHalf, kInt32, kHalf},
        std::array{kFloat, kFloat, kFloat, kFloat, kFloat, kInt32, kFloat},
        std::array{kFloat, kHalf, kFloat, kFloat, kFloat, kInt32, kFloat},
    };

    static Size size_of(Call const& call) { return {call.size('N'), call.size('C'), call.size('H'), call.size('W')}; }

    static size_t workspace(Call const& call) {
        return masked_conv2d_workspace(call.formats[0], size_of(call), call.size('D'));
    }

    // The tiles say all of the mask that the kernel needs; the mask itself is for the portable bodies.
    static cudaError_t run(Call const& call, void* workspace, cudaStream_t stream) {
        return masked_conv2d(call.formats[0], size_of(call), call.size('D'), call.inputs[0],
                             static_cast<int const*>(call.inputs[5]), call.inputs[2], call.inputs[3], call.inputs[4],
                             call.outputs[0], workspace, stream);
    }
};

}  // namespace tweenrt

TWEENRT_PLUGIN(MaskedConv2d)
