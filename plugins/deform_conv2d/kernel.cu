#include "../common/gemm.cuh"
#include "kernel.cuh"

namespace tweenrt {
namespace {

// ---- where to sample

// The two pixels first, first + 1 around a position along one side, and what each counts for: nothing outside.
struct Side {
    int first;
    float weight, weight_next;
};

__device__ inline Side around(float position, int size) {
    // Clamping comes before the conversion to int: offsets may be huge, infinite or NaN (which counts as outside).
    float const p = fminf(fmaxf(position, -1.0f), static_cast<float>(size));
    int const first = max(0, min(static_cast<int>(floorf(p)), size - 2));
    float const from_first = p - static_cast<float>(first);
    return {first, fmaxf(0.0f, 1.0f - fabsf(from_first)),
            size > 1 ? fmaxf(0.0f, 1.0f - fabsf(from_first - 1.0f)) : 0.0f};
}

// One tap of one pixel: the four pixels at index, to its right, below, and below right, and their weights. Where a side
// is one pixel long there is no neighbour; Steps then stay on the same pixel, whose weight there is zero.
struct Sample {
    int index;
    float4 weights;
};

struct Steps {
    int right, down;

    __device__ Steps(int h, int w) : right(w > 1 ? 1 : 0), down(h > 1 ? w : 0) {}
};

__device__ inline float load(void const* values, Format format, size_t index) {
    return format == Format::kHalf ? __half2float(static_cast<__half const*>(values)[index])
                                   : static_cast<float const*>(values)[index];
}

__device__ inline Sample sample_of(Taps const& taps, Size const& size, int image, int group, int tap, int row,
                                   int column) {
    size_t const pixels = static_cast<size_t>(size.h) * size.w, pixel = static_cast<size_t>(row) * size.w + column;
    size_t const plane = (static_cast<size_t>(image) * taps.groups + group) * kTaps + tap;
    Side const down =
        around(row + tap / 3 - 1 + load(taps.offset, taps.offset_format, 2 * plane * pixels + pixel), size.h);
    Side const across =
        around(column + tap % 3 - 1 + load(taps.offset, taps.offset_format, (2 * plane + 1) * pixels + pixel), size.w);
    float const mask = load(taps.mask, taps.mask_format, plane * pixels + pixel);
    float const upper = mask * down.weight, lower = mask * down.weight_next;
    return {down.first * size.w + across.first, make_float4(upper * across.weight, upper * across.weight_next,
                                                            lower * across.weight, lower * across.weight_next)};
}

// ---- FP16 NHWC: tensor cores

// A block takes one tile and 32 outputs for each of kWarps columns of warps, two warps high.
template <int kWarps>
struct Block {
    static constexpr int kThreads = 64 * kWarps;
    static constexpr int kOutputs = 32 * kWarps;
    static constexpr int kChunks = kOutputs / 8;
    static constexpr int kItems = kTilePixels * kDepthChunks / kThreads;  // chunks that a thread samples in one step
    static constexpr int kRows = kTilePixels / kItems;                    // from one of them to the next
};

constexpr int kSamples = kTaps * kTilePixels;        // of one group
constexpr int kMatrix = kTilePixels * kDepthChunks;  // chunks of the left matrix in one step

// Samples of the group at hand and of the next one, in shared memory.
struct Table {
    float4* weights;
    int* indices;

    static constexpr size_t bytes(int groups) {
        return (groups > 1 ? 2 : 1) * kSamples * (sizeof(float4) + sizeof(int));
    }
};

// Eight channels at the four pixels of a sample.
struct Corners {
    uint4 nw, ne, sw, se;
};

// What a thread blends for one step: eight channels under one tap, of kItems pixels.
template <int kItems>
struct Fetched {
    Corners corners[kItems];
    int sample, eight;  // in the table, of the first pixel; which eight channels
    bool exists;        // not beyond the last tap
};

__device__ inline Eight blend(Corners const& corners, float4 weights) {
    Eight const nw = unpack(corners.nw), ne = unpack(corners.ne), sw = unpack(corners.sw), se = unpack(corners.se);
    Eight out;
#pragma unroll
    for (int i = 0; i < 8; ++i)
        out.value[i] =
            weights.x * nw.value[i] + weights.y * ne.value[i] + weights.z * sw.value[i] + weights.w * se.value[i];
    return out;
}

Packing packing_of(int channels, int outputs, int groups) {
    int const columns = outputs > Block<2>::kOutputs ? Block<4>::kOutputs : Block<2>::kOutputs;
    return {channels, outputs, channels / groups, ceil_div(outputs, columns) * columns};
}

// Where a block's tile lies.
struct Tile {
    int image, row, column;

