// runtime/native/src/tensorrt/launch.cuh for the fake CUDA runtime.
#pragma once

#include "fake_cuda.h"

namespace tweenrt::native {

template <class Work>
void launch(cudaStream_t stream, int32_t width, int32_t height, Work const& work) {
    fake_cuda_enqueue(stream, [=] {
        for (int32_t y = height - 1; y >= 0; --y)
            for (int32_t x = width - 1; x >= 0; --x) work(x, y);
    });
}

}  // namespace tweenrt::native
