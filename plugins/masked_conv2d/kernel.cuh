// MaskedConv2d on the GPU; what it computes is defined by reference.py.
#pragma once

#include "../common/format.h"

namespace tweenrt {

// Bytes that masked_conv2d needs to work in, for `size.c` input and `outputs` output channels.
size_t masked_conv2d_workspace(Format format, Size size, int outputs);

// y = x convolved 3x3, plus bias, negative values times slope; zero where the mask is not set.
//
//   size               of x
//   x, y               [N,C,H,W], [N,outputs,H,W] in `format`
//   weight             [outputs,C,3,3], linear, of the type of x; so are bias, slope [outputs]
//   tiles              what mask_tiles() wrote, see ../mask_tiles/kernel.cuh
//   workspace          masked_conv2d_workspace() bytes, aligned to 16; null where that is zero
//
// Works on device memory on `stream` without synchronising; returns what the launches say.
cudaError_t masked_conv2d(Format format, Size size, int outputs, void const* x, int const* tiles, void const* weight,
                          void const* bias, void const* slope, void* y, void* workspace, cudaStream_t stream);

}  // namespace tweenrt