    // Whether a pixel of the tile is one of the image's.
    __device__ bool has(Size const& size, int pixel) const { return y(pixel) < size.h && x(pixel) < size.w; }
    __device__ int y(int pixel) const { return row + pixel / kTileSide; }
    __device__ int x(int pixel) const { return column + pixel % kTileSide; }
};

// Fills the left matrix, one step of kDepth at a time.
template <int kWarps>
struct Sampler {
    using B = Block<kWarps>;
    Size size;
    Packing packing;
    Taps taps;
    Tile tile;
    uint4 const* x;  // of this image
    Table table;

    // Works out the samples of a group. Pixels of the tile outside of the image count for nothing.
    __device__ void prepare(int group) const {
        int const first = group % 2 * kSamples;
#pragma unroll 1
        for (int item = threadIdx.x; item < kSamples; item += B::kThreads) {
            int const pixel = item % kTilePixels;
            Sample sample{0, make_float4(0.0f, 0.0f, 0.0f, 0.0f)};
            if (tile.has(size, pixel))
                sample = sample_of(taps, size, tile.image, group, item / kTilePixels, tile.y(pixel), tile.x(pixel));
            table.weights[first + item] = sample.weights;
            table.indices[first + item] = sample.index;
        }
    }

    // Loads what fill() blends later.
    __device__ Fetched<B::kItems> fetch(int step) const {
        int const group = step / packing.steps_of_group(), eights = packing.slots() / 8;
        int const chunk = step % packing.steps_of_group() * kDepthChunks + threadIdx.x % kDepthChunks;
        int const tap = chunk / eights, pixel = threadIdx.x / kDepthChunks;
        Fetched<B::kItems> out;
        out.exists = tap < kTaps;
        if (!out.exists) return out;
        out.eight = group * eights + chunk % eights;
        out.sample = group % 2 * kSamples + tap * kTilePixels + pixel;
        int const row = padded_channels(size.c) / 8;
        Steps const to(size.h, size.w);
#pragma unroll
        for (int i = 0; i < B::kItems; ++i) {
            size_t const index = table.indices[out.sample + i * B::kRows];
            uint4 const* const nw = x + index * row + out.eight;
            uint4 const* const sw = nw + static_cast<size_t>(to.down) * row;
            out.corners[i] = {nw[0], nw[to.right * row], sw[0], sw[to.right * row]};
        }
        return out;
    }

