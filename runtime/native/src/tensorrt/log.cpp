#include "log.h"

#include <cstdio>
#include <cstring>

namespace tweenrt::native {
namespace {

using Severity = nvinfer1::ILogger::Severity;

thread_local Log* listener = nullptr;

class Logger final : public nvinfer1::ILogger {
  public:
    void log(Severity severity, char const* text) noexcept override {
        if (listener != nullptr) listener->hear(severity, text);
    }
};

tweenrt_log_level level_of(Severity severity) {
    switch (severity) {
        case Severity::kWARNING:
            return TWEENRT_LOG_WARNING;
        case Severity::kINFO:
            return TWEENRT_LOG_INFO;
        case Severity::kVERBOSE:
            return TWEENRT_LOG_VERBOSE;
        default:
            return TWEENRT_LOG_ERROR;
    }
}

}  // namespace

void Log::hear(Severity severity, char const* text) noexcept {
    tweenrt_log_level const level = level_of(severity);
    if (level == TWEENRT_LOG_ERROR)
        std::snprintf(error_, sizeof error_, "%.*s", static_cast<int>(std::strcspn(text, "\n")), text);
    say(level, text);
}

Listening::Listening(Log& log) noexcept : before_(listener) {
    log.error_[0] = '\0';
    listener = &log;
}

Listening::~Listening() { listener = before_; }

nvinfer1::ILogger& logger() noexcept {
    static Logger the_one;
    return the_one;
}

}  // namespace tweenrt::native
