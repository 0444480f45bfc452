// WarpBlend for tests/plugins/test_warp_blend_kernel.py, on the emulator or on a GPU.
#include "../../plugins/warp_blend/kernel.cu"

extern "C" int launch_warp_blend(int format, int flow_format, int n, int h, int w, void const* frame0,
                                 void const* frame1, void const* flow0, void const* flow1, void const* mask,
                                 void const* residual, int residual_n, int residual_c, int residual_h, int residual_w,
                                 void* frame_t) {
    using namespace tweenrt;
    return warp_blend(static_cast<Format>(format), static_cast<Format>(flow_format), {n, 3, h, w}, frame0, frame1,
                      flow0, flow1, mask, residual, {residual_n, residual_c, residual_h, residual_w}, frame_t, nullptr);
}
