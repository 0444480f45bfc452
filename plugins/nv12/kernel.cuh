// Pictures of video decoders and encoders to RGB and back; what is computed is defined by reference.py.
#pragma once

#include <cuda_runtime_api.h>

#include "../include/tweenrt_plugins.h"

namespace tweenrt {

// See the functions of the same names in tweenrt_plugins.h, which check the request and call these.
cudaError_t nv12_to_rgb(tweenrt_nv12 const& picture, cudaStream_t stream);
cudaError_t rgb_to_nv12(tweenrt_nv12 const& picture, cudaStream_t stream);
cudaError_t sum_blocks(uint8_t const* rgb, size_t pitch, int height, int width, int step, uint32_t* sums,
                       cudaStream_t stream);

}  // namespace tweenrt
