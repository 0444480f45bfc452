#include "library.h"

#include <dlfcn.h>

namespace tweenrt::native {
namespace {

// The least that has all functions in use; the library may be newer than the header, and older down to this.
constexpr uint32_t kApi = 17;
constexpr char const* kNames[] = {"libonnxruntime.so.1", "libonnxruntime.so", "libonnxruntime.so.1.21"};

// It stays loaded: threads of its own may outlive what was asked of it.
void* opened(char const* file) {
    constexpr int kMode = RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE;
    if (file != nullptr) return dlopen(file, kMode);
    for (char const* name : kNames)
        if (void* const library = dlopen(name, kMode)) return library;
    return nullptr;
}

[[noreturn]] void missing(std::string const& why) {
    throw Fault(TWEENRT_STATUS_MISSING_LIBRARY,
                "expected ONNX Runtime 1." + std::to_string(kApi) + " or later: " + why +
                    "; install it, or let backend_library name its file, libonnxruntime.so.1 or "
                    "libonnxruntime.so.<version>, which the Python package also has in onnxruntime/capi");
}

}  // namespace

OnnxRuntime::OnnxRuntime(char const* file) {
    void* const library = opened(file);
    if (library == nullptr) {
        char const* const why = dlerror();
        missing(why == nullptr ? "it cannot be loaded" : why);
    }
    using GetBase = OrtApiBase const* (*)();
    auto const base = reinterpret_cast<GetBase>(dlsym(library, "OrtGetApiBase"));
    if (base == nullptr) missing("the library has no OrtGetApiBase");
    version_ = base()->GetVersionString();
    api_ = base()->GetApi(kApi);
    if (api_ == nullptr) missing("this is version " + version_);
}

void OnnxRuntime::check(OrtStatus* status, std::string const& what) const {
    if (status != nullptr)
        throw Fault(TWEENRT_STATUS_BACKEND_FAILED, what + ": ONNX Runtime failed: " + text_of(status));
}

std::string OnnxRuntime::text_of(OrtStatus* status) const {
    std::string const text = api_->GetErrorMessage(status);
    api_->ReleaseStatus(status);
    return text.substr(0, text.find('\n'));
}

}  // namespace tweenrt::native
