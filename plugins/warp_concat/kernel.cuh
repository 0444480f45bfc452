// WarpConcat on the GPU; what it computes is defined by reference.py.
#pragma once

#include "../common/format.h"

namespace tweenrt {

// Updates the flow of one decoder level, warps the features of both frames by it, and writes what the decoder sees.
//
//   size                 of feature0: N, C, H, W; H and W are even
//   feature0, feature1   [N,C,H,W] in `format`: features of the earlier and of the later frame
//   feature              [N,features,H,W] in `format`
//   step, flow           [N,4,H,W], NCHW in `flow_format` (kFloat or kHalf): pixels x, y into the earlier frame, then
//                        x, y into the later
//   coarse               [N,4,H/2,W/2] like `step`: the flow of the level before
//   seen                 [N,features+2C+4,H,W] in `format`: (feature, both warps, flow) if `feature_first`, else
//                        (both warps, feature, flow)
//
// Reads and writes device memory on `stream` without synchronising; returns what the launch says.
cudaError_t warp_concat(Format format, Format flow_format, Size size, int features, bool feature_first,
                        void const* feature0, void const* feature1, void const* feature, void const* step,
                        void const* coarse, void* seen, void* flow, cudaStream_t stream);

}  // namespace tweenrt
