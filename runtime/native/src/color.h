// R'G'B' from Y'CbCr and back (ITU-T H.273, equations 38 to 46), as one multiplication and addition a component.
#ifndef TWEENRT_NATIVE_COLOR_H
#define TWEENRT_NATIVE_COLOR_H

#include <tweenrt/tweenrt.h>

#ifdef __CUDACC__
#define TWEENRT_ON_GPU __device__
#define TWEENRT_ANYWHERE __host__ __device__
#else
#define TWEENRT_ON_GPU
#define TWEENRT_ANYWHERE
#endif

namespace tweenrt::native {

struct Rgb {
    float r, g, b;  // 0..1
};

class Color {
  public:
    Color(tweenrt_matrix matrix, tweenrt_range range) {
        bool const full = range == TWEENRT_RANGE_FULL;
        kr_ = matrix == TWEENRT_MATRIX_BT601 ? 0.299f : matrix == TWEENRT_MATRIX_BT709 ? 0.2126f : 0.2627f;
        kb_ = matrix == TWEENRT_MATRIX_BT601 ? 0.114f : matrix == TWEENRT_MATRIX_BT709 ? 0.0722f : 0.0593f;
        kg_ = 1.0f - kr_ - kb_;
        luma_offset_ = full ? 0.0f : 16.0f;
        luma_span_ = full ? 255.0f : 219.0f;
        chroma_span_ = full ? 255.0f : 224.0f;
    }

    // Y, Cb and Cr as they are stored, 0..255. The result may lie a little outside of 0..1.
    TWEENRT_ANYWHERE Rgb rgb(float y, float cb, float cr) const {
        float const luma = (y - luma_offset_) / luma_span_;
        float const blue = (cb - kNeutral) / chroma_span_;
        float const red = (cr - kNeutral) / chroma_span_;
        float const r = luma + 2.0f * (1.0f - kr_) * red;
        float const b = luma + 2.0f * (1.0f - kb_) * blue;
        return {r, (luma - kr_ * r - kb_ * b) / kg_, b};
    }

    // As they are stored, not rounded.
    TWEENRT_ANYWHERE float y(Rgb const& c) const { return luma_offset_ + luma_span_ * luma(c); }
    TWEENRT_ANYWHERE float cb(Rgb const& c) const {
        return kNeutral + chroma_span_ * (c.b - luma(c)) / (2.0f * (1.0f - kb_));
    }
    TWEENRT_ANYWHERE float cr(Rgb const& c) const {
        return kNeutral + chroma_span_ * (c.r - luma(c)) / (2.0f * (1.0f - kr_));
    }

  private:
    static constexpr float kNeutral = 128.0f;
    TWEENRT_ANYWHERE float luma(Rgb const& c) const { return kr_ * c.r + kg_ * c.g + kb_ * c.b; }
    float kr_, kg_, kb_, luma_offset_, luma_span_, chroma_span_;
};

}  // namespace tweenrt::native

#endif  // TWEENRT_NATIVE_COLOR_H
