// CorrelationLookup on the GPU; what it computes is defined by reference.py.
#pragma once

#include "../common/format.h"

namespace tweenrt {

// What bounds the shared memory of a block: at this radius it takes 42 kB.
constexpr int kMaxLookupRadius = 8;

// Sizes of a lookup.
struct LookupSize {
    int n, h, w;       // queries: images, rows, columns
    int map_h, map_w;  // one query's correlation map
    int radius;        // 0..kMaxLookupRadius
};

// y = for every query the samples of its own map in a square window around its coordinates; zero outside of the map. A
// query whose coordinates are not finite sees zeros.
//
//   corr    [N·H·W,1,map_h,map_w], NCHW: kFloat where `format` is kFloat, else kHalf
//   coords  [N,2,H,W], x then y, in pixels of the map, NCHW in `coords_format` (kFloat or kHalf)
//   y       [N,(2·radius+1)²,H,W] in `format`, x slowest in the window
//
// Reads and writes device memory on `stream` without synchronising; returns what the launch says, and
// cudaErrorInvalidValue where the radius is out of range.
cudaError_t correlation_lookup(Format format, Format coords_format, LookupSize size, void const* corr,
                               void const* coords, void* y, cudaStream_t stream);

}  // namespace tweenrt
