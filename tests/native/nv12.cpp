// Conversions between NV12 and RGB for tests/plugins/test_nv12_kernel.py, on the emulator or on a GPU.
#include "../../plugins/nv12/nv12.cpp"

#include "../../plugins/nv12/kernel.cu"

static std::string refusal;

void tweenrt::log_error(std::string const& text) noexcept { refusal = text; }

static tweenrt_nv12 request(int height, int width, int pitch_luma, int pitch_chroma, int pitch_rgb, void const* matrix,
                            void const* luma, void const* chroma, void const* rgb) {
    tweenrt_nv12 picture{};
    picture.luma = static_cast<uint8_t*>(const_cast<void*>(luma));
    picture.chroma = static_cast<uint8_t*>(const_cast<void*>(chroma));
    picture.rgb = static_cast<uint8_t*>(const_cast<void*>(rgb));
    picture.pitch_luma = static_cast<size_t>(pitch_luma);
    picture.pitch_chroma = static_cast<size_t>(pitch_chroma);
    picture.pitch_rgb = static_cast<size_t>(pitch_rgb);
    picture.height = height;
    picture.width = width;
    if (matrix != nullptr) memcpy(picture.matrix, matrix, sizeof picture.matrix + sizeof picture.offset);
    return picture;
}

// `matrix` holds nine factors and three offsets; it is read on the host.
extern "C" int launch_to_rgb(int height, int width, int pitch_luma, int pitch_chroma, int pitch_rgb, void const* matrix,
                             void const* luma, void const* chroma, void* rgb) {
    auto const picture = request(height, width, pitch_luma, pitch_chroma, pitch_rgb, matrix, luma, chroma, rgb);
    return tweenrt_nv12_to_rgb(&picture, nullptr);
}

extern "C" int launch_to_nv12(int height, int width, int pitch_luma, int pitch_chroma, int pitch_rgb,
                              void const* matrix, void const* rgb, void* luma, void* chroma) {
    auto const picture = request(height, width, pitch_luma, pitch_chroma, pitch_rgb, matrix, luma, chroma, rgb);
    return tweenrt_rgb_to_nv12(&picture, nullptr);
}

extern "C" int launch_sum_blocks(int height, int width, int pitch, int step, void const* rgb, void* sums) {
    return tweenrt_sum_blocks(static_cast<uint8_t const*>(rgb), static_cast<size_t>(pitch), height, width, step,
                              static_cast<uint32_t*>(sums), nullptr);
}

// The same for requests that must be refused, whose reason goes into `text`; 0 if they were refused.
extern "C" int launch_refused(int blocks, int height, int width, int pitch_luma, int pitch_chroma, int pitch_rgb,
                              int step, void const* luma, void const* chroma, void const* rgb, uint8_t* text,
                              int room) {
    auto const picture = request(height, width, pitch_luma, pitch_chroma, pitch_rgb, nullptr, luma, chroma, rgb);
    int const status = blocks ? launch_sum_blocks(height, width, pitch_rgb, step, rgb, const_cast<void*>(luma))
                              : tweenrt_nv12_to_rgb(&picture, nullptr);
    bool const same = blocks || tweenrt_rgb_to_nv12(&picture, nullptr) == status;
    refusal.resize(static_cast<size_t>(room), ' ');
    memcpy(text, refusal.data(), refusal.size());
    return status == cudaErrorInvalidValue && same ? 0 : -1;
}
