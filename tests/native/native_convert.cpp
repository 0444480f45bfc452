// The conversions of libtweenrt (runtime/native/src/convert.h) for ctypes.
#include "../../runtime/native/src/convert.h"
#include "../../runtime/native/src/half.h"

using namespace tweenrt::native;

namespace {

// element, padded height and width, top, left, fill; pixels, height, width, matrix, range.
Geometry geometry_of(int32_t const* g) {
    return {{g[8], g[7], g[6], g[9], g[10]}, static_cast<Element>(g[0]), g[1], g[2], g[3], g[4],
            static_cast<Fill>(g[5])};
}

}  // namespace

extern "C" {

void pack(int32_t const* geometry, tweenrt_frame const* frame, void* target) {
    pack_frame(geometry_of(geometry), *frame, target);
}

void unpack(int32_t const* geometry, void const* drawn, tweenrt_frame const* frame) {
    unpack_frame(geometry_of(geometry), drawn, *frame);
}

void requantise(int32_t const* geometry, void const* drawn, void* target) {
    requantise_frame(geometry_of(geometry), drawn, target);
}

void halves(float const* values, uint16_t* halves, int32_t count) {
    for (int32_t i = 0; i < count; ++i) halves[i] = to_half(values[i]).bits;
}

void floats(uint16_t const* halves, float* values, int32_t count) {
    for (int32_t i = 0; i < count; ++i) values[i] = to_float(Half{halves[i]});
}
}
