// DeformConv2d for tests/plugins/test_deform_conv2d_kernel.py, on the emulator or on a GPU.
#include "../../plugins/deform_conv2d/kernel.cu"

// `workspace_bytes`, the size of `workspace`, must be what the op asks for.
extern "C" int launch_deform_conv2d(int format, int offset_format, int mask_format, int n, int c, int h, int w,
                                    int groups, int outputs, void const* x, void const* offset, void const* mask,
                                    void const* weight, void const* bias, void* y, void* workspace,
                                    int workspace_bytes) {
    using namespace tweenrt;
    auto const f = static_cast<Format>(format);
    Size const size{n, c, h, w};
    if (deform_conv2d_workspace(f, size, outputs, groups) != static_cast<size_t>(workspace_bytes))
        return cudaErrorInvalidValue;
    Taps const taps{groups, static_cast<Format>(offset_format), static_cast<Format>(mask_format), offset, mask};
    return deform_conv2d(f, size, outputs, taps, x, weight, bias, y, workspace, nullptr);
}
