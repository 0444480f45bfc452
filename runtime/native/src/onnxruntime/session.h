// A graph that ONNX Runtime has loaded.
#ifndef TWEENRT_NATIVE_ONNXRUNTIME_SESSION_H
#define TWEENRT_NATIVE_ONNXRUNTIME_SESSION_H

#include <map>
#include <string>
#include <vector>

#include "library.h"

namespace tweenrt::native {

// An array in ordinary memory that ONNX Runtime knows.
class OnnxTensor : public Tensor {
  public:
    OnnxTensor(OnnxRuntime const& library, OrtMemoryInfo const* memory, Element element, Shape const& shape);
    OrtValue* value() const { return value_.get(); }

  private:
    struct Free {
        void operator()(void* data) const;
    };
    std::unique_ptr<void, Free> memory_;
    ValuePtr value_;
};

// Sizes that a graph leaves open, by their letters: "H" → 480.
using Letters = std::map<std::string, int64_t>;

// An input or output of a graph with the names of its open sizes.
struct NamedPort {
    std::string name;
    Element element;
    Shape shape;
    std::vector<std::string> sizes;  // "" where fixed or without a name
};

class OnnxSession : public Session {
  public:
    // Throws Fault: DAMAGED where ONNX Runtime cannot load the file, UNSUPPORTED for types that no graph of ours has.
    OnnxSession(OnnxRuntime const& library, SessionPtr session, std::string path);

    char const* metadata(char const* key) const noexcept override;
    int32_t input_count() const noexcept override { return static_cast<int32_t>(inputs_.size()); }
    int32_t output_count() const noexcept override { return static_cast<int32_t>(outputs_.size()); }
    Port input(int32_t index) const noexcept override { return port(inputs_[index]); }
    Port output(int32_t index) const noexcept override { return port(outputs_[index]); }
    tweenrt_status set_shapes(Shape const* inputs, Report& report) noexcept override;
    Shape output_shape(int32_t index) const noexcept override { return output_shapes_[index]; }
    tweenrt_status run(Tensor* const* inputs, Tensor* const* outputs, Report& report) noexcept override;

  private:
    static Port port(NamedPort const& named) { return {named.name.c_str(), named.element, named.shape}; }
    std::vector<NamedPort> ports(bool input);
    NamedPort described(bool input, size_t index);
    void read_metadata();
    Letters letters_of(Shape const* inputs) const;

    OnnxRuntime const& library_;
    SessionPtr session_;
    std::string path_;
    std::map<std::string, std::string> metadata_;
    std::vector<NamedPort> inputs_, outputs_;
    std::vector<Shape> output_shapes_;
    std::vector<char const*> input_names_, output_names_;
    std::vector<OrtValue const*> from_;
    std::vector<OrtValue*> to_;
};

// The value of a size such as "H", "W/16" or "H*3/2"; -1 where it cannot be known.
int64_t size_of(std::string const& text, Letters const& letters);

}  // namespace tweenrt::native

#endif  // TWEENRT_NATIVE_ONNXRUNTIME_SESSION_H
