#include "library.h"

#include <dlfcn.h>

#include "flavour.h"

namespace tweenrt::native {
namespace {

using Version = int32_t (*)();
using CreateRuntime = void* (*)(void* logger, int32_t version);
using Registry = nvinfer1::IPluginRegistry* (*)();

void* opened(std::string const& path) {
    void* const library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (library != nullptr) return library;
    char const* const why = dlerror();
    throw Fault(TWEENRT_STATUS_MISSING_LIBRARY,
                std::string(kFlavour) + " is not installed: " + (why == nullptr ? path : why) +
                    "; install it, let LD_LIBRARY_PATH name its folder, or let backend_library name the file");
}

template <class Function>
Function function(void* library, char const* name, std::string const& path) {
    void* const found = dlsym(library, name);
    if (found == nullptr)
        throw Fault(TWEENRT_STATUS_MISSING_LIBRARY, path + ": expected a library of " + kFlavour + ", it has no " +
                                                        name + "; let backend_library name " + kLibrary);
    return reinterpret_cast<Function>(found);
}

// getInferLibVersion() counts 10000 for a major version and 100 for a minor one.
std::string text_of(int32_t version) {
    return std::to_string(version / 10000) + "." + std::to_string(version / 100 % 100) + "." +
           std::to_string(version % 100);
}

}  // namespace

Library::Library(char const* path, Lane const& lane, Log& log) {
    std::string const name = path == nullptr ? kLibrary : path;
    void* const library = opened(name);
    check_version(name, function<Version>(library, "getInferLibVersion", name)());
    auto const create = function<CreateRuntime>(library, "createInferRuntime_INTERNAL", name);
    registry_ = function<Registry>(library, "getPluginRegistry", name)();
    Current const current(lane.gpu());
    Listening const listening(log);
    runtime_.reset(static_cast<nvinfer1::IRuntime*>(create(&logger(), NV_TENSORRT_VERSION)));
    if (runtime_ == nullptr || registry_ == nullptr)
        throw Fault(TWEENRT_STATUS_BACKEND_FAILED, title_ + " cannot be started: " + log.error());
}

void Library::check_version(std::string const& path, int32_t version) {
    version_ = text_of(version);
    title_ = std::string(kFlavour) + " " + version_;
    if (version < kOldest)
        throw Fault(TWEENRT_STATUS_MISMATCH,
                    path + ": expected " + kFlavour + " " + kOldestText + " or later, found " + version_ + kUpgrade);
    if (version / 10000 != kHeaderMajor)
        throw Fault(TWEENRT_STATUS_MISMATCH, path + " is " + title_ +
                                                 ", and this backend was compiled with the headers of version " +
                                                 kHeaderVersion + "; compile libtweenrt with those of " + title_ +
                                                 " (" + kHeadersVariable + ")");
}

}  // namespace tweenrt::native
