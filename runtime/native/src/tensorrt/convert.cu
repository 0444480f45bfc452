// The arithmetic is that of convert.cpp, operation for operation, compiled without fused multiply-adds.
#include <cuda_fp16.h>

#include <cmath>

#include "../color.h"
#include "convert.cuh"
#include "launch.cuh"

namespace tweenrt::native {
namespace {

TWEENRT_ON_GPU float clipped(float value) { return value < 0.0f ? 0.0f : value > 1.0f ? 1.0f : value; }
TWEENRT_ON_GPU Rgb clipped(Rgb const& c) { return {clipped(c.r), clipped(c.g), clipped(c.b)}; }
TWEENRT_ON_GPU uint8_t rounded(float value) { return static_cast<uint8_t>(lrintf(value)); }
TWEENRT_ON_GPU uint8_t to_byte(float value) { return rounded(clipped(value) * 255.0f); }
TWEENRT_ON_GPU uint8_t limited_byte(float value) {
    return rounded(value < 0.0f ? 0.0f : value > 255.0f ? 255.0f : value);
}
TWEENRT_ON_GPU float from_byte(uint8_t value) { return static_cast<float>(value) / 255.0f; }

// Where the three components of a pixel lie.
template <class Number>
struct Three {
    Number *r, *g, *b;
};

template <class Number>
TWEENRT_ON_GPU Rgb load(Three<Number> const& from) {
    return {static_cast<float>(*from.r), static_cast<float>(*from.g), static_cast<float>(*from.b)};
}

template <class Number>
TWEENRT_ON_GPU void store(Rgb const& c, Three<Number> const& to) {
    *to.r = static_cast<Number>(c.r), *to.g = static_cast<Number>(c.g), *to.b = static_cast<Number>(c.b);
}

TWEENRT_ON_GPU Rgb load(Three<uint8_t> const& from) {
    return {from_byte(*from.r), from_byte(*from.g), from_byte(*from.b)};
}

TWEENRT_ON_GPU void store(Rgb const& c, Three<uint8_t> const& to) {
    *to.r = to_byte(c.r), *to.g = to_byte(c.g), *to.b = to_byte(c.b);
}

// A tensor of frames. Positions are those of the padded frame.
struct TensorOf {
    Element element;
    int32_t width, height;
    void* data;

    TensorOf(Geometry const& g, void const* data)
        : element(g.element), width(g.padded_width), height(g.padded_height), data(const_cast<void*>(data)) {
        if (element == Element::kUint8) width = g.format.width, height = g.format.height;
    }
    template <class Number>
    TWEENRT_ON_GPU Three<Number> planes(int32_t x, int32_t y) const {
        size_t const plane = static_cast<size_t>(width) * height;
        Number* const first = static_cast<Number*>(data) + static_cast<size_t>(y) * width + x;
        return {first, first + plane, first + 2 * plane};
    }
    TWEENRT_ON_GPU Three<uint8_t> bytes(int32_t x, int32_t y) const {
        uint8_t* const first = static_cast<uint8_t*>(data) + (static_cast<size_t>(y) * width + x) * 3;
        return {first, first + 1, first + 2};
    }
    TWEENRT_ON_GPU Rgb at(int32_t x, int32_t y) const {
        if (element == Element::kUint8) return load(bytes(x, y));
        return element == Element::kHalf ? load(planes<__half>(x, y)) : load(planes<float>(x, y));
    }
    TWEENRT_ON_GPU void put(int32_t x, int32_t y, Rgb const& c) const {
        if (element == Element::kUint8)
            store(c, bytes(x, y));
        else if (element == Element::kHalf)
            store(c, planes<__half>(x, y));
        else
            store(c, planes<float>(x, y));
    }
};

// A frame of the caller's.
struct Frame {
    tweenrt_pixels pixels;
    tweenrt_frame frame;
    Color color;

    Frame(Geometry const& g, tweenrt_frame const& frame)
        : pixels(g.format.pixels), frame(frame), color(g.format.matrix, g.format.range) {}

