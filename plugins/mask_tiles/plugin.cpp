#include "../common/plugin.h"

#include "kernel.cuh"

namespace tweenrt {

struct MaskTiles : OpDefaults {
    static constexpr char const* kName = "MaskTiles";
    static constexpr std::array kInputs{Tensor{"mask", "N1HW"}};
    static constexpr std::array kOutputs{Tensor{"tiles", "3NHW", kTileSide}};
    static constexpr std::array kCombinations{
        std::array{Format::kHalf, Format::kInt32},
        std::array{Format::kFloat, Format::kInt32},
    };

    static cudaError_t run(Call const& call, void*, cudaStream_t stream) {
        return mask_tiles(call.formats[0], call.size('N'), call.size('H'), call.size('W'), call.inputs[0],
                          static_cast<int*>(call.outputs[0]), stream);
    }
};

}  // namespace tweenrt

TWEENRT_PLUGIN(MaskTiles)
