// BackwardWarp on the GPU; what it computes is defined by reference.py.
#pragma once

#include "../common/format.h"

namespace tweenrt {

// y = x sampled at every pixel's position plus its flow.
//
//   x, y   [N,C,H,W] in `format`
//   flow   [N,2,H,W] in pixels, x then y, NCHW in `flow_format` (kFloat or kHalf)
//
// Reads and writes device memory on `stream` without synchronising; returns what the launch says.
cudaError_t backward_warp(Format format, Format flow_format, Size size, Border border, void const* x, void const* flow,
                          void* y, cudaStream_t stream);

}  // namespace tweenrt
