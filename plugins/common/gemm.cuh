// Convolution as a matrix product: rows are the pixels of 8x8 tiles, columns are output channels, the inner dimension
// is (group of channels, tap, channel). Ops differ in how they fill the left matrix; what they share is here: the
// layout of matrices in shared memory, the tensor-core product of a warp, the packed weights, the end of a tile, and a
// plain FP32 product for tensors that are not FP16 NHWC.
#pragma once

#include "tensor.cuh"

namespace tweenrt {

constexpr int kTaps = 9;                            // of a 3x3 kernel, row by row
constexpr int kTilePixels = kTileSide * kTileSide;  // rows of the product for one tile, row by row
constexpr int kDepth = 32;                          // of the inner dimension, what one step multiplies
constexpr int kDepthChunks = kDepth / 8;

// Where 16-byte chunk `chunk` of `row` lies in a matrix with kChunks chunks a row. Eight consecutive rows put the same
// chunk into eight different groups of four banks, so ldmatrix and 16-byte stores never wait for a bank.
template <int kChunks>
__device__ inline int swizzled(int row, int chunk) {
    static_assert(kChunks == 4 || kChunks % 8 == 0, "rows share lines of 128 bytes, or fill whole ones");
    constexpr int kRowsOfLine = kChunks == 4 ? 2 : 1;
    constexpr int kMask = kChunks == 4 ? 3 : 7;
    return row * kChunks + (chunk ^ (row / kRowsOfLine & kMask));
}

// Sums of one warp: 32 rows by kColumns columns, FP32.
template <int kColumns>
struct WarpProduct {
    float sum[2][kColumns / 8][4];

    __device__ WarpProduct() {
#pragma unroll
        for (int i = 0; i < 2; ++i)
#pragma unroll
            for (int j = 0; j < kColumns / 8; ++j)
#pragma unroll
                for (int k = 0; k < 4; ++k) sum[i][j][k] = 0.0f;
    }

    // Adds the product over a depth of 16. `upper`, `lower`: this lane's row (lane % 16) of the first and the last 16
    // rows, its chunk (lane / 16). `weights`: 16 rows of kChunks chunks; the warp's columns begin at `first_chunk`, a
    // multiple of kColumns / 8.
    template <int kChunks>
    __device__ void add(uint4 const* upper, uint4 const* lower, uint4 const* weights, int first_chunk) {
        int const lane = threadIdx.x % 32;
        uint32_t a[2][4];
        load_matrices(a[0], upper);
        load_matrices(a[1], lower);
        uint4 const* const row = weights + lane % 16 * kChunks;
        int const start = (first_chunk + lane / 16) ^ (lane % 8);
#pragma unroll
        for (int pair = 0; pair < kColumns / 16; ++pair) {
            uint32_t b[4];
            load_matrices_transposed(b, row + (start ^ (2 * pair)));
            uint32_t const left[2] = {b[0], b[1]}, right[2] = {b[2], b[3]};
#pragma unroll
            for (int i = 0; i < 2; ++i) {
                multiply_add(sum[i][2 * pair], a[i], left);
                multiply_add(sum[i][2 * pair + 1], a[i], right);
            }
        }
    }

    // Adds the bias, scales negative values by the slope, rounds, and puts the warp's rows into the swizzled matrix
    // `staged`. Columns at or above `outputs` become zero. `ends`: of the block's first column.
    template <int kChunks>
    __device__ void finish(uint4* staged, int first_row, int first_chunk, int outputs, float2 const* ends) const {
        int const lane = threadIdx.x % 32;
#pragma unroll
        for (int j = 0; j < kColumns / 8; ++j) {
            int const column = (first_chunk + j) * 8 + lane % 4 * 2;
            float2 const end = ends[column], next_end = ends[column + 1];
            uint32_t const exists = column + 1 < outputs ? 0xffffffffu : column < outputs ? 0x0000ffffu : 0u;
#pragma unroll
            for (int part = 0; part < 4; ++part) {
                float const first = sum[part / 2][j][part % 2 * 2] + end.x;
                float const second = sum[part / 2][j][part % 2 * 2 + 1] + next_end.x;
                __half2 const rounded = __floats2half2_rn(first < 0.0f ? first * end.y : first,
                                                          second < 0.0f ? second * next_end.y : second);
                uint32_t word;
                memcpy(&word, &rounded, sizeof word);
                word &= exists;
                int const row = first_row + part * 8 + lane / 4;
                auto* const words = reinterpret_cast<uint32_t*>(staged + swizzled<kChunks>(row, first_chunk + j));
                memcpy(words + lane % 4, &word, sizeof word);
            }
        }
    }
};

// Weights as the product reads them: FP16 [steps * kDepth][columns], where the inner dimension of each group of
// `group_channels` channels is (tap, channel), channels padded to a multiple of 8 and the group to one of kDepth.
// Before them lie the bias and the slope of every column, FP32.
struct Packing {
    int channels, outputs, group_channels, columns;

    __host__ __device__ int groups() const { return ceil_div(channels, group_channels); }
    __host__ __device__ int slots() const { return padded_channels(group_channels); }  // rows of one tap
    __host__ __device__ int steps_of_group() const { return ceil_div(kTaps * slots(), kDepth); }
    __host__ __device__ int steps() const { return groups() * steps_of_group(); }
    size_t bytes() const {
        return columns * sizeof(float2) + static_cast<size_t>(steps()) * kDepth * columns * sizeof(__half);
    }

