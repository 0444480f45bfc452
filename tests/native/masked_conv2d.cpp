// MaskedConv2d for tests/plugins/test_masked_conv2d_kernel.py, on the emulator or on a GPU.
#include "../../plugins/masked_conv2d/kernel.cu"

// The sizes of `tiles` and `workspace` in bytes must be what the op asks for.
extern "C" int launch_masked_conv2d(int format, int n, int c, int h, int w, int outputs, void const* x,
                                    int const* tiles, void const* weight, void const* bias, void const* slope, void* y,
                                    void* workspace, int tiles_bytes, int workspace_bytes) {
    using namespace tweenrt;
    auto const f = static_cast<Format>(format);
    Size const size{n, c, h, w};
    if (3 * TileGrid{n, h, w}.tiles() * sizeof *tiles != static_cast<size_t>(tiles_bytes) ||
        masked_conv2d_workspace(f, size, outputs) != static_cast<size_t>(workspace_bytes))
        return cudaErrorInvalidValue;
    return masked_conv2d(f, size, outputs, x, tiles, weight, bias, slope, y, workspace, nullptr);
}
