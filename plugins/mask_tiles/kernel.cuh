// MaskTiles on the GPU; what it lists is defined by reference.py.
#pragma once

#include "../common/format.h"

namespace tweenrt {

// Lists the 8x8 tiles of a mask: first those with a set pixel, in reading order, then the others.
//
//   mask   [N,1,H,W], not zero where a pixel is set, NCHW in `mask_format` (kFloat or kHalf)
//   tiles  [3,N,ceil(H/8),ceil(W/8)], kInt32: which pixels are set in the upper half of each tile and in the lower one
//          (32 bits each, row by row from bit 0), and the order
//
// Works on device memory on `stream` without synchronising; returns what the launches say.
cudaError_t mask_tiles(Format mask_format, int n, int h, int w, void const* mask, int* tiles, cudaStream_t stream);

}  // namespace tweenrt
