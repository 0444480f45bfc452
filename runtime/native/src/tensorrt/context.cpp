#include "context.h"

#ifdef TRT_MAJOR_RTX

#include "kernel_cache.h"

namespace tweenrt::native {

Context::Context(nvinfer1::ICudaEngine& engine, std::string const& key) : key_(key) {
    config_.reset(engine.createRuntimeConfig());
    if (config_ == nullptr) return;
    // Every kernel is there before the first frame: one that is replaced while a video runs would not be in the CUDA
    // graphs that were captured before.
    config_->setDynamicShapesKernelSpecializationStrategy(nvinfer1::DynamicShapesKernelSpecializationStrategy::kEAGER);
    kernels_.reset(config_->createRuntimeCache());
    if (kernels_ != nullptr) {
        std::string const compiled = read_kernels(key_);
        if (!compiled.empty() && kernels_->deserialize(compiled.data(), compiled.size())) known_ = compiled.size();
        config_->setRuntimeCache(*kernels_);
    }
    context_.reset(engine.createExecutionContext(config_.get()));
}

Context::~Context() {
    if (context_ == nullptr || kernels_ == nullptr) return;
    std::unique_ptr<nvinfer1::IHostMemory> const compiled(kernels_->serialize());
    if (compiled != nullptr && compiled->size() != known_) write_kernels(key_, compiled->data(), compiled->size());
}

}  // namespace tweenrt::native

#else

namespace tweenrt::native {

Context::Context(nvinfer1::ICudaEngine& engine, std::string const&) : context_(engine.createExecutionContext()) {}

Context::~Context() = default;

}  // namespace tweenrt::native

#endif  // TRT_MAJOR_RTX
