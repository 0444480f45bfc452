// CorrelationLookup for tests/plugins/test_correlation_lookup_kernel.py, on the emulator or on a GPU.
#include "../../plugins/correlation_lookup/kernel.cu"

extern "C" int launch_correlation_lookup(int format, int coords_format, int n, int h, int w, int map_h, int map_w,
                                         int radius, void const* corr, void const* coords, void* y) {
    return tweenrt::correlation_lookup(static_cast<tweenrt::Format>(format),
                                       static_cast<tweenrt::Format>(coords_format), {n, h, w, map_h, map_w, radius},
                                       corr, coords, y, nullptr);
}
