// How tensors lie in memory: what kernels and the code that calls them agree on. No device code here.
#pragma once

#include <cuda_runtime_api.h>

namespace tweenrt {

// Types and layouts that kernels take, named as TensorRT does.
enum class Format : int {
    kFloat = 0,     // FP32 NCHW
    kHalf = 1,      // FP16 NCHW
    kHalfHwc8 = 2,  // FP16 NHWC, channels padded to a multiple of 8; nothing may be assumed of the padding
    kInt32 = 3,     // INT32, linear
};

// Sizes of a batch of images or feature maps.
struct Size {
    int n, c, h, w;
};

// Where samples outside of an image come from.
enum class Border : int {
    kEdge = 0,   // the nearest pixel inside
    kZeros = 1,  // zero
};

constexpr int kTileSide = 8;  // of a compact tile of pixels: taps of neighbouring pixels share cache lines

__host__ __device__ constexpr int ceil_div(int a, int b) { return (a + b - 1) / b; }

// Channels in memory of a kHWC8 tensor with `channels` channels.
__host__ __device__ constexpr int padded_channels(int channels) { return (channels + 7) / 8 * 8; }

}  // namespace tweenrt
