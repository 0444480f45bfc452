// WarpResize for the tests: one C function, for the CPU emulator (g++) and for the GPU (nvcc) alike.
#include "../../plugins/warp_resize/kernel.cu"

extern "C" int launch_warp_resize(int format, int flow_format, int n, int c, int h, int w, int shrink, void const* x,
                                  void const* flow, void* y) {
    using namespace tweenrt;
    return warp_resize(static_cast<Format>(format), static_cast<Format>(flow_format), {n, c, h, w}, shrink, x, flow, y,
                       nullptr);
}
