// The merge into frames of bytes for tests/plugins/test_merge_kernel.py, on the emulator or on a GPU.
#include "../../plugins/merge/merge.cpp"

#include "../../plugins/merge/kernel.cu"

static std::string refusal;

void tweenrt::log_error(std::string const& text) noexcept { refusal = text; }

extern "C" int launch_merge(int format, int fill, int batch, int height, int width, int padded_height, int padded_width,
                            int top, int left, int pitch0, int pitch1, int pitch_out, void const* frame0,
                            void const* frame1, void const* refined, void* out) {
    tweenrt_merge merge{};
    merge.frame0 = static_cast<uint8_t const*>(frame0);
    merge.frame1 = static_cast<uint8_t const*>(frame1);
    merge.refined = refined;
    merge.out = static_cast<uint8_t*>(out);
    merge.pitch0 = static_cast<size_t>(pitch0);
    merge.pitch1 = static_cast<size_t>(pitch1);
    merge.pitch_out = static_cast<size_t>(pitch_out);
    merge.batch = batch;
    merge.height = height;
    merge.width = width;
    merge.padded_height = padded_height;
    merge.padded_width = padded_width;
    merge.top = top;
    merge.left = left;
    merge.refined_format = format;
    merge.fill = fill;
    return tweenrt_merge_frames(&merge, nullptr);
}

// The same for a request that must be refused, whose reason goes into `text`; 0 if it was refused.
extern "C" int launch_refused_merge(int format, int fill, int batch, int height, int width, int padded_height,
                                    int padded_width, int top, int left, int pitch0, int pitch1, int pitch_out,
                                    void const* frame0, void const* frame1, void const* refined, void* out,
                                    uint8_t* text, int room) {
    int const status = launch_merge(format, fill, batch, height, width, padded_height, padded_width, top, left, pitch0,
                                    pitch1, pitch_out, frame0, frame1, refined, out);
    refusal.resize(static_cast<size_t>(room), ' ');
    memcpy(text, refusal.data(), refusal.size());
    return status == cudaErrorInvalidValue ? 0 : -1;
}
