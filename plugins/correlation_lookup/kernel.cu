#include "../common/tensor.cuh"
#include "kernel.cuh"

namespace tweenrt {
namespace {

constexpr int kWarp = 32;
constexpr int kWarps = 8;
constexpr int kThreads = kWarp * kWarps;
constexpr int kQueries = kWarp;  // of a block: a warp stores one sample of each, side by side
constexpr int kQueriesPerWarp = kQueries / kWarps;

// All samples of a window share one fractional position, so they blend a patch of one row and one column more.
__host__ __device__ constexpr int window_side(int radius) { return 2 * radius + 1; }
__host__ __device__ constexpr int patch_side(int radius) { return 2 * radius + 2; }

// Floats between the patches of two queries in shared memory: odd, so that 32 queries read from 32 banks.
__host__ __device__ constexpr int patch_stride(int radius) { return patch_side(radius) * patch_side(radius) | 1; }

// Where the window of a query lies along one side of its map.
struct Place {
    int first;    // pixel of the map where the patch begins; may lie outside
    float share;  // of the second of two neighbours
};

__device__ inline Place place(float position, int size, int radius) {
    // Clamping comes before the conversion to int: coordinates may be huge, infinite or NaN (which becomes the lower
    // bound). At either bound the whole patch lies outside.
    float const p = fminf(fmaxf(position, static_cast<float>(-radius - 2)), static_cast<float>(size + radius));
    float const floor_p = floorf(p);
    return {static_cast<int>(floor_p) - radius, p - floor_p};
}

// Each warp brings the patches of its queries into shared memory, [query][column][row], each value of the maps once.
template <class T, class Coordinate>
__device__ void load_patches(LookupSize const& size, T const* corr, Coordinate const* coords, int first_query,
                             float* patches) {
    int const queries = size.h * size.w;
    int const side = patch_side(size.radius);
    int const rows = kWarp / side;  // of a patch that a warp loads at a time
    int const lane = threadIdx.x % kWarp;
    int const column = lane % side;
    int const first_slot = threadIdx.x / kWarp * kQueriesPerWarp;
    if (lane >= rows * side) return;
    for (int row = lane / side; row < side; row += rows) {
#pragma unroll
        for (int i = 0; i < kQueriesPerWarp; ++i) {
            int const query = min(first_query + first_slot + i, queries - 1);
            int const x = place(to_float(coords[query]), size.map_w, size.radius).first + column;
            int const y = place(to_float(coords[queries + query]), size.map_h, size.radius).first + row;
            bool const inside = x >= 0 && x < size.map_w && y >= 0 && y < size.map_h;
            T const* const map = corr + static_cast<size_t>(query) * size.map_h * size.map_w;
            patches[(first_slot + i) * patch_stride(size.radius) + column * side + row] =
                inside ? to_float(map[y * size.map_w + x]) : 0.0f;
        }
    }
}

// One sample of a window. Sample k, in the window's column k / (2·radius + 1), begins at value k + column of the patch.
__device__ inline float sample(float const* nw, int radius, float share_x, float share_y) {
    int const side = patch_side(radius);
    return (1.0f - share_y) * ((1.0f - share_x) * nw[0] + share_x * nw[side]) +
           share_y * ((1.0f - share_x) * nw[1] + share_x * nw[side + 1]);
}

// A warp stores one sample of all queries at a time: side by side in an output plane.
template <class T, class Coordinate>
__device__ void store(LookupSize const& size, Coordinate const* coords, int first_query, float const* patches, T* y) {
    int const queries = size.h * size.w;
    int const window = window_side(size.radius);
    int const slot = threadIdx.x % kQueries;
    int const query = first_query + slot;
    if (query >= queries) return;
    float const share_x = place(to_float(coords[query]), size.map_w, size.radius).share;
    float const share_y = place(to_float(coords[queries + query]), size.map_h, size.radius).share;
    float const* const patch = patches + slot * patch_stride(size.radius);
    for (int k = threadIdx.x / kQueries; k < window * window; k += kWarps)
        y[static_cast<size_t>(k) * queries + query] =
            from_float<T>(sample(patch + k + k / window, size.radius, share_x, share_y));
}

// The same for kHWC8: a thread stores eight samples of a query at a time.
template <class Coordinate>
__device__ void store(LookupSize const& size, Coordinate const* coords, int first_query, float const* patches,
                      uint4* y) {
    int const queries = size.h * size.w;
    int const window = window_side(size.radius);
    int const groups = padded_channels(window * window) / 8;
    for (int item = threadIdx.x; item < kQueries * groups; item += kThreads) {
        int const slot = item / groups;
        int const group = item % groups;
        int const query = first_query + slot;
        if (query >= queries) return;
        float const share_x = place(to_float(coords[query]), size.map_w, size.radius).share;
        float const share_y = place(to_float(coords[queries + query]), size.map_h, size.radius).share;
        float const* const patch = patches + slot * patch_stride(size.radius);
        int column = group * 8 / window;
        Eight out;
#pragma unroll
        for (int i = 0; i < 8; ++i) {
            int const k = group * 8 + i;
            if (k == (column + 1) * window) ++column;
            out.value[i] = column < window ? sample(patch + k + column, size.radius, share_x, share_y) : 0.0f;
        }
        y[static_cast<size_t>(query) * groups + group] = pack(out);
    }
}

// A block takes 32 queries of one image. Out is T for planes and uint4 for kHWC8.
template <class T, class Coordinate, class Out>
__global__ void __launch_bounds__(kThreads) look_up(LookupSize size, size_t image_stride, T const* __restrict__ corr,
                                                    Coordinate const* __restrict__ coords, Out* __restrict__ y) {
    TWEENRT_SHARED(float, patches);
    int const first_query = blockIdx.x * kQueries;
    size_t const queries = static_cast<size_t>(size.h) * size.w;
    corr += blockIdx.y * queries * size.map_h * size.map_w;
    coords += blockIdx.y * queries * 2;
    y += blockIdx.y * image_stride;
    load_patches(size, corr, coords, first_query, patches);
    __syncthreads();
    store(size, coords, first_query, patches, y);
}

template <class T, class Coordinate, class Out>
cudaError_t look_up_as(LookupSize size, void const* corr, void const* coords, void* y, cudaStream_t stream) {
    int const samples = window_side(size.radius) * window_side(size.radius);
    size_t const out_channels = sizeof(Out) == sizeof(uint4) ? padded_channels(samples) / 8 : samples;
    dim3 const grid(ceil_div(size.h * size.w, kQueries), size.n);
    return launch(look_up<T, Coordinate, Out>, grid, dim3(kThreads),
                  kQueries * patch_stride(size.radius) * sizeof(float), stream, size, out_channels * size.h * size.w,
                  static_cast<T const*>(corr), static_cast<Coordinate const*>(coords), static_cast<Out*>(y));
}

template <class T, class Out>
cudaError_t look_up_as(Format coords_format, LookupSize size, void const* corr, void const* coords, void* y,
                       cudaStream_t stream) {
    return coords_format == Format::kHalf ? look_up_as<T, __half, Out>(size, corr, coords, y, stream)
                                          : look_up_as<T, float, Out>(size, corr, coords, y, stream);
}

}  // namespace

cudaError_t correlation_lookup(Format format, Format coords_format, LookupSize size, void const* corr,
                               void const* coords, void* y, cudaStream_t stream) {
    if (size.radius < 0 || size.radius > kMaxLookupRadius) return cudaErrorInvalidValue;
    if (format == Format::kHalfHwc8) return look_up_as<__half, uint4>(coords_format, size, corr, coords, y, stream);
    if (format == Format::kHalf) return look_up_as<__half, __half>(coords_format, size, corr, coords, y, stream);
    return look_up_as<float, float>(coords_format, size, corr, coords, y, stream);
}

}  // namespace tweenrt
