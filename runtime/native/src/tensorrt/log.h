// What TensorRT says, and who hears it.
#ifndef TWEENRT_NATIVE_TENSORRT_LOG_H
#define TWEENRT_NATIVE_TENSORRT_LOG_H

#include <NvInferRuntime.h>
#include <tweenrt/tweenrt.h>

namespace tweenrt::native {

// Passes messages to the caller's callback, and keeps the last error for a Report.
class Log {
  public:
    Log(tweenrt_log_callback callback, void* user) : callback_(callback), user_(user) {}

    void say(tweenrt_log_level level, char const* text) noexcept {
        if (callback_ != nullptr) callback_(user_, level, text);
    }
    // A message of TensorRT's.
    void hear(nvinfer1::ILogger::Severity severity, char const* text) noexcept;
    // First line of the last error since listening began.
    char const* error() const noexcept { return *error_ == '\0' ? "it gave no reason" : error_; }

  private:
    friend class Listening;
    tweenrt_log_callback callback_;
    void* user_;
    char error_[512] = "";
};

// What TensorRT says in this thread goes to `log`, as long as this object lives.
class Listening {
  public:
    explicit Listening(Log& log) noexcept;
    ~Listening();
    Listening(Listening const&) = delete;
    Listening& operator=(Listening const&) = delete;

  private:
    Log* before_;
};

// The logger to hand to TensorRT, which keeps the first one of a process for ever. This one has no state; it passes on
// to who listens in the thread where TensorRT speaks, and what it says in threads of its own is not heard.
nvinfer1::ILogger& logger() noexcept;

}  // namespace tweenrt::native

#endif  // TWEENRT_NATIVE_TENSORRT_LOG_H
