// The functions of tweenrt.h: handles are checked and taken, faults become a status and a text.
#include <algorithm>
#include <atomic>
#include <cstring>
#include <memory>

#include "interpolator.h"
#include "report.h"
#include "version.h"

using tweenrt::native::guarded;
using tweenrt::native::Interpolator;
using tweenrt::native::Report;
using tweenrt::native::report_as;

namespace {

constexpr uint64_t kAlive = 0x7477656e72742b31;
constexpr uint64_t kGone = 0x7477656e72742b30;

thread_local Report last_error;

tweenrt_status failed(tweenrt_status status, char const* text) { return report_as(status, text, last_error); }

}  // namespace

struct tweenrt_interpolator {
    uint64_t magic = kAlive;
    std::atomic<bool> busy{false};
    std::unique_ptr<Interpolator> open;  // null once closed
};

namespace {

bool is_handle(tweenrt_interpolator const* handle) {
    if (handle == nullptr || reinterpret_cast<uintptr_t>(handle) % alignof(tweenrt_interpolator) != 0) return false;
    return handle->magic == kAlive;
}

// Holds a handle for one call.
class Hold {
  public:
    explicit Hold(tweenrt_interpolator* handle) : handle_(handle) {
        if (!is_handle(handle))
            status_ = failed(TWEENRT_STATUS_INVALID_HANDLE,
                             handle == nullptr ? "expected a handle of tweenrt_create(), got NULL"
                                               : "expected a handle of tweenrt_create(), got another pointer, or one "
                                                 "that was destroyed");
        else if (handle->busy.exchange(true, std::memory_order_acquire))
            status_ =
                failed(TWEENRT_STATUS_BUSY,
                       "another thread is inside of a call on this handle; a handle serves one call at a time, so "
                       "guard it with a lock, or create one handle a thread");
        else
            held_ = true;
    }
    Hold(Hold const&) = delete;
    Hold& operator=(Hold const&) = delete;
    ~Hold() {
        if (held_) handle_->busy.store(false, std::memory_order_release);
    }
    tweenrt_status status() const { return status_; }
    // The handle is about to be freed.
    void let_go() { held_ = false; }

  private:
    tweenrt_interpolator* handle_;
    tweenrt_status status_ = TWEENRT_STATUS_OK;
    bool held_ = false;
};

template <class Work>
tweenrt_status with(tweenrt_interpolator* handle, Work&& work) noexcept {
    Hold const hold(handle);
    if (hold.status() != TWEENRT_STATUS_OK) return hold.status();
    if (handle->open == nullptr) return failed(TWEENRT_STATUS_CLOSED, "the interpolator is closed; create another one");
    return guarded(last_error, [&] { work(*handle->open); });
}

tweenrt_status null_argument(char const* name) {
    std::snprintf(last_error.text, sizeof last_error.text, "expected a pointer for %s, got NULL", name);
    return TWEENRT_STATUS_INVALID_ARGUMENT;
}

tweenrt_status unknown_size() {
    return failed(TWEENRT_STATUS_INVALID_ARGUMENT, "expected struct_size to be set to the size of the structure");
}

// Copies as much of `value` as the caller's structure holds. Its first member says how much that is.
template <class Structure>
tweenrt_status hand_over(Structure value, Structure* target) {
    size_t const size = target->struct_size;
    if (size < sizeof(size_t)) return unknown_size();
    value.struct_size = size;
    std::memcpy(target, &value, std::min(size, sizeof value));
    return TWEENRT_STATUS_OK;
}

tweenrt_params defaults() {
    tweenrt_params params{};
    params.struct_size = sizeof params;
    params.iterations = 2;
    params.midpoint_levels = 3;
    return params;
}

}  // namespace

uint32_t tweenrt_version(void) {
    return TWEENRT_VERSION_MAJOR << 16 | TWEENRT_VERSION_MINOR << 8 | TWEENRT_VERSION_PATCH;
}

char const* tweenrt_version_text(void) { return TWEENRT_VERSION; }

uint32_t tweenrt_abi_version(void) { return TWEENRT_ABI_VERSION; }

char const* tweenrt_last_error(void) { return last_error.text; }

