// MaskedConv2d on the GPU; what it computes is defined by reference.py.
#pragma once

#include "../common/format.h"

namespace tweenrt {

// Bytes of the list of 8x8 tiles of `n` masks of h x w pixels.
size_t masked_tiles_bytes(int n, int h, int w);

// Lists the tiles of a mask: first those with a set pixel, in reading order, then the others. Every layer that has this
// mask can share the list.
//
//   mask   [N,1,H,W], not zero where a pixel is set, NCHW in `mask_format` (kFloat or kHalf)
//   tiles  masked_tiles_bytes(), aligned to 8 bytes: which pixels are set in every tile (64 bits each), then the order
//          (32 bits each)
//
// Works on device memory on `stream` without synchronising; returns what the launches say.
cudaError_t masked_tiles(Format mask_format, int n, int h, int w, void const* mask, void* tiles, cudaStream_t stream);

// Bytes that masked_conv2d needs to work in, for `size.c` input and `outputs` output channels.
size_t masked_conv2d_workspace(Format format, Size size, int outputs);

// y = x convolved 3x3, plus bias, negative values times slope; zero where the mask is not set.
//
//   size               of x
//   x, y               [N,C,H,W], [N,outputs,H,W] in `format`
//   weight             [outputs,C,3,3], linear, of the type of x; so are bias, slope [outputs]
//   tiles              what masked_tiles() wrote
//   workspace          masked_conv2d_workspace() bytes, aligned to 16; null where that is zero
//
// Works on device memory on `stream` without synchronising; returns what the launches say.
cudaError_t masked_conv2d(Format format, Size size, int outputs, void const* x, void const* tiles, void const* weight,
                          void const* bias, void const* slope, void* y, void* workspace, cudaStream_t stream);

}  // namespace tweenrt
