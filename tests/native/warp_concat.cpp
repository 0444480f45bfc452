// WarpConcat for tests/plugins/test_warp_concat_kernel.py, on the emulator or on a GPU.
#include "../../plugins/warp_concat/kernel.cu"

extern "C" int launch_warp_concat(int format, int flow_format, int n, int c, int h, int w, int features,
                                  int feature_first, void const* feature0, void const* feature1, void const* feature,
                                  void const* step, void const* coarse, void* seen, void* flow) {
    using namespace tweenrt;
    return warp_concat(static_cast<Format>(format), static_cast<Format>(flow_format), {n, c, h, w}, features,
                       feature_first != 0, feature0, feature1, feature, step, coarse, seen, flow, nullptr);
}
