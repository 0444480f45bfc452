// DeformConv2d on the GPU; what it computes is defined by reference.py.
#pragma once

#include "../common/format.h"

namespace tweenrt {

// Where the taps lie and what they count for, NCHW each in a format of its own (kFloat or kHalf).
struct Taps {
    int groups;  // of channels that share taps: they divide the channels of x
    Format offset_format, mask_format;
    void const* offset;  // [N,groups*18,H,W] in pixels: per group and tap, row by row, y then x
    void const* mask;    // [N,groups*9,H,W]
};

// Bytes that deform_conv2d needs to work in, for `size.c` input and `outputs` output channels.
size_t deform_conv2d_workspace(Format format, Size size, int outputs, int groups);

// y = a 3x3 convolution of x whose taps are moved and weighted at every pixel, plus bias. Outside of x lies zero.
//
//   size       of x
//   x, y       [N,C,H,W], [N,outputs,H,W] in `format`
//   weight     [outputs,C,3,3], linear, of the type of x; so is bias [outputs]
//   workspace  deform_conv2d_workspace() bytes, aligned to 16; null where that is zero
//
// Works on device memory on `stream` without synchronising; returns what the launches say.
cudaError_t deform_conv2d(Format format, Size size, int outputs, Taps const& taps, void const* x, void const* weight,
                          void const* bias, void* y, void* workspace, cudaStream_t stream);

}  // namespace tweenrt
