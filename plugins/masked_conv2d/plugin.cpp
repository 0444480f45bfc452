#include "../common/plugin.h"

#include "kernel.cuh"

namespace tweenrt {

struct MaskedConv2d : OpDefaults {
    static constexpr char const* kName = "MaskedConv2d";
    static constexpr std::array kInputs{Tensor{"x", "NCHW"}, Tensor{"mask", "N1HW"}, Tensor{"weight", "DC33"},
                                        Tensor{"bias", "D"}, Tensor{"slope", "D"}};
    static constexpr std::array kOutputs{Tensor{"y", "NDHW"}};
    static constexpr Format kFloat = Format::kFloat, kHalf = Format::kHalf, kHwc8 = Format::kHalfHwc8;
    static constexpr std::array kCombinations{
        std::array{kHwc8, kHalf, kHalf, kHalf, kHalf, kHwc8},
        std::array{kHwc8, kFloat, kHalf, kHalf, kHalf, kHwc8},
        std::array{kHalf, kHalf, kHalf, kHalf, kHalf, kHalf},
        std::array{kHalf, kFloat, kHalf, kHalf, kHalf, kHalf},
        std::array{kFloat, kFloat, kFloat, kFloat, kFloat, kFloat},
        std::array{kFloat, kHalf, kFloat, kFloat, kFloat, kFloat},
    };

    static Size size_of(Call const& call) { return {call.size('N'), call.size('C'), call.size('H'), call.size('W')}; }

    // The list of tiles comes first, then what the convolution needs, which is aligned to 16 bytes.
    static size_t tiles_bytes(Size size) { return (masked_tiles_bytes(size.n, size.h, size.w) + 15) / 16 * 16; }

    static size_t workspace(Call const& call) {
        Size const size = size_of(call);
        return tiles_bytes(size) + masked_conv2d_workspace(call.formats[0], size, call.size('D'));
    }

    static cudaError_t run(Call const& call, void* workspace, cudaStream_t stream) {
        Size const size = size_of(call);
        cudaError_t const error =
            masked_tiles(call.formats[1], size.n, size.h, size.w, call.inputs[1], workspace, stream);
        if (error != cudaSuccess) return error;
        void* const rest = static_cast<unsigned char*>(workspace) + tiles_bytes(size);
        return masked_conv2d(call.formats[0], size, call.size('D'), call.inputs[0], workspace, call.inputs[2],
                             call.inputs[3], call.inputs[4], call.outputs[0], rest, stream);
    }
};

}  // namespace tweenrt

TWEENRT_PLUGIN(MaskedConv2d)
