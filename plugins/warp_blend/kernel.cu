#include "../common/bilinear.cuh"
#include "../common/tensor.cuh"
#include "kernel.cuh"

namespace tweenrt {
namespace {

constexpr int kTileColumns = 32, kTileRows = 8;  // of a block's tile: rows of it share the frames' rows
constexpr int kThreads = kTileColumns * kTileRows;
constexpr int kColours = 3;

// Elements from one index to the next along each axis; 0 where the axis is repeated.
struct Strides {
    size_t n, c, h, w;
};

Strides strides_of(Size size) {
    size_t const row = size.w, plane = row * size.h, image = plane * size.c;
    return {size.n == 1 ? 0 : image, size.c == 1 ? 0 : plane, size.h == 1 ? 0 : row, size.w == 1 ? size_t{0} : 1};
}

struct Colours {
    float value[kColours];
};

// An image of one kHWC8 frame begins `pixels` 16-byte groups after the last, one of planes three times as many
// elements.
__device__ size_t image_at(uint4 const*, size_t image, size_t pixels) { return image * pixels; }
template <class T>
__device__ size_t image_at(T const*, size_t image, size_t pixels) {
    return image * pixels * kColours;
}

__device__ Colours look(uint4 const* frame, size_t, Corners const& at) {
    Eight const eight = sample(frame, 1, 0, at);
    return {eight.value[0], eight.value[1], eight.value[2]};
}

template <class T>
__device__ Colours look(T const* frame, size_t pixels, Corners const& at) {
    return {sample(frame, 1, at), sample(frame + pixels, 1, at), sample(frame + 2 * pixels, 1, at)};
}

__device__ void store(uint4* frame, size_t, int pixel, Colours const& colours) {
    frame[pixel] = pack(Eight{colours.value[0], colours.value[1], colours.value[2], 0.0f, 0.0f, 0.0f, 0.0f, 0.0f});
}

template <class T>
__device__ void store(T* frame, size_t pixels, int pixel, Colours const& colours) {
#pragma unroll
    for (int c = 0; c < kColours; ++c) frame[c * pixels + pixel] = from_float<T>(colours.value[c]);
}

// Where a pixel comes from, given the two planes of one image's flow.
template <class Flow>
__device__ Corners source(Size size, int row, int column, Flow const* flow, size_t pixels) {
    int const pixel = row * size.w + column;
    return corners<Border::kEdge>(column + to_float(flow[pixel]), row + to_float(flow[pixels + pixel]), size.h, size.w);
}

// One thread takes one pixel. Image: uint4 for frames in kHWC8, T for frames in planes.
template <class Image, class T, class Flow>
__global__ void __launch_bounds__(kThreads)
    blend_frames(Size size, Image const* __restrict__ frame0, Image const* __restrict__ frame1,
                 Flow const* __restrict__ flow0, Flow const* __restrict__ flow1, T const* __restrict__ mask,
                 T const* __restrict__ residual, Strides strides, Image* __restrict__ frame_t) {
    int const column = blockIdx.x * kTileColumns + threadIdx.x % kTileColumns;
    int const row = blockIdx.y * kTileRows + threadIdx.x / kTileColumns;
    if (column >= size.w || row >= size.h) return;
    size_t const pixels = static_cast<size_t>(size.h) * size.w, image = blockIdx.z;
    size_t const first = image_at(frame0, image, pixels);
    int const pixel = row * size.w + column;
    Colours const seen0 = look(frame0 + first, pixels, source(size, row, column, flow0 + 2 * image * pixels, pixels));
    Colours const seen1 = look(frame1 + first, pixels, source(size, row, column, flow1 + 2 * image * pixels, pixels));
    float const weight = to_float(mask[image * pixels + pixel]);
    residual += image * strides.n + row * strides.h + column * strides.w;
    Colours out;
#pragma unroll
    for (int c = 0; c < kColours; ++c)
        out.value[c] = weight * seen0.value[c] + (1.0f - weight) * seen1.value[c] + to_float(residual[c * strides.c]);
    store(frame_t + first, pixels, pixel, out);
}

// What the host is asked to blend, before the types are known.
struct Operands {
    void const *frame0, *frame1, *flow0, *flow1, *mask, *residual;
    Strides strides;
    void* frame_t;
};

template <class Image, class T, class Flow>
cudaError_t blend_as(Size size, Operands const& in, cudaStream_t stream) {
    dim3 const grid(ceil_div(size.w, kTileColumns), ceil_div(size.h, kTileRows), size.n);
    return launch(blend_frames<Image, T, Flow>, grid, dim3(kThreads), 0, stream, size,
                  static_cast<Image const*>(in.frame0), static_cast<Image const*>(in.frame1),
                  static_cast<Flow const*>(in.flow0), static_cast<Flow const*>(in.flow1),
                  static_cast<T const*>(in.mask), static_cast<T const*>(in.residual), in.strides,
                  static_cast<Image*>(in.frame_t));
}

template <class Flow>
cudaError_t blend_with(Format format, Size size, Operands const& in, cudaStream_t stream) {
    if (format == Format::kHalfHwc8) return blend_as<uint4, __half, Flow>(size, in, stream);
    return format == Format::kHalf ? blend_as<__half, __half, Flow>(size, in, stream)
                                   : blend_as<float, float, Flow>(size, in, stream);
}

}  // namespace

cudaError_t warp_blend(Format format, Format flow_format, Size size, void const* frame0, void const* frame1,
                       void const* flow0, void const* flow1, void const* mask, void const* residual, Size residual_size,
                       void* frame_t, cudaStream_t stream) {
    Operands const in{frame0, frame1, flow0, flow1, mask, residual, strides_of(residual_size), frame_t};
    return flow_format == Format::kHalf ? blend_with<__half>(format, size, in, stream)
                                        : blend_with<float>(format, size, in, stream);
}

}  // namespace tweenrt
