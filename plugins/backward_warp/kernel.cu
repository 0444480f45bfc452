#include "../common/bilinear.cuh"
#include "../common/tensor.cuh"
#include "kernel.cuh"

namespace tweenrt {
namespace {

constexpr int kThreads = 256;
constexpr int kTile = 8;  // pixels of a block's tile along each side: neighbours share cache lines

// One thread takes eight channels of one pixel at a time: four 16-byte loads, one 16-byte store.
template <class Flow, Border kBorder>
__global__ void __launch_bounds__(kThreads)
    warp_hwc8(Size size, uint4 const* __restrict__ x, Flow const* __restrict__ flow, uint4* __restrict__ y) {
    int const groups = padded_channels(size.c) / 8;
    int const pixels = size.h * size.w;
    int const image = blockIdx.z;
    x += static_cast<size_t>(image) * pixels * groups;
    y += static_cast<size_t>(image) * pixels * groups;
    flow += static_cast<size_t>(image) * pixels * 2;
    for (int item = threadIdx.x; item < kTile * kTile * groups; item += kThreads) {
        int const group = item % groups;
        int const column = blockIdx.x * kTile + item / groups % kTile;
        int const row = blockIdx.y * kTile + item / groups / kTile;
        if (column >= size.w || row >= size.h) continue;
        int const pixel = row * size.w + column;
        auto const at =
            corners<kBorder>(column + to_float(flow[pixel]), row + to_float(flow[pixels + pixel]), size.h, size.w);
        Eight out = sample(x, groups, group, at);
        clear_padding(out, group * 8, size.c);
        y[static_cast<size_t>(pixel) * groups + group] = pack(out);
    }
}

// One thread takes one pixel through all channels: the position is worked out once.
template <class T, class Flow, Border kBorder>
__global__ void __launch_bounds__(kThreads)
    warp_planes(Size size, T const* __restrict__ x, Flow const* __restrict__ flow, T* __restrict__ y) {
    int const pixels = size.h * size.w;
    int const pixel = blockIdx.x * kThreads + threadIdx.x;
    if (pixel >= pixels) return;
    flow += static_cast<size_t>(blockIdx.y) * pixels * 2;
    auto const at = corners<kBorder>(pixel % size.w + to_float(flow[pixel]),
                                     pixel / size.w + to_float(flow[pixels + pixel]), size.h, size.w);
    size_t const first = static_cast<size_t>(blockIdx.y) * size.c * pixels;
    for (int c = 0; c < size.c; ++c) {
        size_t const plane = first + static_cast<size_t>(c) * pixels;
        y[plane + pixel] = from_float<T>(sample(x + plane, 1, at));
    }
}

template <class Flow, Border kBorder>
cudaError_t warp(Format format, Size size, void const* x, void const* flow, void* y, cudaStream_t stream) {
    auto const* const f = static_cast<Flow const*>(flow);
    if (format == Format::kHalfHwc8)
        return launch(warp_hwc8<Flow, kBorder>, dim3(ceil_div(size.w, kTile), ceil_div(size.h, kTile), size.n),
                      dim3(kThreads), 0, stream, size, static_cast<uint4 const*>(x), f, static_cast<uint4*>(y));
    dim3 const grid(ceil_div(size.h * size.w, kThreads), size.n);
    if (format == Format::kHalf)
        return launch(warp_planes<__half, Flow, kBorder>, grid, dim3(kThreads), 0, stream, size,
                      static_cast<__half const*>(x), f, static_cast<__half*>(y));
    return launch(warp_planes<float, Flow, kBorder>, grid, dim3(kThreads), 0, stream, size,
                  static_cast<float const*>(x), f, static_cast<float*>(y));
}

template <class Flow>
cudaError_t warp(Format format, Size size, Border border, void const* x, void const* flow, void* y,
                 cudaStream_t stream) {
    return border == Border::kEdge ? warp<Flow, Border::kEdge>(format, size, x, flow, y, stream)
                                   : warp<Flow, Border::kZeros>(format, size, x, flow, y, stream);
}

}  // namespace

cudaError_t backward_warp(Format format, Format flow_format, Size size, Border border, void const* x, void const* flow,
                          void* y, cudaStream_t stream) {
    return flow_format == Format::kHalf ? warp<__half>(format, size, border, x, flow, y, stream)
                                        : warp<float>(format, size, border, x, flow, y, stream);
}

}  // namespace tweenrt
