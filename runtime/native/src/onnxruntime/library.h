// ONNX Runtime's library, opened while the program runs, and its versioned C functions.
#ifndef TWEENRT_NATIVE_ONNXRUNTIME_LIBRARY_H
#define TWEENRT_NATIVE_ONNXRUNTIME_LIBRARY_H

#include <onnxruntime_c_api.h>

#include <memory>
#include <string>

#include "../report.h"

namespace tweenrt::native {

class OnnxRuntime {
  public:
    // `file`: of the library, or null for the usual names. Throws Fault MISSING_LIBRARY.
    explicit OnnxRuntime(char const* file);

    OrtApi const* operator->() const { return api_; }
    std::string const& version() const { return version_; }

    // Throws Fault BACKEND_FAILED with what ONNX Runtime said and `what` before it, unless `status` is null.
    void check(OrtStatus* status, std::string const& what) const;

    // What ONNX Runtime said, its first line; frees `status`.
    std::string text_of(OrtStatus* status) const;

  private:
    OrtApi const* api_ = nullptr;
    std::string version_;
};

// Owns an object of ONNX Runtime, which the member `release` of its API frees.
template <class Object, auto release>
struct Release {
    OrtApi const* api;
    void operator()(Object* object) const { (api->*release)(object); }
};
template <class Object, auto release>
using Owner = std::unique_ptr<Object, Release<Object, release>>;

using EnvPtr = Owner<OrtEnv, &OrtApi::ReleaseEnv>;
using SessionPtr = Owner<OrtSession, &OrtApi::ReleaseSession>;
using SessionOptionsPtr = Owner<OrtSessionOptions, &OrtApi::ReleaseSessionOptions>;
using MemoryInfoPtr = Owner<OrtMemoryInfo, &OrtApi::ReleaseMemoryInfo>;
using ValuePtr = Owner<OrtValue, &OrtApi::ReleaseValue>;
using ModelMetadataPtr = Owner<OrtModelMetadata, &OrtApi::ReleaseModelMetadata>;
using TypeInfoPtr = Owner<OrtTypeInfo, &OrtApi::ReleaseTypeInfo>;

}  // namespace tweenrt::native

#endif  // TWEENRT_NATIVE_ONNXRUNTIME_LIBRARY_H
