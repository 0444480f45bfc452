#include "../common/plugin.h"

#include "kernel.cuh"

namespace tweenrt {

struct ForwardSplat : OpDefaults {
    static constexpr char const* kName = "ForwardSplat";
    static constexpr std::array kInputs{Tensor{"x", "NCHW"}, Tensor{"flow", "N2HW"}};
    static constexpr std::array kOutputs{Tensor{"y", "NCHW"}};
    static constexpr std::array kCombinations{
        std::array{Format::kHalfHwc8, Format::kFloat, Format::kHalfHwc8},
        std::array{Format::kHalfHwc8, Format::kHalf, Format::kHalfHwc8},
        std::array{Format::kHalf, Format::kFloat, Format::kHalf},
        std::array{Format::kHalf, Format::kHalf, Format::kHalf},
        std::array{Format::kFloat, Format::kFloat, Format::kFloat},
        std::array{Format::kFloat, Format::kHalf, Format::kFloat},
    };

    static Size size(Call const& call) { return {call.size('N'), call.size('C'), call.size('H'), call.size('W')}; }

    static size_t workspace(Call const& call) { return forward_splat_workspace(size(call)); }

    static cudaError_t run(Call const& call, void* workspace, cudaStream_t stream) {
        return forward_splat(call.formats[0], call.formats[1], size(call), call.inputs[0], call.inputs[1],
                             call.outputs[0], workspace, stream);
    }
};

}  // namespace tweenrt

TWEENRT_PLUGIN(ForwardSplat)
