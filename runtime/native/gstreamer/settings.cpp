#include "settings.h"

namespace tweenrt::gstreamer {
namespace {

enum Property : guint {
    kNone,
    kGraph,
    kBackend,
    kFactor,
    kRate,
    kThreads,
    kDevice,
    kIterations,
    kBackendLibrary,
    kPluginLibrary,
    kPreparedFrames,
    kDrawnFrames,
    kEncoderRuns,
    kDrawingRuns,
};

constexpr auto kSetting =
    static_cast<GParamFlags>(G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_READY);
constexpr auto kCount = static_cast<GParamFlags>(G_PARAM_READABLE | G_PARAM_STATIC_STRINGS);
constexpr int kMostFactor = 1024;

GType backend_type() {
    static GEnumValue const values[] = {
        {TWEENRT_BACKEND_AUTO, "Of an engine, the one it was built for; of a graph, ONNX Runtime", "auto"},
        {TWEENRT_BACKEND_ONNXRUNTIME, "ONNX Runtime", "onnxruntime"},
        {TWEENRT_BACKEND_TENSORRT, "TensorRT", "tensorrt"},
        {TWEENRT_BACKEND_TENSORRT_RTX, "TensorRT-RTX", "tensorrt-rtx"},
        {0, nullptr, nullptr},
    };
    static GType const type = g_enum_register_static("TweenrtInterpolateBackend", values);
    return type;
}

void install_text(GObjectClass* type, Property property, char const* name, char const* nick, char const* says) {
    g_object_class_install_property(type, property, g_param_spec_string(name, nick, says, nullptr, kSetting));
}

void install_number(GObjectClass* type, Property property, char const* name, char const* nick, char const* says,
                    int least, int most, int value) {
    g_object_class_install_property(type, property, g_param_spec_int(name, nick, says, least, most, value, kSetting));
}

void install_count(GObjectClass* type, Property property, char const* name, char const* nick, char const* says) {
    g_object_class_install_property(type, property, g_param_spec_uint64(name, nick, says, 0, G_MAXUINT64, 0, kCount));
}

char const* text_of(GValue const* value) {
    char const* const text = g_value_get_string(value);
    return text == nullptr ? "" : text;
}

char const* or_null(std::string const& text) { return text.empty() ? nullptr : text.c_str(); }

// Halvings with which a network that draws midpoints reaches every step of the factor.
int levels_for(int factor, int at_least) {
    int levels = at_least;
    while (1 << levels < factor) ++levels;
    return levels;
}

void install_settings(GObjectClass* type) {
    install_text(type, kGraph, "graph", "Graph",
                 "ONNX file of tweenrt, engine, or folder of a network in two files; must be set");
    g_object_class_install_property(type, kBackend,
                                    g_param_spec_enum("backend", "Backend", "What executes the network", backend_type(),
                                                      TWEENRT_BACKEND_AUTO, kSetting));
    install_number(type, kFactor, "factor", "Factor", "Outgoing frames for each incoming one, unless there is a rate",
                   1, kMostFactor, 2);
    g_object_class_install_property(
        type, kRate,
        gst_param_spec_fraction("rate", "Rate", "Outgoing frames a second, instead of a factor; 0/1: the factor", 0, 1,
                                G_MAXINT, 1, 0, 1, kSetting));
    install_number(type, kThreads, "threads", "Threads", "CPU threads for one run; 0: the backend chooses", 0, G_MAXINT,
                   0);
    install_number(type, kDevice, "device", "Device", "Number of the GPU", 0, G_MAXINT, 0);
    install_number(type, kIterations, "iterations", "Iterations",
                   "Runs for a frame, for networks that refine an estimate; others ignore it", 1, 16, 2);
    install_text(type, kBackendLibrary, "backend-library", "Backend library",
                 "File of the backend's library, such as libonnxruntime.so.1; unset: as the dynamic linker finds it");
    install_text(type, kPluginLibrary, "plugin-library", "Plugin library",
                 "File of libtweenrt_plugins.so; unset: beside libtweenrt.so, else as the dynamic linker finds it");
    gst_type_mark_as_plugin_api(backend_type(), static_cast<GstPluginAPIFlags>(0));
}

void install_counts(GObjectClass* type) {
    install_count(type, kPreparedFrames, "prepared-frames", "Prepared frames", "Frames that came in since the start");
    install_count(type, kDrawnFrames, "drawn-frames", "Drawn frames", "Frames that the network drew since the start");
    install_count(type, kEncoderRuns, "encoder-runs", "Encoder runs",
                  "Runs of the half of a network that comes before drawing, since the start; 0 for a whole network");
    install_count(type, kDrawingRuns, "drawing-runs", "Drawing runs",
                  "Runs of the network or half that draws, since the start");
}

}  // namespace

void install_properties(GObjectClass* type) {
    install_settings(type);
    install_counts(type);
}

Params Settings::params() const {
    Params params{graph};
    params->backend = backend;
    params->threads = threads;
    params->gpu = device;
    params->iterations = iterations;
    params->midpoint_levels = levels_for(retiming.factor, params->midpoint_levels);
    params->backend_library = or_null(backend_library);
    params->plugin_library = or_null(plugin_library);
    return params;
}

bool set_setting(Settings& settings, guint property, GValue const* value) {
    switch (property) {
        case kGraph:
            settings.graph = text_of(value);
            return true;
        case kBackend:
            settings.backend = g_value_get_enum(value);
            return true;
        case kFactor:
            settings.retiming.factor = g_value_get_int(value);
            return true;
        case kRate:
            settings.retiming.rate_numerator = gst_value_get_fraction_numerator(value);
            settings.retiming.rate_denominator = gst_value_get_fraction_denominator(value);
            return true;
        case kThreads:
            settings.threads = g_value_get_int(value);
            return true;
        case kDevice:
            settings.device = g_value_get_int(value);
            return true;
        case kIterations:
            settings.iterations = g_value_get_int(value);
            return true;
        case kBackendLibrary:
            settings.backend_library = text_of(value);
            return true;
        case kPluginLibrary:
            settings.plugin_library = text_of(value);
            return true;
        default:
            return false;
    }
}

bool get_setting(Settings const& settings, guint property, GValue* value) {
    Retiming const& retiming = settings.retiming;
    switch (property) {
        case kGraph:
            g_value_set_string(value, or_null(settings.graph));
            return true;
        case kBackend:
            g_value_set_enum(value, settings.backend);
            return true;
        case kFactor:
            g_value_set_int(value, retiming.factor);
            return true;
        case kRate:
            gst_value_set_fraction(value, retiming.rate_numerator, retiming.rate_denominator);
            return true;
        case kThreads:
            g_value_set_int(value, settings.threads);
            return true;
        case kDevice:
            g_value_set_int(value, settings.device);
            return true;
        case kIterations:
            g_value_set_int(value, settings.iterations);
            return true;
        case kBackendLibrary:
            g_value_set_string(value, or_null(settings.backend_library));
            return true;
        case kPluginLibrary:
            g_value_set_string(value, or_null(settings.plugin_library));
            return true;
        default:
            return false;
    }
}

bool get_count(tweenrt_stats const& counted, guint property, GValue* value) {
    switch (property) {
        case kPreparedFrames:
            g_value_set_uint64(value, counted.prepared);
            return true;
        case kDrawnFrames:
            g_value_set_uint64(value, counted.drawn);
            return true;
        case kEncoderRuns:
            g_value_set_uint64(value, counted.first_runs);
            return true;
        case kDrawingRuns:
            g_value_set_uint64(value, counted.drawing_runs);
            return true;
        default:
            return false;
    }
}

}  // namespace tweenrt::gstreamer
