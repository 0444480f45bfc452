// Work on a GPU that does the same for every pixel, each for itself.
#ifndef TWEENRT_NATIVE_TENSORRT_LAUNCH_CUH
#define TWEENRT_NATIVE_TENSORRT_LAUNCH_CUH

#include "cuda.h"

#ifdef TWEENRT_EMULATE
#include "launch_on_fake.h"
#else

namespace tweenrt::native {

// Divides a plane among blocks of 32 x 8 threads, one for each pixel.
constexpr int32_t kBlockWidth = 32, kBlockHeight = 8;

template <class Work>
__global__ void __launch_bounds__(kBlockWidth* kBlockHeight) each_pixel(Work work, int32_t width, int32_t height) {
    int32_t const x = blockIdx.x * kBlockWidth + threadIdx.x, y = blockIdx.y * kBlockHeight + threadIdx.y;
    if (x < width && y < height) work(x, y);
}

// Queues work(x, y) for all 0 <= x < width, 0 <= y < height.
template <class Work>
void launch(cudaStream_t stream, int32_t width, int32_t height, Work const& work) {
    dim3 const grid((width + kBlockWidth - 1) / kBlockWidth, (height + kBlockHeight - 1) / kBlockHeight);
    // clang-format off: it takes the brackets for those of templates
    each_pixel<<<grid, dim3(kBlockWidth, kBlockHeight), 0, stream>>>(work, width, height);
    // clang-format on
    check(cudaPeekAtLastError(), "a kernel of libtweenrt");
}

}  // namespace tweenrt::native

#endif  // TWEENRT_EMULATE
#endif  // TWEENRT_NATIVE_TENSORRT_LAUNCH_CUH
