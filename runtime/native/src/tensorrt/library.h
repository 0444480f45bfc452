// TensorRT's library, opened at run time.
#ifndef TWEENRT_NATIVE_TENSORRT_LIBRARY_H
#define TWEENRT_NATIVE_TENSORRT_LIBRARY_H

#include <NvInferRuntime.h>

#include <memory>
#include <string>

#include "cuda.h"
#include "log.h"

namespace tweenrt::native {

// Never closed again: TensorRT does not bear it.
class Library {
  public:
    // For the lane's GPU. `path` may be null, for the usual name. Throws Fault: MISSING_LIBRARY where it is not there,
    // MISMATCH where it is too old or of another major version than the headers that this was compiled with.
    Library(char const* path, Lane const& lane, Log& log);

    std::string const& version() const { return version_; }  // such as "10.16.1"
    std::string const& title() const { return title_; }      // such as "tensorrt 10.16.1"
    nvinfer1::IRuntime& runtime() { return *runtime_; }
    nvinfer1::IPluginRegistry& registry() { return *registry_; }

  private:
    void check_version(std::string const& path, int32_t version);

    std::string version_, title_;
    nvinfer1::IPluginRegistry* registry_ = nullptr;
    std::unique_ptr<nvinfer1::IRuntime> runtime_;
};

}  // namespace tweenrt::native

#endif  // TWEENRT_NATIVE_TENSORRT_LIBRARY_H