    template <class Number>
    TWEENRT_ON_GPU Number* row(int32_t plane, int32_t y) const {
        return reinterpret_cast<Number*>(static_cast<uint8_t*>(frame.planes[plane]) + y * frame.pitches[plane]);
    }
    template <class Number>
    TWEENRT_ON_GPU Three<Number> planes(int32_t x, int32_t y) const {
        return {row<Number>(0, y) + x, row<Number>(1, y) + x, row<Number>(2, y) + x};
    }
    TWEENRT_ON_GPU bool four_bytes() const { return pixels == TWEENRT_PIXELS_RGBA8 || pixels == TWEENRT_PIXELS_BGRA8; }
    TWEENRT_ON_GPU Three<uint8_t> bytes(int32_t x, int32_t y) const {
        int const red = pixels == TWEENRT_PIXELS_BGR8 || pixels == TWEENRT_PIXELS_BGRA8 ? 2 : 0;
        uint8_t* const pixel = row<uint8_t>(0, y) + static_cast<size_t>(x) * (four_bytes() ? 4 : 3);
        return {pixel + red, pixel + 1, pixel + 2 - red};
    }
    TWEENRT_ON_GPU Rgb at(int32_t x, int32_t y) const {
        if (pixels == TWEENRT_PIXELS_RGB_F32) return load(planes<float>(x, y));
        if (pixels == TWEENRT_PIXELS_RGB_F16) return load(planes<__half>(x, y));
        if (pixels != TWEENRT_PIXELS_NV12) return load(bytes(x, y));
        uint8_t const* const pair = row<uint8_t>(1, y / 2) + x / 2 * 2;
        return clipped(color.rgb(row<uint8_t>(0, y)[x], pair[0], pair[1]));
    }
    // NV12 has its luma set only.
    TWEENRT_ON_GPU void put(int32_t x, int32_t y, Rgb const& c) const {
        if (pixels == TWEENRT_PIXELS_RGB_F32) return store(c, planes<float>(x, y));
        if (pixels == TWEENRT_PIXELS_RGB_F16) return store(c, planes<__half>(x, y));
        if (pixels == TWEENRT_PIXELS_NV12) {
            row<uint8_t>(0, y)[x] = rounded(color.y(c));
            return;
        }
        store(c, bytes(x, y));
        if (four_bytes()) row<uint8_t>(0, y)[4 * static_cast<size_t>(x) + 3] = 255;
    }
    TWEENRT_ON_GPU void put_chroma(int32_t x, int32_t y, Rgb const& c) const {
        uint8_t* const pair = row<uint8_t>(1, y) + 2 * x;
        pair[0] = limited_byte(color.cb(c));
        pair[1] = limited_byte(color.cr(c));
    }
    // What the caller gets of a component.
    TWEENRT_ON_GPU float quantised(float value) const {
        float const limited = clipped(value);
        if (pixels == TWEENRT_PIXELS_RGB_F32) return limited;
        if (pixels == TWEENRT_PIXELS_RGB_F16) return static_cast<float>(static_cast<__half>(limited));
        return from_byte(to_byte(limited));
    }
};

// Of one axis of a padded frame, which pixel of the frame stands for each; negative: none, it is black.
struct Axis {
    Fill fill;
    int32_t before, size;

    TWEENRT_ON_GPU int32_t source(int32_t at) const {
        int32_t const position = at - before;
        if (position >= 0 && position < size) return position;
        if (fill == Fill::kZeros) return -1;
        if (fill == Fill::kReplicate) return position < 0 ? 0 : size - 1;
        return position < 0 ? -position : 2 * (size - 1) - position;
    }
};

struct Axes {
    Axis x, y;

    explicit Axes(Geometry const& g)
        : x{g.fill, g.element == Element::kUint8 ? 0 : g.left, g.format.width},
          y{g.fill, g.element == Element::kUint8 ? 0 : g.top, g.format.height} {}
};

struct Pack {
    Axes axes;
    Frame from;
    TensorOf to;

    TWEENRT_ON_GPU void operator()(int32_t x, int32_t y) const {
        int32_t const column = axes.x.source(x), row = axes.y.source(y);
        bool const black = column < 0 || row < 0;
        to.put(x, y, black ? Rgb{0.0f, 0.0f, 0.0f} : from.at(column, row));
    }
};

struct Requantise {
    Axes axes;
    TensorOf from;
    Frame as;
    TensorOf to;

