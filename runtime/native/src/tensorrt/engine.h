// From a plan to an engine that TensorRT has loaded, after all checks that can be made before.
#ifndef TWEENRT_NATIVE_TENSORRT_ENGINE_H
#define TWEENRT_NATIVE_TENSORRT_ENGINE_H

#include <memory>
#include <string>

#include "../backend.h"
#include "cuda.h"
#include "library.h"

namespace tweenrt::native {

// Throws Fault MISMATCH where an engine was built for another TensorRT or GPU; the text says what for.
void check_fits(EngineHeader const& header, std::string const& path, Library const& library, Lane const& lane);

// Gives our ops to TensorRT where the engine has some. `plugin_library` may be null, for the one beside this module.
// Throws Fault: MISSING_LIBRARY, MISMATCH where it is not the one that the engine was built with, BACKEND_FAILED where
// TensorRT does not take it.
void load_plugins(EngineHeader const& header, std::string const& path, char const* plugin_library, Library& library);

// Throws Fault: UNSUPPORTED where `source` is no engine, MISMATCH, MISSING_LIBRARY, BACKEND_FAILED.
std::unique_ptr<nvinfer1::ICudaEngine> load_engine(Source const& source, char const* plugin_library, Library& library,
                                                   Lane const& lane, Log& log);

}  // namespace tweenrt::native

#endif  // TWEENRT_NATIVE_TENSORRT_ENGINE_H
