// What libtweenrt_plugins.so exports to TensorRT: the creators of all ops, and where it hands us its logger.
#include <NvInferRuntime.h>
#include <NvInferRuntimePlugin.h>

#include <atomic>
#include <cstdio>

#include "common/log.h"
#include "include/tweenrt_plugins.h"

namespace tweenrt {
namespace {

std::atomic<nvinfer1::ILoggerFinder*> logger_finder{nullptr};
thread_local std::string last_error;

}  // namespace

void log_error(std::string const& text) noexcept {
    last_error = text;
    auto* const finder = logger_finder.load();
    auto* const logger = finder ? finder->findLogger() : nullptr;
    if (logger)
        logger->log(nvinfer1::ILogger::Severity::kERROR, text.c_str());
    else
        std::fprintf(stderr, "%s\n", text.c_str());
}

#define TWEENRT_OP(Op) nvinfer1::IPluginCreatorInterface* Op##_creator();
#include "ops.inc"
#undef TWEENRT_OP

}  // namespace tweenrt

extern "C" char const* tweenrt_plugins_last_error(void) { return tweenrt::last_error.c_str(); }

// TensorRT calls these two after it has opened the library.
#define TWEENRT_EXPORT extern "C" __attribute__((visibility("default")))

TWEENRT_EXPORT void setLoggerFinder(nvinfer1::ILoggerFinder* finder) { tweenrt::logger_finder = finder; }

TWEENRT_EXPORT nvinfer1::IPluginCreatorInterface* const* getCreators(int32_t& count) {
    static nvinfer1::IPluginCreatorInterface* const creators[] = {
#define TWEENRT_OP(Op) tweenrt::Op##_creator(),
#include "ops.inc"
#undef TWEENRT_OP
    };
    count = static_cast<int32_t>(sizeof creators / sizeof *creators);
    return creators;
}
