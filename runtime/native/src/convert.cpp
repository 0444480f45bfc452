// Rows are read and written by small classes, one for each layout: `at(x)` reads a pixel, `put(x, rgb)` writes one.
#include "convert.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "color.h"
#include "half.h"

namespace tweenrt::native {
namespace {

// Limits as NumPy does: what is not a number stays that.
float clipped(float value) { return value < 0.0f ? 0.0f : value > 1.0f ? 1.0f : value; }

uint8_t rounded(float value) { return static_cast<uint8_t>(std::lrintf(value)); }

uint8_t to_byte(float value) { return rounded(clipped(value) * 255.0f); }

uint8_t limited_byte(float value) { return rounded(std::clamp(value, 0.0f, 255.0f)); }

float from_byte(uint8_t value) {
    static std::array<float, 256> const table = [] {
        std::array<float, 256> values{};
        for (int v = 0; v < 256; ++v) values[v] = static_cast<float>(v) / 255.0f;
        return values;
    }();
    return table[value];
}

float load(float value) { return value; }
float load(Half value) { return to_float(value); }
void store(float value, float& target) { target = value; }
void store(float value, Half& target) { target = to_half(value); }

uint8_t* row_of(tweenrt_frame const& frame, int32_t plane, int32_t row) {
    return static_cast<uint8_t*>(frame.planes[plane]) + row * frame.pitches[plane];
}

Rgb clipped(Rgb const& c) { return {clipped(c.r), clipped(c.g), clipped(c.b)}; }

// Interleaved bytes: `step` of them a pixel, red at `red` and blue at 2 - red.
struct Packed {
    int step, red;
    uint8_t* row;

    static Packed of(tweenrt_pixels pixels, tweenrt_frame const& frame, int32_t y) {
        int const step = pixels == TWEENRT_PIXELS_RGBA8 || pixels == TWEENRT_PIXELS_BGRA8 ? 4 : 3;
        int const red = pixels == TWEENRT_PIXELS_BGR8 || pixels == TWEENRT_PIXELS_BGRA8 ? 2 : 0;
        return {step, red, row_of(frame, 0, y)};
    }
    Rgb at(int32_t x) const {
        uint8_t const* pixel = row + static_cast<size_t>(x) * step;
        return {from_byte(pixel[red]), from_byte(pixel[1]), from_byte(pixel[2 - red])};
    }
    void put(int32_t x, Rgb const& c) const {
        uint8_t* pixel = row + static_cast<size_t>(x) * step;
        pixel[red] = to_byte(c.r), pixel[1] = to_byte(c.g), pixel[2 - red] = to_byte(c.b);
        if (step == 4) pixel[3] = 255;
    }
};

template <class Number>
struct Planes {
    Number *r, *g, *b;

    static Planes of(tweenrt_frame const& frame, int32_t y) {
        auto row = [&](int plane) { return reinterpret_cast<Number*>(row_of(frame, plane, y)); };
        return {row(0), row(1), row(2)};
    }
    // A row of a tensor [1, 3, padded_height, padded_width], from the frame's first pixel on.
    static Planes of(Geometry const& g, void const* tensor, int32_t y) {
        size_t const plane = static_cast<size_t>(g.padded_height) * g.padded_width;
        auto* start = static_cast<Number*>(const_cast<void*>(tensor));
        start += static_cast<size_t>(g.top + y) * g.padded_width + g.left;
        return {start, start + plane, start + 2 * plane};
    }
    Rgb at(int32_t x) const { return {load(r[x]), load(g[x]), load(b[x])}; }
    void put(int32_t x, Rgb const& c) const { store(c.r, r[x]), store(c.g, g[x]), store(c.b, b[x]); }
};

// Each pair of Cb and Cr serves the 2 x 2 pixels that it lies between.
struct Nv12 {
    Color const& color;
    uint8_t const *luma, *chroma;

