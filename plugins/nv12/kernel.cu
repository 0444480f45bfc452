#include "../common/tensor.cuh"
#include "kernel.cuh"

namespace tweenrt {
namespace {

constexpr int kTileColumns = 32, kTileRows = 8;  // of a block's tile: a warp takes a row of it
constexpr int kThreads = kTileColumns * kTileRows;
constexpr int kColours = 3;
constexpr float kPeak = 255.0f;

// The cubic of Keys with a = -0.6 at distances of 1/4, 3/4, 5/4 and 7/4 samples.
constexpr float kNear = 0.871875f, kNext = 0.240625f, kFar = -0.084375f, kFarthest = -0.028125f;

// Four neighbouring samples along one side, and how much of each.
struct Four {
    int first;
    float weight[4];
};

// Pixels lie a quarter of a chroma sample before (even) and behind (odd) the one that they share.
__device__ Four around(int pixel) {
    int const sample = pixel / 2;
    if (pixel % 2 == 0) return {sample - 2, {kFarthest, kNext, kNear, kFar}};
    return {sample - 1, {kFar, kNear, kNext, kFarthest}};
}

__device__ int inside(int place, int size) { return min(max(place, 0), size - 1); }

// NaN becomes 0; rintf rounds half to even.
__device__ uint8_t to_byte(float value) { return static_cast<uint8_t>(rintf(fminf(fmaxf(value, 0.0f), kPeak))); }

// Row `row` of matrix * (x, y, z) + offset.
__device__ float changed(tweenrt_nv12 const& picture, int row, float x, float y, float z) {
    float const* const factors = picture.matrix + 3 * row;
    return factors[0] * x + factors[1] * y + factors[2] * z + picture.offset[row];
}

// Cb and Cr at a pixel, of the 4 x 4 samples around it.
__device__ float2 chroma_at(tweenrt_nv12 const& picture, int row, int column) {
    Four const down = around(row), across = around(column);
    float2 sum{0.0f, 0.0f};
#pragma unroll
    for (int j = 0; j < 4; ++j) {
        uint8_t const* const line = picture.chroma + picture.pitch_chroma * inside(down.first + j, picture.height / 2);
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            int const at = 2 * inside(across.first + i, picture.width / 2);
            float const weight = down.weight[j] * across.weight[i];
            sum.x += weight * line[at];
            sum.y += weight * line[at + 1];
        }
    }
    return sum;
}

// One thread takes one pixel.
__global__ void __launch_bounds__(kThreads) to_rgb(tweenrt_nv12 picture) {
    int const column = blockIdx.x * kTileColumns + threadIdx.x % kTileColumns;
    int const row = blockIdx.y * kTileRows + threadIdx.x / kTileColumns;
    if (column >= picture.width || row >= picture.height) return;
    float const luma = picture.luma[picture.pitch_luma * row + column];
    float2 const chroma = chroma_at(picture, row, column);
    uint8_t* const out = picture.rgb + picture.pitch_rgb * row + kColours * column;
#pragma unroll
    for (int c = 0; c < kColours; ++c) out[c] = to_byte(changed(picture, c, luma, chroma.x, chroma.y));
}

// Red, green and blue where a chroma sample lies, between its four pixels, of the 8 x 8 pixels around it.
__device__ float3 colour_at(tweenrt_nv12 const& picture, int row, int column) {
    float const weights[8] = {kFarthest, kFar, kNext, kNear, kNear, kNext, kFar, kFarthest};
    float3 sum{0.0f, 0.0f, 0.0f};
    for (int j = 0; j < 8; ++j) {
        uint8_t const* const line = picture.rgb + picture.pitch_rgb * inside(2 * row - 3 + j, picture.height);
#pragma unroll
        for (int i = 0; i < 8; ++i) {
            uint8_t const* const pixel = line + kColours * inside(2 * column - 3 + i, picture.width);
            float const weight = 0.25f * weights[j] * weights[i];
            sum.x += weight * pixel[0];
            sum.y += weight * pixel[1];
            sum.z += weight * pixel[2];
        }
    }
    return sum;
}

// One thread takes one chroma sample and its four pixels.
__global__ void __launch_bounds__(kThreads) to_nv12(tweenrt_nv12 picture) {
    int const column = blockIdx.x * kTileColumns + threadIdx.x % kTileColumns;
    int const row = blockIdx.y * kTileRows + threadIdx.x / kTileColumns;
    if (column >= picture.width / 2 || row >= picture.height / 2) return;
    for (int k = 0; k < 4; ++k) {
        int const y = 2 * row + k / 2, x = 2 * column + k % 2;
        uint8_t const* const pixel = picture.rgb + picture.pitch_rgb * y + kColours * x;
        picture.luma[picture.pitch_luma * y + x] = to_byte(changed(picture, 0, pixel[0], pixel[1], pixel[2]));
    }
    float3 const colour = colour_at(picture, row, column);
    uint8_t* const out = picture.chroma + picture.pitch_chroma * row + 2 * column;
    out[0] = to_byte(changed(picture, 1, colour.x, colour.y, colour.z));
    out[1] = to_byte(changed(picture, 2, colour.x, colour.y, colour.z));
}

// One thread takes one colour of one block of step x step pixels.
__global__ void __launch_bounds__(kThreads)
    sum_up(uint8_t const* __restrict__ rgb, size_t pitch, int across, int step, uint32_t* sums) {
    int const place = blockIdx.x * kThreads + threadIdx.x, colour = place % kColours, column = place / kColours;
    int const row = blockIdx.y;
    if (column >= across) return;
    uint32_t sum = 0;
    for (int j = 0; j < step; ++j) {
        uint8_t const* const line = rgb + pitch * (step * row + j) + static_cast<size_t>(kColours) * step * column;
        for (int i = 0; i < step; ++i) sum += line[kColours * i + colour];
    }
    sums[(static_cast<size_t>(row) * across + column) * kColours + colour] = sum;
}

dim3 tiles(int height, int width) { return dim3(ceil_div(width, kTileColumns), ceil_div(height, kTileRows)); }

}  // namespace

cudaError_t nv12_to_rgb(tweenrt_nv12 const& picture, cudaStream_t stream) {
    return launch(to_rgb, tiles(picture.height, picture.width), dim3(kThreads), 0, stream, picture);
}

cudaError_t rgb_to_nv12(tweenrt_nv12 const& picture, cudaStream_t stream) {
    return launch(to_nv12, tiles(picture.height / 2, picture.width / 2), dim3(kThreads), 0, stream, picture);
}

cudaError_t sum_blocks(uint8_t const* rgb, size_t pitch, int height, int width, int step, uint32_t* sums,
                       cudaStream_t stream) {
    int const down = height / step, across = width / step;
    dim3 const grid(ceil_div(kColours * across, kThreads), down);
    return launch(sum_up, grid, dim3(kThreads), 0, stream, rgb, pitch, across, step, sums);
}

}  // namespace tweenrt