char const* tweenrt_status_text(tweenrt_status status) {
    static constexpr char const* kTexts[] = {
        "ok",        "invalid argument", "invalid handle", "closed",        "busy",          "not ready",
        "not found", "not ours",         "damaged",        "wrong kind",    "unsupported",   "missing library",
        "no device", "mismatch",         "backend failed", "out of memory", "internal fault"};
    constexpr int32_t kCount = sizeof kTexts / sizeof kTexts[0];
    return status >= 0 && status < kCount ? kTexts[status] : "unknown status";
}

tweenrt_status tweenrt_default_params(tweenrt_params* params, size_t struct_size) {
    if (params == nullptr) return null_argument("params");
    if (struct_size < sizeof(size_t)) return unknown_size();
    std::memset(params, 0, struct_size);
    params->struct_size = struct_size;
    return hand_over(defaults(), params);
}

tweenrt_status tweenrt_create(tweenrt_params const* params, tweenrt_interpolator** handle) {
    if (handle == nullptr) return null_argument("handle");
    *handle = nullptr;
    if (params == nullptr) return null_argument("params");
    return guarded(last_error, [&] {
        tweenrt_params known = defaults();
        if (params->struct_size < sizeof(size_t))
            throw tweenrt::native::Fault(TWEENRT_STATUS_INVALID_ARGUMENT,
                                         "expected params of tweenrt_default_params(), its struct_size is not set");
        std::memcpy(&known, params, std::min(params->struct_size, sizeof known));
        auto made = std::make_unique<tweenrt_interpolator>();
        made->open = std::make_unique<Interpolator>(known);
        *handle = made.release();
    });
}

tweenrt_status tweenrt_close(tweenrt_interpolator* handle) {
    Hold const hold(handle);
    if (hold.status() == TWEENRT_STATUS_OK) handle->open.reset();
    return hold.status();
}

tweenrt_status tweenrt_destroy(tweenrt_interpolator** handle) {
    if (handle == nullptr) return null_argument("handle");
    if (*handle == nullptr) return TWEENRT_STATUS_OK;
    Hold hold(*handle);
    if (hold.status() != TWEENRT_STATUS_OK) return hold.status();
    hold.let_go();
    (*handle)->magic = kGone;
    delete std::exchange(*handle, nullptr);
    return TWEENRT_STATUS_OK;
}

tweenrt_status tweenrt_describe(tweenrt_interpolator* handle, tweenrt_info* info) {
    if (info == nullptr) return null_argument("info");
    tweenrt_status handed = TWEENRT_STATUS_OK;
    tweenrt_status const status = with(handle, [&](Interpolator& open) { handed = hand_over(open.info(), info); });
    return status != TWEENRT_STATUS_OK ? status : handed;
}

tweenrt_status tweenrt_set_format(tweenrt_interpolator* handle, tweenrt_format const* format) {
    if (format == nullptr) return null_argument("format");
    return with(handle, [&](Interpolator& open) { open.set_format(*format); });
}

tweenrt_status tweenrt_prepare(tweenrt_interpolator* handle, int32_t slot, tweenrt_frame const* frame) {
    if (frame == nullptr) return null_argument("frame");
    return with(handle, [&](Interpolator& open) { open.prepare(slot, *frame); });
}

tweenrt_status tweenrt_draw(tweenrt_interpolator* handle, tweenrt_window const* window, double const* times,
                            tweenrt_frame const* outputs, int32_t count) {
    if (window == nullptr) return null_argument("window");
    if (count < 0) return failed(TWEENRT_STATUS_INVALID_ARGUMENT, "expected a count of 0 or more");
    if (count > 0 && times == nullptr) return null_argument("times");
    if (count > 0 && outputs == nullptr) return null_argument("outputs");
    return with(handle, [&](Interpolator& open) { open.draw(*window, times, outputs, count); });
}

tweenrt_status tweenrt_synchronize(tweenrt_interpolator* handle) {
    return with(handle, [](Interpolator& open) { open.synchronize(); });
}

tweenrt_status tweenrt_statistics(tweenrt_interpolator* handle, tweenrt_stats* stats) {
    if (stats == nullptr) return null_argument("stats");
    tweenrt_status handed = TWEENRT_STATUS_OK;
    tweenrt_status const status =
        with(handle, [&](Interpolator& open) { handed = hand_over(open.statistics(), stats); });
    return status != TWEENRT_STATUS_OK ? status : handed;
}
