// WarpBlend on the GPU; what it computes is defined by reference.py.
#pragma once

#include "../common/format.h"

namespace tweenrt {

// frame_t = mask * warp(frame0, flow0) + (1 - mask) * warp(frame1, flow1) + residual.
//
//   size               of the frames: N, 3, H, W
//   frame0, frame1     [N,3,H,W] in `format`
//   flow0, flow1       [N,2,H,W] in pixels, x then y, NCHW in `flow_format` (kFloat or kHalf)
//   mask               [N,1,H,W], NCHW in the type of the frames: weight of frame0
//   residual           `residual_size`, each of its sides 1 (repeated) or the frames', NCHW in the type of the frames
//   frame_t            [N,3,H,W] in `format`
//
// Reads and writes device memory on `stream` without synchronising; returns what the launch says.
cudaError_t warp_blend(Format format, Format flow_format, Size size, void const* frame0, void const* frame1,
                       void const* flow0, void const* flow1, void const* mask, void const* residual, Size residual_size,
                       void* frame_t, cudaStream_t stream);

}  // namespace tweenrt
