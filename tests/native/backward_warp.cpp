// BackwardWarp for the tests: one C function, for the CPU emulator (g++) and for the GPU (nvcc) alike.
#include "../../plugins/backward_warp/kernel.cu"

extern "C" int launch_backward_warp(int format, int flow_format, int n, int c, int h, int w, int border, void const* x,
                                    void const* flow, void* y) {
    using namespace tweenrt;
    return backward_warp(static_cast<Format>(format), static_cast<Format>(flow_format), {n, c, h, w},
                         static_cast<Border>(border), x, flow, y, nullptr);
}
