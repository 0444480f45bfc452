// MaskTiles for tests/plugins/test_mask_tiles_kernel.py, on the emulator or on a GPU.
#include "../../plugins/mask_tiles/kernel.cu"

extern "C" int launch_mask_tiles(int mask_format, int n, int h, int w, void const* mask, int* tiles) {
    return tweenrt::mask_tiles(static_cast<tweenrt::Format>(mask_format), n, h, w, mask, tiles, nullptr);
}