    float2* ends(void* packed) const { return static_cast<float2*>(packed); }
    void* weights(void* packed) const { return ends(packed) + columns; }
};

namespace {

constexpr int kPackThreads = 128;

// One thread packs the nine taps of one channel and one output. `weight`: [outputs, channels, 3, 3]; `slope`: null
// for 1.
__global__ void __launch_bounds__(kPackThreads)
    pack_weights(Packing packing, __half const* __restrict__ weight, __half const* __restrict__ bias,
                 __half const* __restrict__ slope, float2* __restrict__ ends, __half* __restrict__ packed) {
    int const column = blockIdx.x * kPackThreads + threadIdx.x;
    if (column >= packing.columns) return;
    bool const wanted = column < packing.outputs;
    if (blockIdx.y == 0)
        ends[column] = make_float2(wanted ? __half2float(bias[column]) : 0.0f,
                                   wanted && slope ? __half2float(slope[column]) : 1.0f);
    int const slots = packing.slots(), rows = packing.steps_of_group() * kDepth;
    int const group = blockIdx.y / slots, slot = blockIdx.y % slots;
    int const channel = group * packing.group_channels + slot;
    bool const exists = wanted && slot < packing.group_channels && channel < packing.channels;
    __half const* const nine = weight + (static_cast<size_t>(column) * packing.channels + channel) * kTaps;
    packed += static_cast<size_t>(group) * rows * packing.columns + column;
    for (int row = slot, tap = 0; row < rows; row += slots, ++tap)
        packed[static_cast<size_t>(row) * packing.columns] = exists && tap < kTaps ? nine[tap] : __float2half_rn(0.0f);
}

// Packs FP16 weights, bias and slope (null for 1 everywhere) into packing.bytes() at `packed`, aligned to 16.
cudaError_t pack(Packing const& packing, void const* weight, void const* bias, void const* slope, void* packed,
                 cudaStream_t stream) {
    dim3 const grid(ceil_div(packing.columns, kPackThreads), packing.groups() * packing.slots());
    return launch(pack_weights, grid, dim3(kPackThreads), 0, stream, packing, static_cast<__half const*>(weight),
                  static_cast<__half const*>(bias), static_cast<__half const*>(slope), packing.ends(packed),
                  static_cast<__half*>(packing.weights(packed)));
}

}  // namespace

// Starts the copies of one step's weights into the swizzled matrix `stage`. `packed`: the step's first row, at the
// block's first column; `row_chunks`: from row to row.
template <int kThreads, int kChunks>
__device__ inline void load_weights(uint4* stage, uint4 const* packed, int row_chunks) {
#pragma unroll
    for (int i = 0; i < kDepth * kChunks / kThreads; ++i) {
        int const item = threadIdx.x + i * kThreads, row = item / kChunks, chunk = item % kChunks;
        copy_16_bytes(stage + swizzled<kChunks>(row, chunk), packed + row * row_chunks + chunk, true);
    }
}

// A product without tensor cores, FP32 throughout: 64 pixels by 64 outputs a block, 4 by 4 a thread.
namespace plain {

constexpr int kThreads = 256;
constexpr int kOutputs = 64;
constexpr int kSlice = 16;
constexpr int kBlocks = 3;            // at once on a multiprocessor: leaves a thread 80 registers
constexpr int kPitch = kOutputs + 2;  // 16 neighbouring k of one output lie in different banks
constexpr size_t kShared = kSlice * (kTilePixels + kPitch) * sizeof(float);

// `source(k, pixel)`: the left matrix, k = channel * 9 + tap. `target(output, pixel, sum)` takes the results.
// `weight`: [outputs, depth].
template <class T, class Source, class Target>
__device__ inline void multiply(int depth, int first_output, int outputs, T const* __restrict__ weight, Source source,
                                Target target) {
    TWEENRT_SHARED(float, shared);
    float* const left = shared;
    float* const right = shared + kSlice * kTilePixels;
    int const column = threadIdx.x % 16, row = threadIdx.x / 16;
    float sum[4][4] = {};
    for (int first = 0; first < depth; first += kSlice) {
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            int const k = threadIdx.x / kTilePixels + 4 * i, pixel = threadIdx.x % kTilePixels;
            left[k * kTilePixels + pixel] = first + k < depth ? source(first + k, pixel) : 0.0f;
            int const output = first_output + row + 16 * i;
            right[column * kPitch + row + 16 * i] =
                first + column < depth && output < outputs
                    ? to_float(weight[static_cast<size_t>(output) * depth + first + column])
                    : 0.0f;
        }
        __syncthreads();
#pragma unroll
        for (int k = 0; k < kSlice; ++k)
#pragma unroll
            for (int j = 0; j < 4; ++j)
#pragma unroll
                for (int i = 0; i < 4; ++i)
                    sum[j][i] += left[k * kTilePixels + column + 16 * i] * right[k * kPitch + row + 16 * j];
        __syncthreads();
    }
#pragma unroll
    for (int j = 0; j < 4; ++j)
#pragma unroll
        for (int i = 0; i < 4; ++i) target(first_output + row + 16 * j, column + 16 * i, sum[j][i]);
}

}  // namespace plain
}  // namespace tweenrt
