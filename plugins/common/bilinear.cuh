// Bilinear sampling at a position in pixels: which four pixels, with which weights, and their blend. FP32 throughout:
// FP16 cannot address pixels beyond 2048.
#pragma once

#include "device.cuh"
#include "format.h"
#include "tensor.cuh"

namespace tweenrt {

// The two pixels around a position along one side, and what each counts for.
struct Pair {
    int first, second;          // always inside
    float weight, weight_next;  // 0 where the pixel itself lies outside and outside is zero
};

// Along a side of `size` pixels. A side of one pixel is that pixel wherever the position is, as in the reference.
template <Border kBorder>
__device__ inline Pair neighbours(float position, int size) {
    float const last = static_cast<float>(size - 1);
    // Clamping comes before any conversion to int: flows may be huge, infinite or NaN (which becomes the lower bound).
    float const slack = kBorder == Border::kZeros && size > 1 ? 1.0f : 0.0f;
    float const p = fminf(fmaxf(position, -slack), last + slack);
    float const floor_p = floorf(p);
    int const first = static_cast<int>(floor_p);
    float const share = p - floor_p;
    Pair out{first, first + 1, 1.0f - share, share};
    if (out.first < 0 || out.first >= size) {
        out.first = out.first < 0 ? 0 : size - 1;
        out.weight = 0.0f;
    }
    if (out.second >= size) {
        out.second = size - 1;
        out.weight_next = 0.0f;
    }
    return out;
}

// The four pixels around a position, as places in a plane, and what each counts for.
struct alignas(16) Corners {
    int nw, ne, sw, se;
    float weight_nw, weight_ne, weight_sw, weight_se;
};

__device__ inline Corners corners(Pair across, Pair down, int width) {
    return {down.first * width + across.first,  down.first * width + across.second,
            down.second * width + across.first, down.second * width + across.second,
            down.weight * across.weight,        down.weight * across.weight_next,
            down.weight_next * across.weight,   down.weight_next * across.weight_next};
}

// Around column x, row y of a plane of height x width.
template <Border kBorder>
__device__ inline Corners corners(float x, float y, int height, int width) {
    return corners(neighbours<kBorder>(x, width), neighbours<kBorder>(y, height), width);
}

__device__ inline float blend(Corners const& at, float nw, float ne, float sw, float se) {
    return at.weight_nw * nw + at.weight_ne * ne + at.weight_sw * sw + at.weight_se * se;
}

// One channel, whose pixels lie `stride` elements apart.
template <class T>
__device__ inline float sample(T const* channel, int stride, Corners const& at) {
    return blend(at, to_float(channel[static_cast<size_t>(at.nw) * stride]),
                 to_float(channel[static_cast<size_t>(at.ne) * stride]),
                 to_float(channel[static_cast<size_t>(at.sw) * stride]),
                 to_float(channel[static_cast<size_t>(at.se) * stride]));
}

// Eight channels of a kHWC8 image with `groups` groups of eight: four 16-byte loads.
__device__ inline Eight sample(uint4 const* image, int groups, int group, Corners const& at) {
    uint4 const packed[4] = {
        image[static_cast<size_t>(at.nw) * groups + group], image[static_cast<size_t>(at.ne) * groups + group],
        image[static_cast<size_t>(at.sw) * groups + group], image[static_cast<size_t>(at.se) * groups + group]};
    Eight const nw = unpack(packed[0]), ne = unpack(packed[1]), sw = unpack(packed[2]), se = unpack(packed[3]);
    Eight out;
#pragma unroll
    for (int i = 0; i < 8; ++i) out.value[i] = blend(at, nw.value[i], ne.value[i], sw.value[i], se.value[i]);
    return out;
}

}  // namespace tweenrt
