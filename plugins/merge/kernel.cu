#include "../common/bilinear.cuh"
#include "../common/tensor.cuh"
#include "kernel.cuh"

namespace tweenrt {
namespace {

constexpr int kTileColumns = 32, kTileRows = 8;  // of a block's tile: a warp takes a row of it
constexpr int kThreads = kTileColumns * kTileRows;
constexpr int kColours = 3;
constexpr float kPeak = 255.0f;

// The refined tensor at one pixel: flow into the earlier frame x, y, into the later x, y, mask, residual R, G, B.
__device__ Eight refined_at(uint4 const* refined, size_t pixels, size_t image, size_t pixel) {
    return unpack(refined[image * pixels + pixel]);
}

template <class T>
__device__ Eight refined_at(T const* refined, size_t pixels, size_t image, size_t pixel) {
    Eight out;
#pragma unroll
    for (int i = 0; i < 8; ++i) out.value[i] = to_float(refined[(image * 8 + i) * pixels + pixel]);
    return out;
}

// Along one side: the pixels of the frame that two pixels of the padded frame were filled from.
__device__ Pair unpadded(Pair padded, int before, int size, bool zeros) {
    int const first = padded.first - before, second = padded.second - before;
    bool const outside = zeros && (first < 0 || first >= size), outside_next = zeros && (second < 0 || second >= size);
    return {min(max(first, 0), size - 1), min(max(second, 0), size - 1), outside ? 0.0f : padded.weight,
            outside_next ? 0.0f : padded.weight_next};
}

// One frame of packed RGB, sampled at column x and row y of the padded frame; 0..255.
__device__ void look(tweenrt_merge const& merge, uint8_t const* frame, size_t pitch, float x, float y,
                     float (&colours)[kColours]) {
    bool const zeros = merge.fill == TWEENRT_FILL_ZEROS;
    Pair across = unpadded(neighbours<Border::kEdge>(x, merge.padded_width), merge.left, merge.width, zeros);
    Pair const down = unpadded(neighbours<Border::kEdge>(y, merge.padded_height), merge.top, merge.height, zeros);
    across.first *= kColours;
    across.second *= kColours;
    Corners const at = corners(across, down, static_cast<int>(pitch));
#pragma unroll
    for (int c = 0; c < kColours; ++c) colours[c] = sample(frame + c, 1, at);
}

// The new pixel as 0x00BBGGRR.
__device__ uint32_t merged(tweenrt_merge const& merge, size_t image, int row, int column, Eight const& refined) {
    float const x = merge.left + column, y = merge.top + row;
    float seen0[kColours], seen1[kColours];
    look(merge, merge.frame0 + image * merge.height * merge.pitch0, merge.pitch0, x + refined.value[0],
         y + refined.value[1], seen0);
    look(merge, merge.frame1 + image * merge.height * merge.pitch1, merge.pitch1, x + refined.value[2],
         y + refined.value[3], seen1);
    float const weight = 1.0f / (1.0f + expf(-refined.value[4]));
    uint32_t packed = 0;
#pragma unroll
    for (int c = 0; c < kColours; ++c) {
        float const value = weight * seen0[c] + (1.0f - weight) * seen1[c] + kPeak * refined.value[5 + c];
        // NaN becomes 0; rintf rounds half to even.
        packed |= static_cast<uint32_t>(rintf(fminf(fmaxf(value, 0.0f), kPeak))) << (8 * c);
    }
    return packed;
}

// A warp writes its pixels of a row. Four pixels are three words, so the first three of four neighbouring lanes write a
// word each: the end of their own pixel and the beginning of the next.
__device__ void store(uint8_t* out_row, int column, int width, bool words, uint32_t rgb) {
    uint32_t const next = __shfl_down_sync(0xffffffffu, rgb, 1);
    int const place = column % 4, quad = column - place;
    if (out_row == nullptr || column >= width) return;
    if (words && quad + 4 <= width) {
        if (place < 3)
            *reinterpret_cast<uint32_t*>(out_row + kColours * quad + 4 * place) =
                rgb >> (8 * place) | next << (24 - 8 * place);
        return;
    }
#pragma unroll
    for (int c = 0; c < kColours; ++c) out_row[kColours * column + c] = static_cast<uint8_t>(rgb >> (8 * c));
}

// One thread takes one pixel. Refined: uint4 where the tensor lies in kHWC8, else the type of its planes.
template <class Refined>
__global__ void __launch_bounds__(kThreads)
    merge_pixels(tweenrt_merge merge, Refined const* __restrict__ refined, bool words) {
    int const column = blockIdx.x * kTileColumns + threadIdx.x % kTileColumns;
    int const row = blockIdx.y * kTileRows + threadIdx.x / kTileColumns;
    size_t const image = blockIdx.z, pixels = static_cast<size_t>(merge.padded_height) * merge.padded_width;
    uint32_t rgb = 0;
    if (column < merge.width && row < merge.height) {
        size_t const pixel = static_cast<size_t>(merge.top + row) * merge.padded_width + merge.left + column;
        rgb = merged(merge, image, row, column, refined_at(refined, pixels, image, pixel));
    }
    uint8_t* const out_row = row < merge.height ? merge.out + (image * merge.height + row) * merge.pitch_out : nullptr;
    store(out_row, column, merge.width, words, rgb);
}

template <class Refined>
cudaError_t merge_as(tweenrt_merge const& merge, cudaStream_t stream) {
    bool const words = (reinterpret_cast<uintptr_t>(merge.out) | merge.pitch_out) % 4 == 0;
    dim3 const grid(ceil_div(merge.width, kTileColumns), ceil_div(merge.height, kTileRows), merge.batch);
    return launch(merge_pixels<Refined>, grid, dim3(kThreads), 0, stream, merge,
                  static_cast<Refined const*>(merge.refined), words);
}

}  // namespace

cudaError_t merge_frames(tweenrt_merge const& merge, cudaStream_t stream) {
    if (merge.refined_format == TWEENRT_HALF_HWC8) return merge_as<uint4>(merge, stream);
    return merge.refined_format == TWEENRT_HALF ? merge_as<__half>(merge, stream) : merge_as<float>(merge, stream);
}

}  // namespace tweenrt
