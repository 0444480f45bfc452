#include "../common/tensor.cuh"
#include "kernel.cuh"
#include "tiles.cuh"

namespace tweenrt {
namespace {

constexpr int kFindThreads = 256;
constexpr int kOrderThreads = 1024;

// One warp looks at one tile.
template <class T>
__global__ void __launch_bounds__(kFindThreads)
    mask_tiles_find(TileGrid grid, T const* __restrict__ mask, int* __restrict__ pixels) {
    int const index = (blockIdx.x * kFindThreads + threadIdx.x) / 32, lane = threadIdx.x % 32;
    if (index >= grid.tiles()) return;
    Tile const tile(grid, index);
    mask += static_cast<size_t>(tile.image) * grid.h * grid.w;
    int const column = tile.column + lane % kTileSide, row = tile.row + lane / kTileSide;
    auto const set = [&](int y) {
        return y < grid.h && column < grid.w && to_float(mask[static_cast<size_t>(y) * grid.w + column]) != 0.0f;
    };
    unsigned const upper = __ballot_sync(0xffffffffu, set(row));
    unsigned const lower = __ballot_sync(0xffffffffu, set(row + kTileSide / 2));
    if (lane < 2) pixels[lane * grid.tiles() + index] = static_cast<int>(lane == 0 ? upper : lower);
}

// One block: tiles with a set pixel come first, in their order; the others fill the list from its end.
__global__ void __launch_bounds__(kOrderThreads)
    mask_tiles_order(int tiles, int const* __restrict__ pixels, int* __restrict__ order) {
    TWEENRT_SHARED(int, totals);
    int const warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    int listed = 0;
    for (int first = 0; first < tiles; first += kOrderThreads) {
        int const tile = first + threadIdx.x;
        bool const wanted = tile < tiles && (pixels[tile] | pixels[tiles + tile]) != 0;
        unsigned const vote = __ballot_sync(0xffffffffu, wanted);
        if (lane == 0) totals[warp] = __popc(vote);
        __syncthreads();
        int before = listed + __popc(vote & ((1u << lane) - 1));
        for (int i = 0; i < kOrderThreads / 32; ++i) {
            before += i < warp ? totals[i] : 0;
            listed += totals[i];
        }
        if (tile < tiles) order[wanted ? before : tiles - 1 - (tile - before)] = tile;
        __syncthreads();
    }
}

template <class T>
cudaError_t find(TileGrid grid, void const* mask, int* tiles, cudaStream_t stream) {
    dim3 const blocks(ceil_div(grid.tiles(), kFindThreads / 32));
    return launch(mask_tiles_find<T>, blocks, dim3(kFindThreads), 0, stream, grid, static_cast<T const*>(mask), tiles);
}

}  // namespace

cudaError_t mask_tiles(Format mask_format, int n, int h, int w, void const* mask, int* tiles, cudaStream_t stream) {
    TileGrid const grid{n, h, w};
    cudaError_t const error =
        mask_format == Format::kHalf ? find<__half>(grid, mask, tiles, stream) : find<float>(grid, mask, tiles, stream);
    if (error != cudaSuccess) return error;
    return launch(mask_tiles_order, dim3(1), dim3(kOrderThreads), kOrderThreads / 32 * sizeof(int), stream,
                  grid.tiles(), tiles, tiles + 2 * grid.tiles());
}

}  // namespace tweenrt
