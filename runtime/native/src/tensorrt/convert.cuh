// convert.h on a GPU: the same bytes. All pointers are to its memory, all work is queued on the stream.
#ifndef TWEENRT_NATIVE_TENSORRT_CONVERT_CUH
#define TWEENRT_NATIVE_TENSORRT_CONVERT_CUH

#include <cuda_runtime_api.h>

#include "../backend.h"

namespace tweenrt::native {

// See pack_frame(), unpack_frame() and requantise_frame() in convert.h. They throw Fault.
void pack_on_gpu(cudaStream_t stream, Geometry const& geometry, tweenrt_frame const& frame, void* target);
void unpack_on_gpu(cudaStream_t stream, Geometry const& geometry, void const* drawn, tweenrt_frame const& frame);
void requantise_on_gpu(cudaStream_t stream, Geometry const& geometry, void const* drawn, void* target);

// Sets `count` elements, floats or halves.
void fill_on_gpu(cudaStream_t stream, Element element, void* target, int64_t count, float value);

}  // namespace tweenrt::native

#endif  // TWEENRT_NATIVE_TENSORRT_CONVERT_CUH
