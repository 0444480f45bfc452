// What a backend is: the interface between libtweenrt and its modules, libtweenrt_<backend>.so, one for each library
// that can execute a network. A module is built with libtweenrt and opened by it with dlopen(); kInterface says that
// they belong together. Nothing in here throws across a module's border: calls return a status, and a Report says why.
//
// Everything is used by one thread at a time. A backend that computes on a GPU queues its work on one stream, in the
// order of the calls; what host memory is involved is read before a call returns, and written by the next finish().
#ifndef TWEENRT_NATIVE_BACKEND_H
#define TWEENRT_NATIVE_BACKEND_H

#include <tweenrt/tweenrt.h>

#include <cstddef>
#include <cstdint>

namespace tweenrt::native {

// Changes with every change of this file.
constexpr uint32_t kInterface = 1;

// Why a call failed. The text lies in the object, so that reporting allocates nothing.
struct Report {
    char text[1024] = "";
};

// Beside the elements of frames and features there are none in our graphs.
enum class Element : int32_t { kUint8, kHalf, kFloat };

constexpr size_t element_bytes(Element element) {
    return element == Element::kUint8 ? 1 : element == Element::kHalf ? 2 : 4;
}

constexpr int32_t kMostDimensions = 8;

struct Shape {
    int32_t rank = 0;
    int64_t sizes[kMostDimensions] = {};  // -1 for one that is open
};

// An input or output of a graph.
struct Port {
    char const* name = "";  // valid as long as the session
    Element element = Element::kFloat;
    Shape shape;
};

// An array where the backend computes. N is 1 in all tensors of ours. Its bytes are not set when it is made.
class Tensor {
  public:
    virtual ~Tensor() = default;
    Element element = Element::kFloat;
    Shape shape;
    void* data = nullptr;  // in the memory where the backend computes
    size_t bytes = 0;
};

// What happens to the caller's frames on their way into a tensor and back. Tensors of frames are, with uint8 elements,
// [1, height, width, 3] RGB, 0..255; else [1, 3, padded_height, padded_width] RGB, 0..1.
enum class Fill : int32_t { kZeros, kReplicate, kReflect };

struct Geometry {
    tweenrt_format format;
    Element element = Element::kFloat;  // of the tensors of frames
    int32_t padded_height = 0;
    int32_t padded_width = 0;
    int32_t top = 0;  // where in the tensor the frame begins
    int32_t left = 0;
    Fill fill =
        Fill::kZeros;  // of what surrounds it; kReflect without the edge itself, and never further than the frame
};

// What libtweenrt has read from the header of an engine file and the module must check before the plan reaches
// TensorRT. Texts are those of the header (runtime/engines/engine_file.py), empty where it has none.
struct EngineHeader {
    char const* flavour;         // "tensorrt" or "tensorrt-rtx"
    char const* tensorrt;        // such as "10.16.2"
    char const* device;          // such as "NVIDIA H200 (sm90)"; empty if built for `targets`
    char const* targets;         // such as "sm86,sm89"
    bool portable;               // it runs on every GPU since Ampere
    char const* plugins;         // our ops in it that run as plugins, such as "BackwardWarp,WarpBlend"
    char const* plugins_sha256;  // of the plugin library it was built with
    char const* file_sha256;     // of the whole engine file, 64 hexadecimal digits
};

// Where a network comes from. Valid during Backend::load().
struct Source {
    char const* path;            // for messages, and where `engine` is null also to read
    EngineHeader const* engine;  // null for an ONNX file
    void const* plan;            // of an engine; its checksum was right
    size_t plan_bytes;
};

// One loaded graph or engine.
class Session {
  public:
    virtual ~Session() = default;

    // Value of a property of an ONNX file, "tweenrt." included in `key`; null where there is none, and for engines.
    virtual char const* metadata(char const* key) const noexcept = 0;

    virtual int32_t input_count() const noexcept = 0;  // those that must be given
    virtual int32_t output_count() const noexcept = 0;
    virtual Port input(int32_t index) const noexcept = 0;
    virtual Port output(int32_t index) const noexcept = 0;

    // Says what the inputs will be from now on, in the order of input(), nothing open. Fails with UNSUPPORTED where the
    // graph was not made for that.
    virtual tweenrt_status set_shapes(Shape const* inputs, Report& report) noexcept = 0;

    // What an output is for those inputs, nothing open.
    virtual Shape output_shape(int32_t index) const noexcept = 0;

    // Runs once, from and into tensors of the backend that loaded it. Allocates nothing of its own.
    virtual tweenrt_status run(Tensor* const* inputs, Tensor* const* outputs, Report& report) noexcept = 0;
};

// One library that executes networks, opened for one interpolator. Sessions and tensors must go before it.
class Backend {
  public:
    virtual ~Backend() = default;

    virtual char const* name() const noexcept = 0;     // "onnxruntime", "tensorrt", "tensorrt-rtx"
    virtual char const* version() const noexcept = 0;  // of the library
    virtual bool takes_device_frames() const noexcept = 0;

    // Both hand over an object that the caller deletes.
    virtual tweenrt_status load(Source const& source, Session** session, Report& report) noexcept = 0;
    virtual tweenrt_status make_tensor(Element element, Shape const& shape, Tensor** tensor,
                                       Report& report) noexcept = 0;

    // Allocates what pack(), unpack() and requantise() need for frames of this geometry, until the next call. Fails
    // with UNSUPPORTED where it cannot convert them.
    virtual tweenrt_status set_geometry(Geometry const& geometry, Report& report) noexcept = 0;

    // Sets all elements of a float or half tensor.
    virtual tweenrt_status fill(Tensor& tensor, float value, Report& report) noexcept = 0;

    // A frame of the caller's, planes and pitches complete, into a tensor of frames, padded. See convert.h.
    virtual tweenrt_status pack(tweenrt_frame const& frame, Tensor& target, Report& report) noexcept = 0;

    // What was drawn into a frame of the caller's.
    virtual tweenrt_status unpack(Tensor const& drawn, tweenrt_frame const& frame, Report& report) noexcept = 0;

    // What was drawn as if it had been handed to the caller as RGB of his format's depth and had come in again:
    // cropped, limited to 0..1, rounded to bytes or halves where his pixels are, padded. `target` is another tensor.
    virtual tweenrt_status requantise(Tensor const& drawn, Tensor& target, Report& report) noexcept = 0;

    // Waits until host frames are written.
    virtual tweenrt_status finish(Report& report) noexcept = 0;

    // Waits until all queued work is done.
    virtual tweenrt_status synchronize(Report& report) noexcept = 0;
};

// How the caller wants a backend. Texts and the callback are valid as long as the backend; texts are null where nothing
// was asked for.
struct BackendOptions {
    int32_t threads;
    int32_t gpu;
    void* stream;
    char const* backend_library;
    char const* plugin_library;
    tweenrt_log_callback log;  // may be null
    void* log_user;
};

// The two functions that a module exports under these names. `open` hands over an object that the caller deletes.
using ModuleInterface = uint32_t (*)();
using ModuleOpen = tweenrt_status (*)(BackendOptions const* options, Backend** backend, Report* report);
constexpr char kModuleInterface[] = "tweenrt_module_interface";
constexpr char kModuleOpen[] = "tweenrt_module_open";

}  // namespace tweenrt::native

#endif  // TWEENRT_NATIVE_BACKEND_H
