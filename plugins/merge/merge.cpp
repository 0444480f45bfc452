// The merge for callers in C: says what is wrong with a request before any of it reaches the GPU.
#include <cstdint>
#include <string>
#include <utility>

#include "../common/log.h"
#include "kernel.cuh"

namespace tweenrt {
namespace {

constexpr size_t kBytesPerPixel = 3;
constexpr size_t kWideLoad = 16;

// As text, separated by commas.
template <class... Numbers>
std::string list(Numbers... numbers) {
    std::string out;
    ((out += (out.empty() ? "" : ", ") + std::to_string(numbers)), ...);
    return out;
}

std::string wrong_sizes(tweenrt_merge const& merge) {
    if (merge.batch < 1 || merge.height < 1 || merge.width < 1)
        return "batch, height and width must be at least 1, got " + list(merge.batch, merge.height, merge.width);
    if (merge.top < 0 || merge.left < 0 || int64_t{merge.top} + merge.height > merge.padded_height ||
        int64_t{merge.left} + merge.width > merge.padded_width)
        return "height, width, top and left must lie inside padded_height, padded_width = " +
               list(merge.padded_height, merge.padded_width) + ", got " +
               list(merge.height, merge.width, merge.top, merge.left);
    size_t const least = kBytesPerPixel * merge.width, most = INT32_MAX / merge.height;
    for (auto const& [name, pitch] : {std::pair{"pitch0", merge.pitch0}, std::pair{"pitch1", merge.pitch1},
                                      std::pair{"pitch_out", merge.pitch_out}})
        if (pitch < least || pitch > most)
            return std::string(name) + " must be 3 * width = " + list(least) +
                   " to (2^31 - 1) / height = " + list(most) + " bytes, got " + list(pitch);
    return {};
}

std::string wrong_formats(tweenrt_merge const& merge) {
    if (merge.refined_format < TWEENRT_FLOAT || merge.refined_format > TWEENRT_HALF_HWC8)
        return "refined_format must be TWEENRT_FLOAT (0), TWEENRT_HALF (1) or TWEENRT_HALF_HWC8 (2), got " +
               list(merge.refined_format);
    if (merge.refined_format == TWEENRT_HALF_HWC8 && reinterpret_cast<uintptr_t>(merge.refined) % kWideLoad != 0)
        return "refined must be aligned to 16 bytes for TWEENRT_HALF_HWC8, as cudaMalloc does";
    if (merge.fill != TWEENRT_FILL_REPLICATE && merge.fill != TWEENRT_FILL_ZEROS)
        return "fill must be TWEENRT_FILL_REPLICATE (0) or TWEENRT_FILL_ZEROS (1), got " + list(merge.fill);
    return {};
}

// Empty, or what the request says that it must not.
std::string wrong(tweenrt_merge const* merge) {
    if (!merge || !merge->frame0 || !merge->frame1 || !merge->refined || !merge->out)
        return "the request, frame0, frame1, refined and out must be pointers, got NULL for one of them";
    auto const sizes = wrong_sizes(*merge);
    return sizes.empty() ? wrong_formats(*merge) : sizes;
}

}  // namespace
}  // namespace tweenrt

int tweenrt_merge_frames(tweenrt_merge const* merge, void* stream) {
    auto const wrong = tweenrt::wrong(merge);
    if (wrong.empty()) return tweenrt::merge_frames(*merge, static_cast<cudaStream_t>(stream));
    tweenrt::log_error("tweenrt_merge_frames: " + wrong);
    return cudaErrorInvalidValue;
}