    __device__ void fill(Fetched<B::kItems> const& fetched, uint4* matrix) const {
#pragma unroll
        for (int i = 0; i < B::kItems; ++i) {
            uint4 packed = make_uint4(0, 0, 0, 0);
            if (fetched.exists) {
                Eight eight = blend(fetched.corners[i], table.weights[fetched.sample + i * B::kRows]);
                if (fetched.eight * 8 + 8 > size.c) clear_padding(eight, fetched.eight * 8, size.c);
                packed = pack(eight);
            }
            matrix[swizzled<kDepthChunks>(threadIdx.x / kDepthChunks + i * B::kRows, threadIdx.x % kDepthChunks)] =
                packed;
        }
    }
};

// Adds one step's product; `depth` of its rows hold something.
template <int kWarps>
__device__ inline void multiply(WarpProduct<32>& product, int depth, uint4 const* matrix, uint4 const* weights) {
    constexpr int kChunks = Block<kWarps>::kChunks;
    int const warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    int const row = warp / kWarps * 32 + lane % 16;
#pragma unroll
    for (int half = 0; half < 2; ++half)
        if (half * 16 < depth)
            product.add<kChunks>(matrix + swizzled<kDepthChunks>(row, 2 * half + lane / 16),
                                 matrix + swizzled<kDepthChunks>(row + 16, 2 * half + lane / 16),
                                 weights + half * 16 * kChunks, warp % kWarps * 4);
}

// All steps. While one is multiplied, the weights of the next arrive and its samples are under way to the registers;
// the samples of the next group are worked out during the first step of a group. `packed`: at the block's first column.
template <int kWarps>
__device__ inline void multiply(WarpProduct<32>& product, Sampler<kWarps> const& sampler, uint4 const* packed,
                                uint4* stages, uint4* matrices) {
    using B = Block<kWarps>;
    constexpr int kStage = kDepth * B::kChunks;
    Packing const& packing = sampler.packing;
    int const row_chunks = packing.columns / 8, steps = packing.steps(), steps_of_group = packing.steps_of_group();
    load_weights<B::kThreads, B::kChunks>(stages, packed, row_chunks);
    copies_commit();
    sampler.prepare(0);
    __syncthreads();
    sampler.fill(sampler.fetch(0), matrices);
    for (int step = 0; step < steps; ++step) {
        copies_wait<0>();
        __syncthreads();
        int const now = step % 2, ahead = step + 1, group = step / steps_of_group, part = step % steps_of_group;
        Fetched<B::kItems> fetched;
        if (ahead < steps) {
            load_weights<B::kThreads, B::kChunks>(
                stages + (1 - now) * kStage, packed + static_cast<size_t>(ahead) * kDepth * row_chunks, row_chunks);
            fetched = sampler.fetch(ahead);
        }
        copies_commit();
        if (part == 0 && group + 1 < sampler.taps.groups) sampler.prepare(group + 1);
        multiply<kWarps>(product, kTaps * packing.slots() - part * kDepth, matrices + now * kMatrix,
                         stages + now * kStage);
        if (ahead < steps) sampler.fill(fetched, matrices + (1 - now) * kMatrix);
    }
}

// Writes the block's outputs. `y`: of this image, at the block's first chunk.
template <int kWarps>
__device__ inline void store(Size const& size, Tile const& tile, int chunks, int row_chunks, uint4 const* staged,
                             uint4* y) {
    using B = Block<kWarps>;
#pragma unroll 2
    for (int i = 0; i < kTilePixels * B::kChunks / B::kThreads; ++i) {
        int const item = threadIdx.x + i * B::kThreads, pixel = item / B::kChunks, chunk = item % B::kChunks;
        if (tile.has(size, pixel) && chunk < chunks)
            y[(static_cast<size_t>(tile.y(pixel)) * size.w + tile.x(pixel)) * row_chunks + chunk] =
                staged[swizzled<B::kChunks>(pixel, chunk)];
    }
}

template <int kWarps>
__global__ void __launch_bounds__(Block<kWarps>::kThreads, 8 / kWarps)
    deform_conv2d_hwc8(Size size, Packing packing, Taps taps, uint4 const* __restrict__ x,
                       uint4 const* __restrict__ packed, float2 const* __restrict__ ends, uint4* __restrict__ y) {
    using B = Block<kWarps>;
    TWEENRT_SHARED(uint4, shared);
    uint4* const matrices = shared + 2 * kDepth * B::kChunks;
    auto* const weights = reinterpret_cast<float4*>(matrices + 2 * kMatrix);
    auto* const indices = reinterpret_cast<int*>(weights + (taps.groups > 1 ? 2 : 1) * kSamples);
    int const image = blockIdx.z % size.n, first_chunk = blockIdx.z / size.n * B::kChunks;
    Tile const tile{image, static_cast<int>(blockIdx.y) * kTileSide, static_cast<int>(blockIdx.x) * kTileSide};
    size_t const pixels = static_cast<size_t>(size.h) * size.w;
    x += image * pixels * (padded_channels(size.c) / 8);
    WarpProduct<32> product;
    multiply<kWarps>(product, Sampler<kWarps>{size, packing, taps, tile, x, {weights, indices}}, packed + first_chunk,
                     shared, matrices);
    __syncthreads();
    int const warp = threadIdx.x / 32;
    product.finish<B::kChunks>(shared, warp / kWarps * 32, warp % kWarps * 4, packing.outputs - first_chunk * 8,
                               ends + first_chunk * 8);
    __syncthreads();
    int const row_chunks = padded_channels(packing.outputs) / 8;
    y += image * pixels * row_chunks + first_chunk;
    store<kWarps>(size, tile, row_chunks - first_chunk, row_chunks, shared, y);
}

template <int kWarps>
cudaError_t convolve(Size size, Packing const& packing, Taps const& taps, void const* x, void* packed, void* y,
                     cudaStream_t stream) {
    using B = Block<kWarps>;
    dim3 const grid(ceil_div(size.w, kTileSide), ceil_div(size.h, kTileSide), size.n * packing.columns / B::kOutputs);
    size_t const shared = 2 * (kDepth * B::kChunks + kMatrix) * sizeof(uint4) + Table::bytes(taps.groups);
    return launch(deform_conv2d_hwc8<kWarps>, grid, dim3(B::kThreads), shared, stream, size, packing, taps,
                  static_cast<uint4 const*>(x), static_cast<uint4 const*>(packing.weights(packed)),
                  packing.ends(packed), static_cast<uint4*>(y));
}

// ---- the other formats: FP32 arithmetic

// How far apart channels and pixels lie in memory, and how many channels each pixel has there.
struct Layout {
    size_t channel, pixel;
    int channels;
};

Layout layout_of(Format format, Size size, int channels) {
    if (format == Format::kHalfHwc8)
        return {1, static_cast<size_t>(padded_channels(channels)), padded_channels(channels)};
    return {static_cast<size_t>(size.h) * size.w, 1, channels};
}

template <class T>
__global__ void __launch_bounds__(plain::kThreads, plain::kBlocks)
    deform_conv2d_plain(Size size, int outputs, Taps taps, Layout from, Layout to, T const* __restrict__ x,
                        T const* __restrict__ weight, T const* __restrict__ bias, T* __restrict__ y) {
    int const image = blockIdx.z % size.n, first_output = blockIdx.z / size.n * plain::kOutputs;
    Tile const tile{image, static_cast<int>(blockIdx.y) * kTileSide, static_cast<int>(blockIdx.x) * kTileSide};
    size_t const pixels = static_cast<size_t>(size.h) * size.w;
    x += image * pixels * from.channels;
    y += image * pixels * to.channels;
    Steps const step(size.h, size.w);
    auto const source = [&](int k, int pixel) {
        if (!tile.has(size, pixel)) return 0.0f;
        int const channel = k / kTaps, group = channel / (size.c / taps.groups);
        Sample const sample = sample_of(taps, size, image, group, k % kTaps, tile.y(pixel), tile.x(pixel));
        T const* const nw = x + channel * from.channel + sample.index * from.pixel;
        T const* const sw = nw + step.down * from.pixel;
        return sample.weights.x * to_float(nw[0]) + sample.weights.y * to_float(nw[step.right * from.pixel]) +
               sample.weights.z * to_float(sw[0]) + sample.weights.w * to_float(sw[step.right * from.pixel]);
    };
    auto const target = [&](int output, int pixel, float sum) {
        if (output >= to.channels || !tile.has(size, pixel)) return;
        y[output * to.channel + (static_cast<size_t>(tile.y(pixel)) * size.w + tile.x(pixel)) * to.pixel] =
            from_float<T>(output < outputs ? sum + to_float(bias[output]) : 0.0f);
    };
    plain::multiply(size.c * kTaps, first_output, outputs, weight, source, target);
}

template <class T>
cudaError_t convolve(Format format, Size size, int outputs, Taps const& taps, void const* x, void const* weight,
                     void const* bias, void* y, cudaStream_t stream) {
    dim3 const grid(ceil_div(size.w, kTileSide), ceil_div(size.h, kTileSide),
                    size.n * ceil_div(outputs, plain::kOutputs));
    return launch(deform_conv2d_plain<T>, grid, dim3(plain::kThreads), plain::kShared, stream, size, outputs, taps,
                  layout_of(format, size, size.c), layout_of(format, size, outputs), static_cast<T const*>(x),
                  static_cast<T const*>(weight), static_cast<T const*>(bias), static_cast<T*>(y));
}

// Whether the tensor cores can do it: chunks of eight channels must not straddle groups.
bool in_chunks(Format format, int channels, int groups) {
    return format == Format::kHalfHwc8 && (groups == 1 || channels / groups % 8 == 0);
}

}  // namespace

size_t deform_conv2d_workspace(Format format, Size size, int outputs, int groups) {
    return in_chunks(format, size.c, groups) ? packing_of(size.c, outputs, groups).bytes() : 0;
}

cudaError_t deform_conv2d(Format format, Size size, int outputs, Taps const& taps, void const* x, void const* weight,
                          void const* bias, void* y, void* workspace, cudaStream_t stream) {
    if (format == Format::kFloat) return convolve<float>(format, size, outputs, taps, x, weight, bias, y, stream);
    if (!in_chunks(format, size.c, taps.groups))
        return convolve<__half>(format, size, outputs, taps, x, weight, bias, y, stream);
    Packing const packing = packing_of(size.c, outputs, taps.groups);
    cudaError_t const error = pack(packing, weight, bias, nullptr, workspace, stream);
    if (error != cudaSuccess) return error;
    return outputs > Block<2>::kOutputs ? convolve<4>(size, packing, taps, x, workspace, y, stream)
                                        : convolve<2>(size, packing, taps, x, workspace, y, stream);
}

}  // namespace tweenrt
