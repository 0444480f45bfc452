// libtweenrt for C++17: the C functions of tweenrt.h with exceptions and handles that close themselves. Header only.
//
//     tweenrt::Interpolator interpolator{tweenrt::Params{"rife-4.25.onnx"}};
//     interpolator.set_format({width, height, TWEENRT_PIXELS_RGB8});
//     interpolator.prepare(0, tweenrt::packed(first));
//     interpolator.prepare(1, tweenrt::packed(second));
//     interpolator.draw(tweenrt::between(0, 1), 0.5, tweenrt::packed(middle));
//
// What tweenrt.h says of threads, memory and stability holds here too.
#ifndef TWEENRT_TWEENRT_HPP
#define TWEENRT_TWEENRT_HPP

#include <tweenrt/tweenrt.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace tweenrt {

// A call that did not return TWEENRT_STATUS_OK.
class Error : public std::runtime_error {
  public:
    Error(tweenrt_status status, std::string const& text) : std::runtime_error(text), status_(status) {}
    tweenrt_status status() const noexcept { return status_; }

  private:
    tweenrt_status status_;
};

// Throws what the last call of this thread said, unless `status` is OK.
inline void check(tweenrt_status status) {
    if (status != TWEENRT_STATUS_OK) throw Error(status, tweenrt_last_error());
}

// tweenrt_params with its defaults; set what should be different. It keeps the text of `graph`; others that are set
// must live until the Interpolator is made.
class Params {
  public:
    explicit Params(std::string graph) : graph_(std::move(graph)) {
        check(tweenrt_default_params(&values_, sizeof values_));
    }
    tweenrt_params& operator*() noexcept { return values_; }
    tweenrt_params* operator->() noexcept { return &values_; }
    // To hand to tweenrt_create(), as long as this object lives.
    tweenrt_params get() const noexcept {
        tweenrt_params values = values_;
        values.graph = graph_.c_str();
        return values;
    }

  private:
    std::string graph_;
    tweenrt_params values_{};
};

// A host frame of one plane, [height, width, channels] bytes; pitch 0 stands for rows without gaps. The library only
// reads frames that come in.
inline tweenrt_frame packed(void const* pixels, std::int64_t pitch = 0) noexcept {
    return {{const_cast<void*>(pixels), nullptr, nullptr}, {pitch, 0, 0}, TWEENRT_MEMORY_HOST};
}

// A host frame in NV12: [height, width] bytes of luma and [ceil(height / 2), ceil(width / 2), 2] of chroma.
inline tweenrt_frame nv12(void const* luma, void const* chroma, std::int64_t luma_pitch = 0,
                          std::int64_t chroma_pitch = 0) noexcept {
    return {{const_cast<void*>(luma), const_cast<void*>(chroma), nullptr},
            {luma_pitch, chroma_pitch, 0},
            TWEENRT_MEMORY_HOST};
}

// A host frame in three planes, one after the other: [3, height, width] elements of `element_bytes` (4 or 2).
inline tweenrt_frame planar(void const* pixels, std::int32_t width, std::int32_t height, int element_bytes) noexcept {
    std::int64_t const plane = std::int64_t{width} * height * element_bytes;
    auto* const start = static_cast<std::uint8_t*>(const_cast<void*>(pixels));
    return {{start, start + plane, start + 2 * plane}, {0, 0, 0}, TWEENRT_MEMORY_HOST};
}

// The same frame, said to lie in GPU memory.
inline tweenrt_frame on_device(tweenrt_frame frame) noexcept {
    frame.memory = TWEENRT_MEMORY_DEVICE;
    return frame;
}

inline tweenrt_window between(std::int32_t first, std::int32_t second, std::int32_t before = -1,
                              std::int32_t after = -1) noexcept {
    return {first, second, before, after};
}

// Owns a handle. Movable; a moved-from object may only be assigned to or destroyed. Every method throws Error.
class Interpolator {
  public:
    explicit Interpolator(Params const& params) {
        tweenrt_params const values = params.get();
        check(tweenrt_create(&values, &handle_));
    }
    Interpolator(Interpolator&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
    Interpolator& operator=(Interpolator&& other) noexcept {
        std::swap(handle_, other.handle_);
        return *this;
    }
    Interpolator(Interpolator const&) = delete;
    Interpolator& operator=(Interpolator const&) = delete;
    ~Interpolator() { tweenrt_destroy(&handle_); }

    tweenrt_info info() const {
        tweenrt_info info{};
        info.struct_size = sizeof info;
        check(tweenrt_describe(handle_, &info));
        return info;
    }
    tweenrt_stats statistics() const {
        tweenrt_stats stats{};
        stats.struct_size = sizeof stats;
        check(tweenrt_statistics(handle_, &stats));
        return stats;
    }
    void set_format(tweenrt_format const& format) { check(tweenrt_set_format(handle_, &format)); }
    void prepare(std::int32_t slot, tweenrt_frame const& frame) { check(tweenrt_prepare(handle_, slot, &frame)); }
    void draw(tweenrt_window const& window, double time, tweenrt_frame const& output) {
        check(tweenrt_draw(handle_, &window, &time, &output, 1));
    }
    void draw(tweenrt_window const& window, std::vector<double> const& times,
              std::vector<tweenrt_frame> const& outputs) {
        if (times.size() != outputs.size())
            throw Error(TWEENRT_STATUS_INVALID_ARGUMENT, "expected as many outputs as times, got " +
                                                             std::to_string(outputs.size()) + " and " +
                                                             std::to_string(times.size()));
        check(tweenrt_draw(handle_, &window, times.data(), outputs.data(), static_cast<std::int32_t>(times.size())));
    }
    void synchronize() { check(tweenrt_synchronize(handle_)); }
    void close() { check(tweenrt_close(handle_)); }
    // The handle, for the C functions; it stays this object's.
    tweenrt_interpolator* get() const noexcept { return handle_; }

  private:
    tweenrt_interpolator* handle_ = nullptr;
};

}  // namespace tweenrt

#endif  // TWEENRT_TWEENRT_HPP