    TWEENRT_ON_GPU void operator()(int32_t x, int32_t y) const {
        int32_t const column = axes.x.source(x), row = axes.y.source(y);
        Rgb c{0.0f, 0.0f, 0.0f};
        if (column >= 0 && row >= 0) c = from.at(axes.x.before + column, axes.y.before + row);
        to.put(x, y, {as.quantised(c.r), as.quantised(c.g), as.quantised(c.b)});
    }
};

struct Unpack {
    Axes axes;
    TensorOf from;
    Frame to;

    TWEENRT_ON_GPU Rgb at(int32_t x, int32_t y) const { return clipped(from.at(axes.x.before + x, axes.y.before + y)); }
    TWEENRT_ON_GPU void operator()(int32_t x, int32_t y) const { to.put(x, y, at(x, y)); }
};

// Each pair of Cb and Cr from the mean of 2 x 2 pixels; beyond an odd side the last one counts twice.
struct UnpackChroma {
    Unpack unpack;

    TWEENRT_ON_GPU void operator()(int32_t x, int32_t y) const {
        int32_t const left = 2 * x, upper = 2 * y;
        int32_t const right = left + 1 < unpack.axes.x.size ? left + 1 : left;
        int32_t const lower = upper + 1 < unpack.axes.y.size ? upper + 1 : upper;
        Rgb const a = unpack.at(left, upper), b = unpack.at(right, upper);
        Rgb const c = unpack.at(left, lower), d = unpack.at(right, lower);
        unpack.to.put_chroma(x, y,
                             {(a.r + b.r + c.r + d.r) / 4, (a.g + b.g + c.g + d.g) / 4, (a.b + b.b + c.b + d.b) / 4});
    }
};

template <class Number>
struct FillWith {
    Number* target;
    int64_t count;
    int32_t width;
    Number value;

    TWEENRT_ON_GPU void operator()(int32_t x, int32_t y) const {
        int64_t const at = static_cast<int64_t>(y) * width + x;
        if (at < count) target[at] = value;
    }
};

template <class Number>
void fill_as(cudaStream_t stream, void* target, int64_t count, Number value) {
    constexpr int64_t kRow = 4096;
    auto const width = static_cast<int32_t>(count < kRow ? count : kRow);
    auto const height = static_cast<int32_t>((count + kRow - 1) / kRow);
    if (count > 0) launch(stream, width, height, FillWith<Number>{static_cast<Number*>(target), count, width, value});
}

}  // namespace

void pack_on_gpu(cudaStream_t stream, Geometry const& g, tweenrt_frame const& frame, void* target) {
    TensorOf const to(g, target);
    launch(stream, to.width, to.height, Pack{Axes(g), Frame(g, frame), to});
}

void unpack_on_gpu(cudaStream_t stream, Geometry const& g, void const* drawn, tweenrt_frame const& frame) {
    Unpack const unpack{Axes(g), TensorOf(g, drawn), Frame(g, frame)};
    launch(stream, g.format.width, g.format.height, unpack);
    if (g.format.pixels == TWEENRT_PIXELS_NV12)
        launch(stream, (g.format.width + 1) / 2, (g.format.height + 1) / 2, UnpackChroma{unpack});
}

void requantise_on_gpu(cudaStream_t stream, Geometry const& g, void const* drawn, void* target) {
    TensorOf const to(g, target);
    if (g.element == Element::kUint8) {
        size_t const bytes = static_cast<size_t>(to.width) * to.height * 3;
        check(cudaMemcpyAsync(target, drawn, bytes, cudaMemcpyDeviceToDevice, stream), "cudaMemcpyAsync");
        return;
    }
    launch(stream, to.width, to.height, Requantise{Axes(g), TensorOf(g, drawn), Frame(g, {}), to});
}

void fill_on_gpu(cudaStream_t stream, Element element, void* target, int64_t count, float value) {
    if (element == Element::kHalf) return fill_as<__half>(stream, target, count, static_cast<__half>(value));
    fill_as<float>(stream, target, count, value);
}

}  // namespace tweenrt::native
