// ForwardSplat on the GPU; what it computes is defined by reference.py.
#pragma once

#include <cstddef>

#include "../common/format.h"

namespace tweenrt {

// Bytes of device memory that forward_splat() needs besides its tensors: FP32 sums, [N,H,W,C+1].
size_t forward_splat_workspace(Size size);

// y = x, every pixel moved along its flow and shared among the four pixels around where it lands; the weighted average
// where several land, zero where none does. A pixel whose flow is not finite is lost.
//
//   x, y       [N,C,H,W] in `format`
//   flow       [N,2,H,W] in pixels, x then y, NCHW in `flow_format` (kFloat or kHalf)
//   workspace  forward_splat_workspace(size) bytes, aligned to 4; need not be cleared
//
// The order of the FP32 additions into a pixel is not fixed, so the last bits of y may differ from run to run.
// Reads and writes device memory on `stream` without synchronising; returns what the launches say.
cudaError_t forward_splat(Format format, Format flow_format, Size size, void const* x, void const* flow, void* y,
                          void* workspace, cudaStream_t stream);

}  // namespace tweenrt
