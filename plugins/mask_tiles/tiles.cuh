// The list of a mask's tiles, for the kernel that makes it and for those that read it.
#pragma once

#include "../common/device.cuh"
#include "../common/format.h"

namespace tweenrt {

// How the tiles of all images are numbered: image by image, row by row.
struct TileGrid {
    int n, h, w;

    __host__ __device__ int across() const { return ceil_div(w, kTileSide); }
    __host__ __device__ int of_image() const { return across() * ceil_div(h, kTileSide); }
    __host__ __device__ int tiles() const { return n * of_image(); }
};

// Where a tile lies; every pixel of a tile beyond the last is outside.
struct Tile {
    int image, row, column;

    __device__ Tile(TileGrid grid, int tile)
        : image(tile / grid.of_image()),
          row(tile % grid.of_image() / grid.across() * kTileSide),
          column(tile % grid.across() * kTileSide) {}
};

// What mask_tiles() wrote of `count` tiles.
struct TileList {
    int const* tiles;
    int count;

    // The set pixels of a tile, row by row: 32 of the upper half, 32 of the lower one.
    __device__ uint2 pixels(int tile) const {
        return make_uint2(static_cast<unsigned>(__ldg(tiles + tile)),
                          static_cast<unsigned>(__ldg(tiles + count + tile)));
    }
    // The tile at a place of the order.
    __device__ int at(int place) const { return __ldg(tiles + 2 * count + place); }
};

__device__ inline bool is_set(uint2 pixels, int pixel) {
    return ((pixel < 32 ? pixels.x : pixels.y) >> (pixel % 32) & 1) != 0;
}

}  // namespace tweenrt
