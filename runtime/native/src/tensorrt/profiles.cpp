#include "profiles.h"

#include <cstdlib>

namespace tweenrt::native {
namespace {

using nvinfer1::Dims;
using nvinfer1::ICudaEngine;
using nvinfer1::OptProfileSelector;

int64_t elements(Shape const& shape) {
    int64_t count = 1;
    for (int32_t axis = 0; axis < shape.rank; ++axis) count *= shape.sizes[axis];
    return count;
}

bool is_open(ICudaEngine const& engine, char const* input) {
    return native::is_open(shape_of(engine.getTensorShape(input)));
}

Shape end(ICudaEngine const& engine, char const* input, int32_t profile, OptProfileSelector which) {
    return shape_of(engine.getProfileShape(input, profile, which));
}

bool takes(ICudaEngine const& engine, int32_t profile, Wanted const& input) {
    if (!is_open(engine, input.name)) return true;
    Shape const least = end(engine, input.name, profile, OptProfileSelector::kMIN);
    Shape const most = end(engine, input.name, profile, OptProfileSelector::kMAX);
    if (input.shape->rank != least.rank) return false;
    for (int32_t axis = 0; axis < least.rank; ++axis)
        if (input.shape->sizes[axis] < least.sizes[axis] || input.shape->sizes[axis] > most.sizes[axis]) return false;
    return true;
}

// How many elements lie between an input and the one that a profile is tuned for.
int64_t distance(ICudaEngine const& engine, int32_t profile, Wanted const& input) {
    if (!is_open(engine, input.name)) return 0;
    Shape const best = end(engine, input.name, profile, OptProfileSelector::kOPT);
    return std::abs(elements(best) - elements(*input.shape));
}

}  // namespace

Shape shape_of(Dims const& dims) {
    Shape shape;
    shape.rank = dims.nbDims < 0 ? 0 : dims.nbDims;
    for (int32_t axis = 0; axis < shape.rank; ++axis) shape.sizes[axis] = dims.d[axis];
    return shape;
}

bool is_open(Shape const& shape) {
    for (int32_t axis = 0; axis < shape.rank; ++axis)
        if (shape.sizes[axis] < 0) return true;
    return false;
}

std::string text_of(Shape const& shape) {
    std::string text;
    for (int32_t axis = 0; axis < shape.rank; ++axis)
        text += (axis == 0 ? "" : "x") + std::to_string(shape.sizes[axis]);
    return text;
}

int32_t profile_for(ICudaEngine const& engine, Wanted const* inputs, int32_t count) {
    int32_t nearest = -1;
    int64_t least = 0;
    for (int32_t profile = 0; profile < engine.getNbOptimizationProfiles(); ++profile) {
        bool fits = true;
        int64_t away = 0;
        for (int32_t k = 0; k < count; ++k) {
            fits = fits && takes(engine, profile, inputs[k]);
            away += fits ? distance(engine, profile, inputs[k]) : 0;
        }
        if (!fits || (nearest >= 0 && away >= least)) continue;
        nearest = profile;
        least = away;
    }
    return nearest;
}

std::string ranges(ICudaEngine const& engine, char const* input) {
    if (!is_open(engine, input)) return text_of(shape_of(engine.getTensorShape(input)));
    std::string text;
    for (int32_t profile = 0; profile < engine.getNbOptimizationProfiles(); ++profile)
        text += (profile == 0 ? "" : " or ") + text_of(end(engine, input, profile, OptProfileSelector::kMIN)) + " to " +
                text_of(end(engine, input, profile, OptProfileSelector::kMAX));
    return text;
}

bool is_taken(ICudaEngine const& engine, Wanted const& input) {
    for (int32_t profile = 0; profile < engine.getNbOptimizationProfiles(); ++profile)
        if (takes(engine, profile, input)) return true;
    return false;
}

}  // namespace tweenrt::native