    Rgb at(int32_t x) const {
        uint8_t const* pair = chroma + (x / 2) * 2;
        return clipped(color.rgb(luma[x], pair[0], pair[1]));
    }
};

uint8_t* tensor_row(Geometry const& g, void const* tensor, int32_t y) {
    return static_cast<uint8_t*>(const_cast<void*>(tensor)) + static_cast<size_t>(y) * g.format.width * 3;
}

// A row of a tensor of bytes.
Packed bytes_of(Geometry const& g, void const* tensor, int32_t y) { return {3, 0, tensor_row(g, tensor, y)}; }

// Whether a tensor holds the bytes of the caller's rows, in their order.
bool takes_rows_as_they_are(Geometry const& g) {
    return g.element == Element::kUint8 && g.format.pixels == TWEENRT_PIXELS_RGB8;
}

// Calls use(row), where row(y) is a row of a tensor of frames, as its elements are.
template <class Use>
void with_rows(Geometry const& g, void const* tensor, Use&& use) {
    switch (g.element) {
        case Element::kUint8:
            return use([&](int32_t y) { return bytes_of(g, tensor, y); });
        case Element::kHalf:
            return use([&](int32_t y) { return Planes<Half>::of(g, tensor, y); });
        case Element::kFloat:
            return use([&](int32_t y) { return Planes<float>::of(g, tensor, y); });
    }
}

// The pixel of a frame that stands for the pixel `at` of the padded axis.
int32_t source_of(Fill fill, int32_t at, int32_t before, int32_t size) {
    int32_t const position = at - before;
    if (fill == Fill::kReplicate) return std::clamp(position, 0, size - 1);
    return position < 0 ? -position : position < size ? position : 2 * (size - 1) - position;
}

template <class Number>
void pad_columns(Geometry const& g, Number* row) {
    auto fill = [&](int32_t from, int32_t to) {
        for (int32_t x = from; x < to; ++x)
            row[x] = g.fill == Fill::kZeros ? Number{} : row[g.left + source_of(g.fill, x, g.left, g.format.width)];
    };
    fill(0, g.left);
    fill(g.left + g.format.width, g.padded_width);
}

template <class Number>
void pad_rows(Geometry const& g, Number* plane) {
    size_t const bytes = sizeof(Number) * g.padded_width;
    auto row = [&](int32_t y) { return plane + static_cast<size_t>(y) * g.padded_width; };
    auto fill = [&](int32_t from, int32_t to) {
        for (int32_t y = from; y < to; ++y)
            if (g.fill == Fill::kZeros)
                std::memset(row(y), 0, bytes);
            else
                std::memcpy(row(y), row(g.top + source_of(g.fill, y, g.top, g.format.height)), bytes);
    };
    fill(0, g.top);
    fill(g.top + g.format.height, g.padded_height);
}

// What surrounds the frame in a tensor, once the frame is in it.
template <class Number>
void pad_tensor(Geometry const& g, void* tensor) {
    for (int channel = 0; channel < 3; ++channel) {
        Number* plane = static_cast<Number*>(tensor) + static_cast<size_t>(channel) * g.padded_height * g.padded_width;
        for (int32_t y = g.top; y < g.top + g.format.height; ++y)
            pad_columns(g, plane + static_cast<size_t>(y) * g.padded_width);
        pad_rows(g, plane);
    }
}

void pad_tensor(Geometry const& g, void* tensor) {
    if (g.element == Element::kHalf) pad_tensor<Half>(g, tensor);
    if (g.element == Element::kFloat) pad_tensor<float>(g, tensor);
}

// Copies pixels from the rows of `source(y)` into a tensor, and pads it.
template <class Source>
void pack_rows(Geometry const& g, void* target, Source&& source) {
    with_rows(g, target, [&](auto const& row) {
        for (int32_t y = 0; y < g.format.height; ++y) {
            auto const from = source(y);
            auto const to = row(y);
            for (int32_t x = 0; x < g.format.width; ++x) to.put(x, from.at(x));
        }
    });
    pad_tensor(g, target);
}

Rgb mean(Rgb const& a, Rgb const& b, Rgb const& c, Rgb const& d) {
    return {(a.r + b.r + c.r + d.r) / 4, (a.g + b.g + c.g + d.g) / 4, (a.b + b.b + c.b + d.b) / 4};
}

template <class Row>
void write_luma(Color const& color, int32_t width, Row const& row, uint8_t* luma) {
    for (int32_t x = 0; x < width; ++x) luma[x] = rounded(color.y(clipped(row.at(x))));
}

// Of the mean of 2 x 2 pixels; beyond an odd side the last one counts twice.
template <class Row>
void write_chroma(Color const& color, int32_t width, Row const& upper, Row const& lower, uint8_t* chroma) {
    for (int32_t x = 0; x < width; x += 2) {
        int32_t const right = std::min(x + 1, width - 1);
        Rgb const c =
            mean(clipped(upper.at(x)), clipped(upper.at(right)), clipped(lower.at(x)), clipped(lower.at(right)));
        chroma[x] = limited_byte(color.cb(c));
        chroma[x + 1] = limited_byte(color.cr(c));
    }
}

// Copies pixels from a tensor to the rows of `target(y)`.
template <class Target>
void unpack_rows(Geometry const& g, void const* drawn, Target&& target) {
    with_rows(g, drawn, [&](auto const& row) {
        for (int32_t y = 0; y < g.format.height; ++y) {
            auto const from = row(y);
            auto const to = target(y);
            for (int32_t x = 0; x < g.format.width; ++x) to.put(x, clipped(from.at(x)));
        }
    });
}

void unpack_nv12(Geometry const& g, void const* drawn, tweenrt_frame const& frame) {
    Color const color{g.format.matrix, g.format.range};
    int32_t const width = g.format.width, height = g.format.height;
    with_rows(g, drawn, [&](auto const& row) {
        for (int32_t y = 0; y < height; ++y) write_luma(color, width, row(y), row_of(frame, 0, y));
        for (int32_t y = 0; y < height; y += 2)
            write_chroma(color, width, row(y), row(std::min(y + 1, height - 1)), row_of(frame, 1, y / 2));
    });
}

// A row of a tensor as the caller would get it back: limited, and rounded to what his pixels hold.
template <class Row>
struct Quantised {
    tweenrt_pixels pixels;
    Row row;

