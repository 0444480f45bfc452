// The caller's frames into tensors of frames and back, on the CPU. Every backend that converts elsewhere must give the
// same bytes.
#ifndef TWEENRT_NATIVE_CONVERT_H
#define TWEENRT_NATIVE_CONVERT_H

#include "backend.h"

namespace tweenrt::native {

// Number of planes of a frame, and bytes of a row of one plane without gaps, and its rows.
int32_t plane_count(tweenrt_pixels pixels) noexcept;
int64_t row_bytes(tweenrt_format const& format, int32_t plane) noexcept;
int32_t plane_rows(tweenrt_format const& format, int32_t plane) noexcept;

// `frame`, a host frame with complete pitches, into `target`, a tensor's bytes in host memory. 8-bit values v become
// v / 255 (the division in float), halves and floats stay as they are; a uint8 tensor takes 8-bit RGB as it is, and
// NV12 and floats limited and rounded half to even. NV12 follows docs/embed-in-cpp.md.
void pack_frame(Geometry const& geometry, tweenrt_frame const& frame, void* target) noexcept;

// `drawn`, a tensor's bytes in host memory, into a host frame: cropped, limited to 0..1, rounded half to even.
void unpack_frame(Geometry const& geometry, void const* drawn, tweenrt_frame const& frame) noexcept;

// See Backend::requantise(); both in host memory.
void requantise_frame(Geometry const& geometry, void const* drawn, void* target) noexcept;

}  // namespace tweenrt::native

#endif  // TWEENRT_NATIVE_CONVERT_H
