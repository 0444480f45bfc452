// The last step of flow-based interpolation straight into frames of bytes, queued by the runtime after an engine that
// stops before it; what it computes is defined by reference.py.
#pragma once

#include <cuda_runtime_api.h>

#include "../include/tweenrt_plugins.h"

namespace tweenrt {

// See tweenrt_merge_frames(), which checks the request and calls this.
cudaError_t merge_frames(tweenrt_merge const& merge, cudaStream_t stream);

}  // namespace tweenrt
