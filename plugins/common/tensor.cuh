// How a kernel reads and writes tensors of any format: FP32 arithmetic, 16 bytes at a time where it can.
#pragma once

#include <cstring>

#include "device.cuh"
#include "format.h"

namespace tweenrt {

// Eight channels of one pixel, in FP32.
struct Eight {
    float value[8];
};

__device__ inline Eight unpack(uint4 packed) {
    Eight out;
    uint32_t const words[4] = {packed.x, packed.y, packed.z, packed.w};
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        __half2 pair;
        memcpy(&pair, &words[i], sizeof pair);
        float2 const two = __half22float2(pair);
        out.value[2 * i] = two.x;
        out.value[2 * i + 1] = two.y;
    }
    return out;
}

__device__ inline uint4 pack(Eight const& eight) {
    uint32_t words[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        __half2 const pair = __floats2half2_rn(eight.value[2 * i], eight.value[2 * i + 1]);
        memcpy(&words[i], &pair, sizeof pair);
    }
    return make_uint4(words[0], words[1], words[2], words[3]);
}

// Zero in every channel at or above `channels`; `first` is the channel of value[0].
__device__ inline void clear_padding(Eight& eight, int first, int channels) {
#pragma unroll
    for (int i = 0; i < 8; ++i)
        if (first + i >= channels) eight.value[i] = 0.0f;
}

__device__ inline float to_float(float value) { return value; }
__device__ inline float to_float(__half value) { return __half2float(value); }

template <class T>
__device__ inline T from_float(float value);
template <>
__device__ inline float from_float<float>(float value) {
    return value;
}
template <>
__device__ inline __half from_float<__half>(float value) {
    return __float2half_rn(value);
}

}  // namespace tweenrt
