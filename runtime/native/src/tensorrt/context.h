// An execution context of an engine, and what TensorRT-RTX compiled for it.
#ifndef TWEENRT_NATIVE_TENSORRT_CONTEXT_H
#define TWEENRT_NATIVE_TENSORRT_CONTEXT_H

#include <NvInferRuntime.h>

#include <memory>
#include <string>

namespace tweenrt::native {

// TensorRT-RTX compiles kernels for the GPU when a context is made, and can be handed those of an earlier time. That
// takes functions that only its own headers have.
class Context {
  public:
    // `key` identifies the engine: the SHA-256 of its file. get() is null where TensorRT gives no context.
    Context(nvinfer1::ICudaEngine& engine, std::string const& key);
    ~Context();
    Context(Context const&) = delete;
    Context& operator=(Context const&) = delete;

    nvinfer1::IExecutionContext* get() const { return context_.get(); }

  private:
#ifdef TRT_MAJOR_RTX
    std::string key_;
    std::unique_ptr<nvinfer1::IRuntimeConfig> config_;
    std::unique_ptr<nvinfer1::IRuntimeCache> kernels_;
    size_t known_ = 0;  // bytes of what was handed over
#endif
    std::unique_ptr<nvinfer1::IExecutionContext> context_;
};

}  // namespace tweenrt::native

#endif  // TWEENRT_NATIVE_TENSORRT_CONTEXT_H
