#include "../common/tensor.cuh"
#include "kernel.cuh"

namespace tweenrt {
namespace {

constexpr int kThreads = 256;
constexpr int kPixels = 64;  // of a block

// Where a pixel lands along one side, and its share in the two pixels around that place.
struct Landing {
    int first;                // the second is first + 1
    float share, share_next;  // 0 where that pixel lies outside
};

// The formulas of the reference to the last bit: the smallest share decides whether a pixel counts as reached.
__device__ inline Landing land(float position, int size) {
    // Nothing else may be converted to int: flows may be huge, infinite or NaN.
    if (!(position > -1.0f && position < static_cast<float>(size))) return {0, 0.0f, 0.0f};
    float const floor_p = floorf(position);
    int const first = static_cast<int>(floor_p);
    return {first, first < 0 ? 0.0f : 1.0f - (position - floor_p),
            first + 1 < size ? 1.0f - (floor_p + 1.0f - position) : 0.0f};
}

// Distances between neighbours in memory, in elements.
struct Strides {
    size_t pixel, channel, image;
};

// One thread takes one channel of one pixel, or its weight. Neighbouring threads take neighbouring channels, which lie
// side by side in `sums` [N,H,W,C+1]: the additions of a warp fall into few sectors.
template <class T, class Flow>
__global__ void __launch_bounds__(kThreads) scatter(Size size, Strides strides, T const* __restrict__ x,
                                                    Flow const* __restrict__ flow, float* __restrict__ sums) {
    int const pixels = size.h * size.w;
    int const terms = size.c + 1;
    int const image = blockIdx.y;
    x += image * strides.image;
    flow += static_cast<size_t>(image) * pixels * 2;
    sums += static_cast<size_t>(image) * pixels * terms;
    for (int item = threadIdx.x; item < kPixels * terms; item += kThreads) {
        int const pixel = blockIdx.x * kPixels + item / terms;
        int const channel = item % terms;
        if (pixel >= pixels) return;
        Landing const across = land(pixel % size.w + to_float(flow[pixel]), size.w);
        Landing const down = land(pixel / size.w + to_float(flow[pixels + pixel]), size.h);
        float const value = channel < size.c ? to_float(x[pixel * strides.pixel + channel * strides.channel]) : 1.0f;
#pragma unroll
        for (int corner = 0; corner < 4; ++corner) {
            int const column = across.first + corner % 2;
            int const row = down.first + corner / 2;
            float const share =
                (corner % 2 ? across.share_next : across.share) * (corner / 2 ? down.share_next : down.share);
            if (share != 0.0f)
                atomicAdd(sums + static_cast<size_t>(row * size.w + column) * terms + channel, value * share);
        }
    }
}

// The average of one channel of a pixel, from the pixel's sums.
__device__ inline float average(float const* sums, int channel, int channels) {
    float const weight = sums[channels];
    return weight == 0.0f ? 0.0f : sums[channel] / weight;
}

// One thread takes eight channels of one pixel at a time: one 16-byte store.
__global__ void __launch_bounds__(kThreads)
    normalise_hwc8(Size size, float const* __restrict__ sums, uint4* __restrict__ y) {
    int const pixels = size.h * size.w;
    int const terms = size.c + 1;
    int const groups = padded_channels(size.c) / 8;
    int const image = blockIdx.y;
    sums += static_cast<size_t>(image) * pixels * terms;
    y += static_cast<size_t>(image) * pixels * groups;
    for (int item = threadIdx.x; item < kPixels * groups; item += kThreads) {
        int const pixel = blockIdx.x * kPixels + item / groups;
        int const group = item % groups;
        if (pixel >= pixels) return;
        Eight out;
#pragma unroll
        for (int i = 0; i < 8; ++i) {
            int const channel = group * 8 + i;
            out.value[i] = channel < size.c ? average(sums + static_cast<size_t>(pixel) * terms, channel, size.c) : 0;
        }
        y[static_cast<size_t>(pixel) * groups + group] = pack(out);
    }
}

// Neighbouring threads take neighbouring pixels of one channel, which lie side by side in `y`.
template <class T>
__global__ void __launch_bounds__(kThreads)
    normalise_planes(Size size, float const* __restrict__ sums, T* __restrict__ y) {
    int const pixels = size.h * size.w;
    int const terms = size.c + 1;
    int const image = blockIdx.y;
    sums += static_cast<size_t>(image) * pixels * terms;
    y += static_cast<size_t>(image) * pixels * size.c;
    int const pixel = blockIdx.x * kPixels + threadIdx.x % kPixels;
    if (pixel >= pixels) return;
    for (int channel = threadIdx.x / kPixels; channel < size.c; channel += kThreads / kPixels)
        y[static_cast<size_t>(channel) * pixels + pixel] =
            from_float<T>(average(sums + static_cast<size_t>(pixel) * terms, channel, size.c));
}

template <class T, class Flow>
cudaError_t scatter_as(Format format, Size size, dim3 grid, void const* x, void const* flow, float* sums,
                       cudaStream_t stream) {
    size_t const pixels = static_cast<size_t>(size.h) * size.w;
    size_t const padded = padded_channels(size.c);
    Strides const strides =
        format == Format::kHalfHwc8 ? Strides{padded, 1, pixels * padded} : Strides{1, pixels, pixels * size.c};
    return launch(scatter<T, Flow>, grid, dim3(kThreads), 0, stream, size, strides, static_cast<T const*>(x),
                  static_cast<Flow const*>(flow), sums);
}

template <class T>
cudaError_t scatter_as(Format format, Format flow_format, Size size, dim3 grid, void const* x, void const* flow,
                       float* sums, cudaStream_t stream) {
    return flow_format == Format::kHalf ? scatter_as<T, __half>(format, size, grid, x, flow, sums, stream)
                                        : scatter_as<T, float>(format, size, grid, x, flow, sums, stream);
}

cudaError_t normalise(Format format, Size size, dim3 grid, float const* sums, void* y, cudaStream_t stream) {
    if (format == Format::kHalfHwc8)
        return launch(normalise_hwc8, grid, dim3(kThreads), 0, stream, size, sums, static_cast<uint4*>(y));
    if (format == Format::kHalf)
        return launch(normalise_planes<__half>, grid, dim3(kThreads), 0, stream, size, sums, static_cast<__half*>(y));
    return launch(normalise_planes<float>, grid, dim3(kThreads), 0, stream, size, sums, static_cast<float*>(y));
}

}  // namespace

size_t forward_splat_workspace(Size size) {
    return static_cast<size_t>(size.n) * size.h * size.w * (size.c + 1) * sizeof(float);
}

cudaError_t forward_splat(Format format, Format flow_format, Size size, void const* x, void const* flow, void* y,
                          void* workspace, cudaStream_t stream) {
    auto* const sums = static_cast<float*>(workspace);
    dim3 const grid(ceil_div(size.h * size.w, kPixels), size.n);
    auto error = cudaMemsetAsync(sums, 0, forward_splat_workspace(size), stream);
    if (error != cudaSuccess) return error;
    error = format == Format::kFloat ? scatter_as<float>(format, flow_format, size, grid, x, flow, sums, stream)
                                     : scatter_as<__half>(format, flow_format, size, grid, x, flow, sums, stream);
    return error != cudaSuccess ? error : normalise(format, size, grid, sums, y, stream);
}

}  // namespace tweenrt
