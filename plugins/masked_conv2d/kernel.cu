#include "../common/gemm.cuh"
#include "../mask_tiles/tiles.cuh"
#include "kernel.cuh"

namespace tweenrt {
namespace {

// ---- FP16 NHWC: tensor cores

constexpr int kTiles = 2;  // of a block: twice the pixels for the same weights
constexpr int kPixels = kTiles * kTilePixels;
constexpr int kOutputs = 64;  // of a block
constexpr int kChunks = kOutputs / 8;
constexpr int kThreads = 128;  // each warp: half a tile, all outputs
constexpr int kHaloSide = kTileSide + 2;
constexpr int kHalo = kHaloSide * kHaloSide;
constexpr int kHaloItems = kTiles * kHalo * kDepthChunks;
constexpr int kParts = ceil_div(kHaloItems, kThreads);  // a halo is loaded in so many parts, one a step
constexpr int kStages = 3;
constexpr int kStage = kDepth * kChunks;
constexpr size_t kShared = (kStages * kStage + 2 * kHaloItems) * sizeof(uint4) + kTiles * kHalo * sizeof(int);
static_assert(kParts <= kTaps, "the next halo arrives while the taps of this one are multiplied");
static_assert(kPixels * kChunks <= kStages * kStage + 2 * kHaloItems, "results are staged where the inputs were");

Packing packing_of(int channels, int outputs) {
    return {channels, outputs, kDepth, ceil_div(outputs, kOutputs) * kOutputs};
}

// Reads `x`, [N,H,W,groups of 8], where sources[] says, in slices of kDepth channels.
struct Halo {
    uint4 const* x;
    int const* sources;  // which pixel of x lies at each place of the two halos, -1: zero
    uint4* matrices;     // two, swizzled
    int channels;

    __device__ uint4* slice(int index) const { return matrices + index % 2 * kHaloItems; }

