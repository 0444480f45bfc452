// Opens a backend: finds its module, checks that it belongs to this library, and asks it for a backend.
#ifndef TWEENRT_NATIVE_MODULE_H
#define TWEENRT_NATIVE_MODULE_H

#include <memory>
#include <string>

#include "backend.h"

namespace tweenrt::native {

// The caller's parameters, copied.
struct Options {
    std::string graph, backend_library, plugin_library, module_folder;
    tweenrt_params values;  // its texts are not used

    explicit Options(tweenrt_params const& params);
};

// "onnxruntime", "tensorrt" or "tensorrt-rtx".
char const* name_of(tweenrt_backend backend);

// A backend and the module that its code is in.
class Module {
  public:
    // Throws Fault: MISSING_LIBRARY, or what the backend says.
    Module(tweenrt_backend backend, Options const& options);

    Backend& backend() const { return *backend_; }

  private:
    struct Close {
        void operator()(void* library) const;
    };
    std::unique_ptr<void, Close> library_;  // goes last
    std::unique_ptr<Backend> backend_;
};

}  // namespace tweenrt::native

#endif  // TWEENRT_NATIVE_MODULE_H
