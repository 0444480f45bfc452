// The conversions for callers in C: says what is wrong with a request before any of it reaches the GPU.
#include <cstdint>
#include <string>
#include <tuple>

#include "../common/log.h"
#include "kernel.cuh"

namespace tweenrt {
namespace {

constexpr int kLargestBlock = 4096;  // 4096 * 4096 * 255 is the largest sum that 32 bits hold

std::string wrong_pitch(char const* name, size_t pitch, size_t least) {
    if (pitch >= least) return {};
    return std::string(name) + " must be at least the " + std::to_string(least) + " bytes of a row, got " +
           std::to_string(pitch);
}

// Empty, or what the request says that it must not.
std::string wrong(tweenrt_nv12 const* picture) {
    if (!picture || !picture->luma || !picture->chroma || !picture->rgb)
        return "the request, luma, chroma and rgb must be pointers, got NULL for one of them";
    if (picture->height < 2 || picture->width < 2 || picture->height % 2 || picture->width % 2)
        return "height and width must be even, got " + std::to_string(picture->height) + ", " +
               std::to_string(picture->width);
    size_t const width = picture->width;
    for (auto const& [name, pitch, least] : {std::tuple{"pitch_luma", picture->pitch_luma, width},
                                             std::tuple{"pitch_chroma", picture->pitch_chroma, width},
                                             std::tuple{"pitch_rgb", picture->pitch_rgb, 3 * width}})
        if (auto const reason = wrong_pitch(name, pitch, least); !reason.empty()) return reason;
    return {};
}

std::string wrong_blocks(uint8_t const* rgb, size_t pitch, int height, int width, int step, uint32_t const* sums) {
    if (!rgb || !sums) return "rgb and sums must be pointers, got NULL for one of them";
    if (step < 1 || step > kLargestBlock || height < step || width < step)
        return "step must be 1 to " + std::to_string(kLargestBlock) + " and at most height and width, got " +
               std::to_string(step) + ", " + std::to_string(height) + ", " + std::to_string(width);
    return wrong_pitch("pitch", pitch, 3 * static_cast<size_t>(width));
}

int refuse(char const* function, std::string const& reason) {
    log_error(std::string(function) + ": " + reason);
    return cudaErrorInvalidValue;
}

}  // namespace
}  // namespace tweenrt

int tweenrt_nv12_to_rgb(tweenrt_nv12 const* picture, void* stream) {
    auto const reason = tweenrt::wrong(picture);
    if (!reason.empty()) return tweenrt::refuse("tweenrt_nv12_to_rgb", reason);
    return tweenrt::nv12_to_rgb(*picture, static_cast<cudaStream_t>(stream));
}

int tweenrt_rgb_to_nv12(tweenrt_nv12 const* picture, void* stream) {
    auto const reason = tweenrt::wrong(picture);
    if (!reason.empty()) return tweenrt::refuse("tweenrt_rgb_to_nv12", reason);
    return tweenrt::rgb_to_nv12(*picture, static_cast<cudaStream_t>(stream));
}

int tweenrt_sum_blocks(uint8_t const* rgb, size_t pitch, int32_t height, int32_t width, int32_t step, uint32_t* sums,
                       void* stream) {
    auto const reason = tweenrt::wrong_blocks(rgb, pitch, height, width, step, sums);
    if (!reason.empty()) return tweenrt::refuse("tweenrt_sum_blocks", reason);
    return tweenrt::sum_blocks(rgb, pitch, height, width, step, sums, static_cast<cudaStream_t>(stream));
}
