#include "../common/bilinear.cuh"
#include "../common/tensor.cuh"
#include "kernel.cuh"

namespace tweenrt {
namespace {

constexpr int kThreads = 256;
constexpr int kTile = 8;  // pixels of a block's tile along each side: neighbours share cache lines
constexpr int kPixels = kTile * kTile;
constexpr int kFlow = 4;
static_assert(2 * kPixels <= kThreads, "a thread aims at one frame for one pixel");

// Channels of the parts of `seen`, and where each begins.
struct Parts {
    int channels, features;  // of one warped feature map, of `feature`
    int warps, feature, flow;
    __host__ __device__ int total() const { return flow + kFlow; }
};

Parts parts(int channels, int features, bool feature_first) {
    return {channels, features, feature_first ? features : 0, feature_first ? 0 : 2 * channels,
            features + 2 * channels};
}

// Where one frame is looked at for one pixel.
struct Aim {
    Corners at;
    float dx, dy;
};

// Updates the flow into `frame` (0 the earlier, 1 the later) at one pixel.
template <class Flow>
__device__ Aim aim(Size size, int frame, int row, int column, Flow const* step, Flow const* coarse, Flow* flow) {
    int const pixels = size.h * size.w;
    int const x = 2 * frame * pixels + row * size.w + column, y = x + pixels;
    // Of a pixel at twice the resolution, the centre lies at (p + 0.5) / 2 - 0.5.
    auto const above = corners<Border::kEdge>(0.5f * column - 0.25f, 0.5f * row - 0.25f, size.h / 2, size.w / 2);
    coarse += 2 * frame * (pixels / 4);
    float const dx = to_float(step[x]) + 2.0f * sample(coarse, 1, above);
    float const dy = to_float(step[y]) + 2.0f * sample(coarse + pixels / 4, 1, above);
    flow[x] = from_float<Flow>(dx);
    flow[y] = from_float<Flow>(dy);
    return {corners<Border::kEdge>(column + dx, row + dy, size.h, size.w), dx, dy};
}

// The features of one image or of the first of many.
struct Features {
    void const *feature0, *feature1, *feature;
};

// The features of `image` in kHWC8, given those of the first.
__device__ Features features_at(Features first, Size size, Parts const& parts, size_t image) {
    size_t const warped = image * size.h * size.w * padded_channels(parts.channels) * sizeof(__half);
    size_t const copied = image * size.h * size.w * padded_channels(parts.features) * sizeof(__half);
    return {static_cast<char const*>(first.feature0) + warped, static_cast<char const*>(first.feature1) + warped,
            static_cast<char const*>(first.feature) + copied};
}

// One channel of `seen`; zero beyond the last.
__device__ float seen_channel(Parts const& parts, Features from, int channel, int pixel, Aim const& aim0,
                              Aim const& aim1) {
    int const warped = channel - parts.warps, copied = channel - parts.feature, flow = channel - parts.flow;
    if (warped >= 0 && warped < 2 * parts.channels) {
        bool const later = warped >= parts.channels;
        auto const* const halves = static_cast<__half const*>(later ? from.feature1 : from.feature0);
        return sample(halves + warped - (later ? parts.channels : 0), padded_channels(parts.channels),
                      later ? aim1.at : aim0.at);
    }
    if (copied >= 0 && copied < parts.features) {
        auto const* const halves = static_cast<__half const*>(from.feature);
        return to_float(halves[static_cast<size_t>(pixel) * padded_channels(parts.features) + copied]);
    }
    if (flow < 0 || flow >= kFlow) return 0.0f;
    Aim const& aim = flow < 2 ? aim0 : aim1;
    return flow % 2 == 0 ? aim.dx : aim.dy;
}

// Whether eight channels from `first` on, counted in a part, are a group of eight of that part in memory.
__device__ bool is_group(int first, int channels) { return first >= 0 && first % 8 == 0 && first + 8 <= channels; }

// Eight channels of `seen`: 16 bytes at a time where they are eight channels of one part, else one by one.
__device__ uint4 seen_group(Parts const& parts, Features from, int group, int pixel, Aim const& aim0, Aim const& aim1) {
    int const channel = 8 * group;
    int const warped = channel - parts.warps;
    bool const later = warped >= parts.channels;
    int const first = warped - (later ? parts.channels : 0);
    if (is_group(first, parts.channels))
        return pack(sample(static_cast<uint4 const*>(later ? from.feature1 : from.feature0),
                           padded_channels(parts.channels) / 8, first / 8, later ? aim1.at : aim0.at));
    int const copied = channel - parts.feature;
    if (is_group(copied, parts.features)) {
        auto const* const groups = static_cast<uint4 const*>(from.feature);
        return groups[static_cast<size_t>(pixel) * (padded_channels(parts.features) / 8) + copied / 8];
    }
    if (channel == parts.flow) return pack(Eight{aim0.dx, aim0.dy, aim1.dx, aim1.dy, 0.0f, 0.0f, 0.0f, 0.0f});
    Eight out;
#pragma unroll
    for (int i = 0; i < 8; ++i) out.value[i] = seen_channel(parts, from, channel + i, pixel, aim0, aim1);
    return pack(out);
}

// A block updates the flow of its tile once; then each of its threads takes eight channels of one pixel at a time.
template <class Flow>
__global__ void __launch_bounds__(kThreads)
    concat_hwc8(Size size, Parts parts, Features first, Flow const* __restrict__ step, Flow const* __restrict__ coarse,
                uint4* __restrict__ seen, Flow* __restrict__ flow) {
    TWEENRT_SHARED(Aim, aims);  // [2][kPixels]
    size_t const pixels = static_cast<size_t>(size.h) * size.w;
    int const left = blockIdx.x * kTile, top = blockIdx.y * kTile;
    if (threadIdx.x < 2 * kPixels) {
        int const frame = threadIdx.x / kPixels;
        int const column = left + threadIdx.x % kTile, row = top + threadIdx.x % kPixels / kTile;
        size_t const image = blockIdx.z * kFlow * pixels;
        if (column < size.w && row < size.h)
            aims[threadIdx.x] = aim(size, frame, row, column, step + image, coarse + image / 4, flow + image);
    }
    __syncthreads();
    Features const from = features_at(first, size, parts, blockIdx.z);
    unsigned const groups = padded_channels(parts.total()) / 8;
    seen += blockIdx.z * pixels * groups;
    for (unsigned item = threadIdx.x; item < kPixels * groups; item += kThreads) {
        unsigned const place = item / groups, group = item % groups;
        int const column = left + place % kTile, row = top + place / kTile;
        if (column >= size.w || row >= size.h) continue;
        int const pixel = row * size.w + column;
        seen[static_cast<size_t>(pixel) * groups + group] =
            seen_group(parts, from, group, pixel, aims[place], aims[kPixels + place]);
    }
}

// One thread takes one pixel through all channels.
template <class T, class Flow>
__global__ void __launch_bounds__(kThreads)
    concat_planes(Size size, Parts parts, T const* __restrict__ feature0, T const* __restrict__ feature1,
                  T const* __restrict__ feature, Flow const* __restrict__ step, Flow const* __restrict__ coarse,
                  T* __restrict__ seen, Flow* __restrict__ flow) {
    size_t const pixels = static_cast<size_t>(size.h) * size.w;
    int const pixel = blockIdx.x * kThreads + threadIdx.x;
    if (pixel >= size.h * size.w) return;
    int const row = pixel / size.w, column = pixel % size.w;
    size_t const image = blockIdx.y * kFlow * pixels;
    Aim const aim0 = aim(size, 0, row, column, step + image, coarse + image / 4, flow + image);
    Aim const aim1 = aim(size, 1, row, column, step + image, coarse + image / 4, flow + image);
    size_t const warped = blockIdx.y * pixels * parts.channels;
    seen += blockIdx.y * pixels * parts.total() + pixel;
    for (int c = 0; c < parts.channels; ++c) {
        size_t const plane = warped + c * pixels;
        seen[(parts.warps + c) * pixels] = from_float<T>(sample(feature0 + plane, 1, aim0.at));
        seen[(parts.warps + parts.channels + c) * pixels] = from_float<T>(sample(feature1 + plane, 1, aim1.at));
    }
    feature += blockIdx.y * pixels * parts.features + pixel;
    for (int c = 0; c < parts.features; ++c) seen[(parts.feature + c) * pixels] = feature[c * pixels];
    float const moved[kFlow] = {aim0.dx, aim0.dy, aim1.dx, aim1.dy};
#pragma unroll
    for (int c = 0; c < kFlow; ++c) seen[(parts.flow + c) * pixels] = from_float<T>(moved[c]);
}

template <class T, class Flow>
cudaError_t concat_in_planes(Size size, Parts parts, Features first, Flow const* step, Flow const* coarse, void* seen,
                             Flow* flow, cudaStream_t stream) {
    return launch(concat_planes<T, Flow>, dim3(ceil_div(size.h * size.w, kThreads), size.n), dim3(kThreads), 0, stream,
                  size, parts, static_cast<T const*>(first.feature0), static_cast<T const*>(first.feature1),
                  static_cast<T const*>(first.feature), step, coarse, static_cast<T*>(seen), flow);
}

template <class Flow>
cudaError_t concat(Format format, Size size, Parts parts, Features first, Flow const* step, Flow const* coarse,
                   void* seen, Flow* flow, cudaStream_t stream) {
    if (format == Format::kHalfHwc8)
        return launch(concat_hwc8<Flow>, dim3(ceil_div(size.w, kTile), ceil_div(size.h, kTile), size.n), dim3(kThreads),
                      2 * kPixels * sizeof(Aim), stream, size, parts, first, step, coarse, static_cast<uint4*>(seen),
                      flow);
    return format == Format::kHalf ? concat_in_planes<__half>(size, parts, first, step, coarse, seen, flow, stream)
                                   : concat_in_planes<float>(size, parts, first, step, coarse, seen, flow, stream);
}

}  // namespace

cudaError_t warp_concat(Format format, Format flow_format, Size size, int features, bool feature_first,
                        void const* feature0, void const* feature1, void const* feature, void const* step,
                        void const* coarse, void* seen, void* flow, cudaStream_t stream) {
    auto const where = parts(size.c, features, feature_first);
    Features const first{feature0, feature1, feature};
    if (flow_format == Format::kHalf)
        return concat(format, size, where, first, static_cast<__half const*>(step), static_cast<__half const*>(coarse),
                      seen, static_cast<__half*>(flow), stream);
    return concat(format, size, where, first, static_cast<float const*>(step), static_cast<float const*>(coarse), seen,
                  static_cast<float*>(flow), stream);
}

}  // namespace tweenrt
