// The optimisation profiles of an engine: which one is for inputs of some shapes.
#ifndef TWEENRT_NATIVE_TENSORRT_PROFILES_H
#define TWEENRT_NATIVE_TENSORRT_PROFILES_H

#include <NvInferRuntime.h>

#include <string>

#include "../backend.h"

namespace tweenrt::native {

Shape shape_of(nvinfer1::Dims const& dims);
bool is_open(Shape const& shape);
std::string text_of(Shape const& shape);  // such as "1x3x64x96"

// One input, and the shape that it is to have.
struct Wanted {
    char const* name;
    Shape const* shape;
};

// The number of the profile that takes `count` inputs as they are wanted, those of a fixed shape aside; of several the
// one that is tuned for the nearest size. -1 where none does.
int32_t profile_for(nvinfer1::ICudaEngine const& engine, Wanted const* inputs, int32_t count);

// What an input may be, such as "1x3x4x4 to 1x3x64x64", for each profile.
std::string ranges(nvinfer1::ICudaEngine const& engine, char const* input);

// Whether some profile takes this input.
bool is_taken(nvinfer1::ICudaEngine const& engine, Wanted const& input);

}  // namespace tweenrt::native

#endif  // TWEENRT_NATIVE_TENSORRT_PROFILES_H