    float rounded_to(float value) const {
        float const limited = clipped(value);
        if (pixels == TWEENRT_PIXELS_RGB_F32) return limited;
        if (pixels == TWEENRT_PIXELS_RGB_F16) return to_float(to_half(limited));
        return from_byte(to_byte(limited));
    }
    Rgb at(int32_t x) const {
        Rgb const c = row.at(x);
        return {rounded_to(c.r), rounded_to(c.g), rounded_to(c.b)};
    }
};

template <class Number>
void requantise_rows(Geometry const& g, void const* drawn, void* target) {
    pack_rows(g, target,
              [&](int32_t y) { return Quantised<Planes<Number>>{g.format.pixels, Planes<Number>::of(g, drawn, y)}; });
}

}  // namespace

int32_t plane_count(tweenrt_pixels pixels) noexcept {
    if (pixels == TWEENRT_PIXELS_NV12) return 2;
    return pixels == TWEENRT_PIXELS_RGB_F32 || pixels == TWEENRT_PIXELS_RGB_F16 ? 3 : 1;
}

int64_t row_bytes(tweenrt_format const& format, int32_t plane) noexcept {
    int64_t const width = format.width;
    switch (format.pixels) {
        case TWEENRT_PIXELS_RGBA8:
        case TWEENRT_PIXELS_BGRA8:
        case TWEENRT_PIXELS_RGB_F32:
            return 4 * width;
        case TWEENRT_PIXELS_RGB_F16:
            return 2 * width;
        case TWEENRT_PIXELS_NV12:
            return plane == 0 ? width : (width + 1) / 2 * 2;
        default:
            return 3 * width;
    }
}

int32_t plane_rows(tweenrt_format const& format, int32_t plane) noexcept {
    return format.pixels == TWEENRT_PIXELS_NV12 && plane == 1 ? (format.height + 1) / 2 : format.height;
}

void pack_frame(Geometry const& g, tweenrt_frame const& frame, void* target) noexcept {
    if (takes_rows_as_they_are(g)) {
        for (int32_t y = 0; y < g.format.height; ++y)
            std::memcpy(tensor_row(g, target, y), row_of(frame, 0, y), row_bytes(g.format, 0));
        return;
    }
    switch (g.format.pixels) {
        case TWEENRT_PIXELS_RGB_F32:
            return pack_rows(g, target, [&](int32_t y) { return Planes<float>::of(frame, y); });
        case TWEENRT_PIXELS_RGB_F16:
            return pack_rows(g, target, [&](int32_t y) { return Planes<Half>::of(frame, y); });
        case TWEENRT_PIXELS_NV12: {
            Color const color{g.format.matrix, g.format.range};
            return pack_rows(g, target,
                             [&](int32_t y) { return Nv12{color, row_of(frame, 0, y), row_of(frame, 1, y / 2)}; });
        }
        default:
            return pack_rows(g, target, [&](int32_t y) { return Packed::of(g.format.pixels, frame, y); });
    }
}

void unpack_frame(Geometry const& g, void const* drawn, tweenrt_frame const& frame) noexcept {
    if (takes_rows_as_they_are(g)) {
        for (int32_t y = 0; y < g.format.height; ++y)
            std::memcpy(row_of(frame, 0, y), tensor_row(g, drawn, y), row_bytes(g.format, 0));
        return;
    }
    tweenrt_pixels const pixels = g.format.pixels;
    if (pixels == TWEENRT_PIXELS_NV12) return unpack_nv12(g, drawn, frame);
    if (pixels == TWEENRT_PIXELS_RGB_F32)
        return unpack_rows(g, drawn, [&](int32_t y) { return Planes<float>::of(frame, y); });
    if (pixels == TWEENRT_PIXELS_RGB_F16)
        return unpack_rows(g, drawn, [&](int32_t y) { return Planes<Half>::of(frame, y); });
    unpack_rows(g, drawn, [&](int32_t y) { return Packed::of(pixels, frame, y); });
}

void requantise_frame(Geometry const& g, void const* drawn, void* target) noexcept {
    switch (g.element) {
        case Element::kUint8:
            std::memcpy(target, drawn, static_cast<size_t>(g.format.height) * g.format.width * 3);
            return;
        case Element::kHalf:
            return requantise_rows<Half>(g, drawn, target);
        case Element::kFloat:
            return requantise_rows<float>(g, drawn, target);
    }
}

}  // namespace tweenrt::native
