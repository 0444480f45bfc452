#include "../common/bilinear.cuh"
#include "../common/tensor.cuh"
#include "kernel.cuh"

namespace tweenrt {
namespace {

// Neighbouring cells share few cache lines, so blocks are runs of cells; small ones, as the coarse maps are small and
// should reach every multiprocessor.
constexpr int kThreads = 128;

// Where the four pixels in the middle of a cell come from: those that a bilinear resize by an even number reads.
struct Middle {
    Corners nw, ne, sw, se;
};

template <class Flow>
__device__ Corners source(Size size, int row, int column, Flow const* flow) {
    int const pixels = size.h * size.w, pixel = row * size.w + column;
    return corners<Border::kEdge>(column + to_float(flow[pixel]), row + to_float(flow[pixels + pixel]), size.h, size.w);
}

template <class Flow>
__device__ Middle middle(Size size, int shrink, int cell, Flow const* flow) {
    int const cells_across = size.w / shrink;
    int const row = cell / cells_across * shrink + shrink / 2 - 1;
    int const column = cell % cells_across * shrink + shrink / 2 - 1;
    return {source(size, row, column, flow), source(size, row, column + 1, flow), source(size, row + 1, column, flow),
            source(size, row + 1, column + 1, flow)};
}

__device__ float mean(float nw, float ne, float sw, float se) { return 0.25f * (nw + ne + (sw + se)); }

// One thread takes eight channels of one cell: four times four 16-byte loads, one 16-byte store.
template <class Flow>
__global__ void __launch_bounds__(kThreads) resize_hwc8(Size size, int shrink, uint4 const* __restrict__ x,
                                                        Flow const* __restrict__ flow, uint4* __restrict__ y) {
    int const groups = padded_channels(size.c) / 8;
    int const pixels = size.h * size.w, cells = pixels / (shrink * shrink);
    int const item = blockIdx.x * kThreads + threadIdx.x;
    if (item >= cells * groups) return;
    size_t const image = blockIdx.y;
    x += image * pixels * groups;
    y += image * cells * groups;
    int const group = item % groups;
    auto const at = middle(size, shrink, item / groups, flow + image * pixels * 2);
    Eight const nw = sample(x, groups, group, at.nw), ne = sample(x, groups, group, at.ne),
                sw = sample(x, groups, group, at.sw), se = sample(x, groups, group, at.se);
    Eight out;
#pragma unroll
    for (int i = 0; i < 8; ++i) out.value[i] = mean(nw.value[i], ne.value[i], sw.value[i], se.value[i]);
    clear_padding(out, group * 8, size.c);
    y[item] = pack(out);
}

// One thread takes one cell through all channels: the positions are worked out once.
template <class T, class Flow>
__global__ void __launch_bounds__(kThreads)
    resize_planes(Size size, int shrink, T const* __restrict__ x, Flow const* __restrict__ flow, T* __restrict__ y) {
    int const pixels = size.h * size.w, cells = pixels / (shrink * shrink);
    int const cell = blockIdx.x * kThreads + threadIdx.x;
    if (cell >= cells) return;
    size_t const image = blockIdx.y;
    auto const at = middle(size, shrink, cell, flow + image * pixels * 2);
    x += image * size.c * pixels;
    y += image * size.c * cells;
    for (int c = 0; c < size.c; ++c, x += pixels, y += cells)
        y[cell] =
            from_float<T>(mean(sample(x, 1, at.nw), sample(x, 1, at.ne), sample(x, 1, at.sw), sample(x, 1, at.se)));
}

template <class Flow>
cudaError_t resize(Format format, Size size, int shrink, void const* x, void const* flow, void* y,
                   cudaStream_t stream) {
    auto const* const f = static_cast<Flow const*>(flow);
    int const cells = size.h / shrink * (size.w / shrink);
    int const items = format == Format::kHalfHwc8 ? cells * (padded_channels(size.c) / 8) : cells;
    dim3 const grid(ceil_div(items, kThreads), size.n);
    if (format == Format::kHalfHwc8)
        return launch(resize_hwc8<Flow>, grid, dim3(kThreads), 0, stream, size, shrink, static_cast<uint4 const*>(x), f,
                      static_cast<uint4*>(y));
    if (format == Format::kHalf)
        return launch(resize_planes<__half, Flow>, grid, dim3(kThreads), 0, stream, size, shrink,
                      static_cast<__half const*>(x), f, static_cast<__half*>(y));
    return launch(resize_planes<float, Flow>, grid, dim3(kThreads), 0, stream, size, shrink,
                  static_cast<float const*>(x), f, static_cast<float*>(y));
}

}  // namespace

cudaError_t warp_resize(Format format, Format flow_format, Size size, int shrink, void const* x, void const* flow,
                        void* y, cudaStream_t stream) {
    return flow_format == Format::kHalf ? resize<__half>(format, size, shrink, x, flow, y, stream)
                                        : resize<float>(format, size, shrink, x, flow, y, stream);
}

}  // namespace tweenrt
