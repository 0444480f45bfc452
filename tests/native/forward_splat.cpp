// ForwardSplat for tests/plugins/test_forward_splat_kernel.py, on the emulator or on a GPU.
#include "../../plugins/forward_splat/kernel.cu"

#ifdef TWEENRT_EMULATE
extern "C" cudaError_t cudaMemsetAsync(void* memory, int value, size_t bytes, cudaStream_t) {
    memset(memory, value, bytes);
    return cudaSuccess;
}
#endif

extern "C" int launch_forward_splat(int format, int flow_format, int n, int c, int h, int w, void const* x,
                                    void const* flow, void* y, void* workspace) {
    return tweenrt::forward_splat(static_cast<tweenrt::Format>(format), static_cast<tweenrt::Format>(flow_format),
                                  {n, c, h, w}, x, flow, y, workspace, nullptr);
}