    // Starts the copies of one part of a slice.
    __device__ void load(int index, int part) const {
        int const item = part * kThreads + threadIdx.x;
        if (item >= kHaloItems) return;
        int const place = item / kDepthChunks, chunk = item % kDepthChunks;
        int const group = index * kDepthChunks + chunk, groups = padded_channels(channels) / 8;
        int const source = sources[place];
        bool const wanted = source >= 0 && group < groups;
        uint4* const to = slice(index) + swizzled<kDepthChunks>(place, chunk);
        uint4 const* const from = x + (wanted ? static_cast<size_t>(source) * groups + group : 0);
        if (wanted && group * 8 + 8 > channels) {
            Eight eight = unpack(*from);
            clear_padding(eight, group * 8, channels);
            *to = pack(eight);
        } else {
            copy_16_bytes(to, from, wanted);
        }
    }
};

// Which pixel of x lies at each place of the halos of two tiles.
__device__ inline void find_sources(TileGrid grid, Tile first, Tile second, int* sources) {
    for (int place = threadIdx.x; place < kTiles * kHalo; place += kThreads) {
        Tile const& tile = place < kHalo ? first : second;
        int const row = tile.row - 1 + place % kHalo / kHaloSide, column = tile.column - 1 + place % kHaloSide;
        bool const inside = tile.image < grid.n && row >= 0 && row < grid.h && column >= 0 && column < grid.w;
        sources[place] = inside ? (tile.image * grid.h + row) * grid.w + column : -1;
    }
}

// Multiplies all slices and taps. `first_place`: of this lane in the halos, for the tap at the upper left.
__device__ inline void multiply(WarpProduct<kOutputs>& product, Halo const& halo, uint4 const* packed, int row_chunks,
                                uint4* stages, int first_place, bool wanted) {
    int const chunk = threadIdx.x % 32 / 16;
    int const slices = ceil_div(halo.channels, kDepth), steps = slices * kTaps;
    for (int part = 0; part < kParts; ++part) halo.load(0, part);
    for (int step = 0; step < kStages - 1; ++step) {
        load_weights<kThreads, kChunks>(stages + step * kStage, packed + step * kDepth * row_chunks, row_chunks);
        copies_commit();
    }
    int stage = 0;
    for (int step = 0; step < steps; ++step) {
        int const slice = step / kTaps, tap = step % kTaps;
        copies_wait<kStages - 2>();
        __syncthreads();
        int const ahead = step + kStages - 1, free_stage = stage == 0 ? kStages - 1 : stage - 1;
        if (ahead < steps)
            load_weights<kThreads, kChunks>(stages + free_stage * kStage,
                                            packed + static_cast<size_t>(ahead) * kDepth * row_chunks, row_chunks);
        if (tap < kParts && slice + 1 < slices) halo.load(slice + 1, tap);
        copies_commit();
        int const place = first_place + tap / 3 * kHaloSide + tap % 3;
        uint4 const* const matrix = halo.slice(slice);
#pragma unroll
        for (int half = 0; half < 2; ++half)
            if (wanted && slice * kDepth + half * 16 < halo.channels)
                product.add<kChunks>(matrix + swizzled<kDepthChunks>(place, 2 * half + chunk),
                                     matrix + swizzled<kDepthChunks>(place + 2 * kHaloSide, 2 * half + chunk),
                                     stages + stage * kStage + half * 16 * kChunks, 0);
        stage = stage + 1 == kStages ? 0 : stage + 1;
    }
}

// Writes the block's outputs of both tiles: staged values where a pixel is set, else zero.
__device__ inline void store(TileGrid grid, Tile first, Tile second, uint2 first_set, uint2 second_set, int first_chunk,
                             int row_chunks, uint4 const* staged, uint4* __restrict__ y) {
#pragma unroll 2
    for (int i = 0; i < kPixels * kChunks / kThreads; ++i) {
        int const item = threadIdx.x + i * kThreads, place = item / kChunks, chunk = item % kChunks,
                  pixel = place % kTilePixels;
        Tile const& tile = place < kTilePixels ? first : second;
        int const row = tile.row + pixel / kTileSide, column = tile.column + pixel % kTileSide;
        if (tile.image >= grid.n || row >= grid.h || column >= grid.w || first_chunk + chunk >= row_chunks) continue;
        bool const set = is_set(place < kTilePixels ? first_set : second_set, pixel);
        size_t const index = static_cast<size_t>(tile.image * grid.h + row) * grid.w + column;
        y[index * row_chunks + first_chunk + chunk] =
            set ? staged[swizzled<kChunks>(place, chunk)] : make_uint4(0, 0, 0, 0);
    }
}

// One block takes two tiles of the list and 64 outputs.
__global__ void __launch_bounds__(kThreads, 4)
    masked_conv2d_hwc8(TileGrid grid, Packing packing, uint4 const* __restrict__ x, TileList list,
                       uint4 const* __restrict__ packed, float2 const* __restrict__ ends, uint4* __restrict__ y) {
    TWEENRT_SHARED(uint4, shared);
    int const blocks = packing.columns / kOutputs, tiles = grid.tiles();
    int const entry = blockIdx.x / blocks * kTiles, first_chunk = blockIdx.x % blocks * kChunks;
    int const index = list.at(entry), next = entry + 1 < tiles ? list.at(entry + 1) : tiles;
    uint2 const set = list.pixels(index), next_set = next < tiles ? list.pixels(next) : make_uint2(0, 0);
    Tile const tile(grid, index), next_tile(grid, next);
    if ((set.x | set.y | next_set.x | next_set.y) != 0) {
        uint4* const halos = shared + kStages * kStage;
        int* const sources = reinterpret_cast<int*>(halos + 2 * kHaloItems);
        find_sources(grid, tile, next_tile, sources);
        __syncthreads();
        int const warp = threadIdx.x / 32, lane = threadIdx.x % 32;
        unsigned const half_tile = warp == 0 ? set.x : warp == 1 ? set.y : warp == 2 ? next_set.x : next_set.y;
        int const row = warp % 2 * (kTileSide / 2) + lane % 16 / kTileSide;
        int const place = warp / 2 * kHalo + row * kHaloSide + lane % kTileSide;
        WarpProduct<kOutputs> product;
        multiply(product, Halo{x, sources, halos, packing.channels}, packed + first_chunk, packing.columns / 8, shared,
                 place, half_tile != 0);
        __syncthreads();
        product.finish<kChunks>(shared, warp * 32, 0, packing.outputs - first_chunk * 8, ends + first_chunk * 8);
        __syncthreads();
    }
    store(grid, tile, next_tile, set, next_set, first_chunk, padded_channels(packing.outputs) / 8, shared, y);
}

// ---- linear formats: FP32 arithmetic

template <class T>
__global__ void __launch_bounds__(plain::kThreads, plain::kBlocks)
    masked_conv2d_planes(TileGrid grid, int channels, int outputs, T const* __restrict__ x, TileList list,
                         T const* __restrict__ weight, T const* __restrict__ bias, T const* __restrict__ slope,
                         T* __restrict__ y) {
    int const index = list.at(blockIdx.x), first_output = blockIdx.y * plain::kOutputs;
    uint2 const set = list.pixels(index);
    Tile const tile(grid, index);
    int const pixels = grid.h * grid.w;
    x += static_cast<size_t>(tile.image) * channels * pixels;
    y += static_cast<size_t>(tile.image) * outputs * pixels;
    auto const source = [&](int k, int pixel) {
        int const row = tile.row + pixel / kTileSide + k % kTaps / 3 - 1;
        int const column = tile.column + pixel % kTileSide + k % 3 - 1;
        bool const inside = row >= 0 && row < grid.h && column >= 0 && column < grid.w;
        return inside ? to_float(x[static_cast<size_t>(k / kTaps) * pixels + row * grid.w + column]) : 0.0f;
    };
    auto const target = [&](int output, int pixel, float sum) {
        int const row = tile.row + pixel / kTileSide, column = tile.column + pixel % kTileSide;
        if (output >= outputs || row >= grid.h || column >= grid.w) return;
        float const value = sum + to_float(bias[output]);
        float const sloped = value < 0.0f ? value * to_float(slope[output]) : value;
        y[static_cast<size_t>(output) * pixels + row * grid.w + column] =
            from_float<T>(is_set(set, pixel) ? sloped : 0.0f);
    };
    int const depth = (set.x | set.y) != 0 ? channels * kTaps : 0;
    plain::multiply(depth, first_output, outputs, weight, source, target);
}

template <class T>
cudaError_t convolve(TileGrid grid, int channels, int outputs, void const* x, TileList list, void const* weight,
                     void const* bias, void const* slope, void* y, cudaStream_t stream) {
    dim3 const blocks(grid.tiles(), ceil_div(outputs, plain::kOutputs));
    return launch(masked_conv2d_planes<T>, blocks, dim3(plain::kThreads), plain::kShared, stream, grid, channels,
                  outputs, static_cast<T const*>(x), list, static_cast<T const*>(weight), static_cast<T const*>(bias),
                  static_cast<T const*>(slope), static_cast<T*>(y));
}

}  // namespace

size_t masked_conv2d_workspace(Format format, Size size, int outputs) {
    return format == Format::kHalfHwc8 ? packing_of(size.c, outputs).bytes() : 0;
}

cudaError_t masked_conv2d(Format format, Size size, int outputs, void const* x, int const* tiles, void const* weight,
                          void const* bias, void const* slope, void* y, void* workspace, cudaStream_t stream) {
    TileGrid const grid{size.n, size.h, size.w};
    TileList const list{tiles, grid.tiles()};
    if (format == Format::kHalf)
        return convolve<__half>(grid, size.c, outputs, x, list, weight, bias, slope, y, stream);
    if (format == Format::kFloat)
        return convolve<float>(grid, size.c, outputs, x, list, weight, bias, slope, y, stream);
    Packing const packing = packing_of(size.c, outputs);
    cudaError_t const error = pack(packing, weight, bias, slope, workspace, stream);
    if (error != cudaSuccess) return error;
    dim3 const blocks(ceil_div(grid.tiles(), kTiles) * (packing.columns / kOutputs));
    return launch(masked_conv2d_hwc8, blocks, dim3(kThreads), kShared, stream, grid, packing,
                  static_cast<uint4 const*>(x), list, static_cast<uint4 const*>(packing.weights(workspace)),
                  packing.ends(workspace), static_cast<uint4*>(y));
}

}  // namespace tweenrt
