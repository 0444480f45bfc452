#include "caps.h"

#include <string>
#include <tweenrt/tweenrt.hpp>

namespace tweenrt::gstreamer {
namespace {

constexpr char kRate[] = "framerate";
constexpr char kMostRate[] = "max-framerate";

struct Ratio {
    int numerator, denominator;
};

// As near as a fraction comes to the product.
void multiply(GValue const* fraction, Ratio ratio, GValue* product) {
    int numerator = G_MAXINT, denominator = 1;
    gst_util_fraction_multiply(gst_value_get_fraction_numerator(fraction), gst_value_get_fraction_denominator(fraction),
                               ratio.numerator, ratio.denominator, &numerator, &denominator);
    gst_value_set_fraction(product, numerator, denominator);
}

void multiply_range(GValue const* range, Ratio ratio, GValue* product) {
    GValue least = G_VALUE_INIT, most = G_VALUE_INIT;
    g_value_init(&least, GST_TYPE_FRACTION);
    g_value_init(&most, GST_TYPE_FRACTION);
    multiply(gst_value_get_fraction_range_min(range), ratio, &least);
    multiply(gst_value_get_fraction_range_max(range), ratio, &most);
    gst_value_set_fraction_range(product, &least, &most);
    g_value_unset(&least);
    g_value_unset(&most);
}

// A fraction, a range of them or a list of both, times `ratio`.
void multiply_any(GValue const* value, Ratio ratio, GValue* product) {
    g_value_init(product, G_VALUE_TYPE(value));
    if (GST_VALUE_HOLDS_FRACTION(value)) {
        multiply(value, ratio, product);
    } else if (GST_VALUE_HOLDS_FRACTION_RANGE(value)) {
        multiply_range(value, ratio, product);
    } else {
        for (guint i = 0; i < gst_value_list_get_size(value); ++i) {
            GValue item = G_VALUE_INIT;
            multiply_any(gst_value_list_get_value(value, i), ratio, &item);
            gst_value_list_append_and_take_value(product, &item);
        }
    }
}

void multiply_field(GstStructure* structure, char const* field, Ratio ratio) {
    GValue const* const value = gst_structure_get_value(structure, field);
    if (value == nullptr) return;
    GValue product = G_VALUE_INIT;
    multiply_any(value, ratio, &product);
    gst_structure_take_value(structure, field, &product);
}

// Whether `structure` allows the rate.
bool allows_rate(GstStructure const* structure, Retiming const& retiming) {
    GValue const* const allowed = gst_structure_get_value(structure, kRate);
    if (allowed == nullptr) return true;
    GValue rate = G_VALUE_INIT;
    g_value_init(&rate, GST_TYPE_FRACTION);
    gst_value_set_fraction(&rate, retiming.rate_numerator, retiming.rate_denominator);
    bool const allows = gst_value_intersect(nullptr, allowed, &rate);
    g_value_unset(&rate);
    return allows;
}

struct Crossing {
    bool in_to_out;
    Retiming retiming;
};

bool cross_by_factor(Crossing const& crossing, GstStructure* structure) {
    int const factor = crossing.retiming.factor;
    Ratio const ratio = crossing.in_to_out ? Ratio{factor, 1} : Ratio{1, factor};
    multiply_field(structure, kRate, ratio);
    multiply_field(structure, kMostRate, ratio);
    return true;
}

// Whatever comes in, this rate comes out.
bool cross_to_rate(Crossing const& crossing, GstStructure* structure) {
    Retiming const& retiming = crossing.retiming;
    if (!crossing.in_to_out && !allows_rate(structure, retiming)) return false;
    gst_structure_remove_field(structure, kMostRate);
    if (crossing.in_to_out) {
        gst_structure_set(structure, kRate, GST_TYPE_FRACTION, retiming.rate_numerator, retiming.rate_denominator,
                          nullptr);
    } else {
        gst_structure_set(structure, kRate, GST_TYPE_FRACTION_RANGE, 0, 1, G_MAXINT, 1, nullptr);
    }
    return true;
}

gboolean cross(GstCapsFeatures*, GstStructure* structure, gpointer user_data) {
    auto const& crossing = *static_cast<Crossing const*>(user_data);
    return crossing.retiming.to_rate() ? cross_to_rate(crossing, structure) : cross_by_factor(crossing, structure);
}

tweenrt_pixels pixels_of(GstVideoFormat format) {
    switch (format) {
        case GST_VIDEO_FORMAT_RGB:
            return TWEENRT_PIXELS_RGB8;
        case GST_VIDEO_FORMAT_BGR:
            return TWEENRT_PIXELS_BGR8;
        case GST_VIDEO_FORMAT_RGBx:
        case GST_VIDEO_FORMAT_RGBA:
            return TWEENRT_PIXELS_RGBA8;
        case GST_VIDEO_FORMAT_BGRx:
        case GST_VIDEO_FORMAT_BGRA:
            return TWEENRT_PIXELS_BGRA8;
        default:
            return TWEENRT_PIXELS_NV12;
    }
}

tweenrt_matrix matrix_of(GstVideoInfo const& info) {
    switch (info.colorimetry.matrix) {
        case GST_VIDEO_COLOR_MATRIX_BT601:
            return TWEENRT_MATRIX_BT601;
        case GST_VIDEO_COLOR_MATRIX_BT709:
            return TWEENRT_MATRIX_BT709;
        case GST_VIDEO_COLOR_MATRIX_BT2020:
            return TWEENRT_MATRIX_BT2020;
        default:
            throw Error(TWEENRT_STATUS_UNSUPPORTED,
                        "expected NV12 with the colour matrix of BT.601, BT.709 or BT.2020, got another one in the "
                        "caps' colorimetry; put videoconvert before this element");
    }
}

}  // namespace

GstCaps* across(GstCaps* caps, GstPadDirection direction, Retiming const& retiming) {
    GstCaps* const other = gst_caps_copy(caps);
    Crossing crossing{direction == GST_PAD_SINK, retiming};
    gst_caps_filter_and_map_in_place(other, cross, &crossing);
    return other;
}

tweenrt_format format_of(GstVideoInfo const& info) {
    if (GST_VIDEO_INFO_IS_INTERLACED(&info))
        throw Error(TWEENRT_STATUS_UNSUPPORTED,
                    "expected progressive video, got interlaced; put deinterlace before this element");
    tweenrt_format format{};
    format.width = GST_VIDEO_INFO_WIDTH(&info);
    format.height = GST_VIDEO_INFO_HEIGHT(&info);
    format.pixels = pixels_of(GST_VIDEO_INFO_FORMAT(&info));
    if (format.pixels == TWEENRT_PIXELS_NV12) {
        format.matrix = matrix_of(info);
        bool const full = info.colorimetry.range == GST_VIDEO_COLOR_RANGE_0_255;
        format.range = full ? TWEENRT_RANGE_FULL : TWEENRT_RANGE_LIMITED;
    }
    return format;
}

GstClockTime frame_time(GstVideoInfo const& info) {
    int const numerator = GST_VIDEO_INFO_FPS_N(&info), denominator = GST_VIDEO_INFO_FPS_D(&info);
    if (numerator <= 0 || denominator <= 0) return 0;
    return gst_util_uint64_scale_int_round(GST_SECOND, denominator, numerator);
}

}  // namespace tweenrt::gstreamer
