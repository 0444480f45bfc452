// One engine with everything that a run needs.
#ifndef TWEENRT_NATIVE_TENSORRT_SESSION_H
#define TWEENRT_NATIVE_TENSORRT_SESSION_H

#include <memory>
#include <string>
#include <vector>

#include "context.h"
#include "engine.h"
#include "graphs.h"
#include "profiles.h"

namespace tweenrt::native {

// The first run with the same shapes and addresses queues the engine's kernels one by one. The second captures them as
// a CUDA graph, and later ones launch that. Where an engine cannot be captured, it goes on one by one.
class EngineSession final : public Session {
  public:
    // Throws Fault: UNSUPPORTED, MISMATCH, MISSING_LIBRARY, BACKEND_FAILED.
    EngineSession(Source const& source, char const* plugin_library, Library& library, Lane& lane, Log& log);
    ~EngineSession() override;

    char const* metadata(char const*) const noexcept override { return nullptr; }
    int32_t input_count() const noexcept override { return inputs_; }
    int32_t output_count() const noexcept override { return static_cast<int32_t>(ports_.size()) - inputs_; }
    Port input(int32_t index) const noexcept override { return port(ports_[index]); }
    Port output(int32_t index) const noexcept override { return port(ports_[inputs_ + index]); }
    tweenrt_status set_shapes(Shape const* inputs, Report& report) noexcept override;
    Shape output_shape(int32_t index) const noexcept override { return ports_[inputs_ + index].now; }
    tweenrt_status run(Tensor* const* inputs, Tensor* const* outputs, Report& report) noexcept override;

  private:
    struct Named {
        std::string name;
        Element element;
        Shape shape, now;
    };

    static Port port(Named const& named) { return {named.name.c_str(), named.element, named.shape}; }
    void add_ports(nvinfer1::TensorIOMode mode);
    void set_profile(Shape const* inputs);
    void set_shape(Named& input, Shape const& shape);
    [[noreturn]] void refuse(Named const& input, Shape const& shape) const;
    void bind();
    void capture();
    void enqueue();

    std::string path_;
    Library& library_;
    Lane& lane_;
    Log& log_;
    std::unique_ptr<nvinfer1::ICudaEngine> engine_;
    std::unique_ptr<Context> context_;
    std::vector<Named> ports_;  // inputs, then outputs
    int32_t inputs_ = 0;
    int32_t profile_ = 0;  // that the context is on
    std::unique_ptr<Graphs> graphs_;
    std::vector<void*> addresses_;  // of `ports_`, in the present run
    bool captures_ = true;
};

}  // namespace tweenrt::native

#endif  // TWEENRT_NATIVE_TENSORRT_SESSION_H
