// WarpResize on the GPU; what it computes is defined by reference.py.
#pragma once

#include "../common/format.h"

namespace tweenrt {

// y = x sampled at every pixel's position plus its flow, resized bilinearly by 1 / shrink.
//
//   size   of x: N, C, H, W; H and W multiples of `shrink`, which is even
//   x      [N,C,H,W] in `format`
//   flow   [N,2,H,W] in pixels of x, x then y, NCHW in `flow_format` (kFloat or kHalf)
//   y      [N,C,H/shrink,W/shrink] in `format`
//
// Reads and writes device memory on `stream` without synchronising; returns what the launch says.
cudaError_t warp_resize(Format format, Format flow_format, Size size, int shrink, void const* x, void const* flow,
                        void* y, cudaStream_t stream);

}  // namespace tweenrt
