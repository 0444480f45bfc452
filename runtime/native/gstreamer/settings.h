// The element's properties.
#ifndef TWEENRT_GSTREAMER_SETTINGS_H
#define TWEENRT_GSTREAMER_SETTINGS_H

#include <gst/gst.h>
#include <tweenrt/tweenrt.h>

#include <string>
#include <tweenrt/tweenrt.hpp>

#include "timeline.h"

namespace tweenrt::gstreamer {

struct Settings {
    std::string graph;
    std::string backend_library;
    std::string plugin_library;
    tweenrt_backend backend = TWEENRT_BACKEND_AUTO;
    int threads = 0;
    int device = 0;
    int iterations = 2;
    Retiming retiming;

    // What to open; it holds texts of this object.
    Params params() const;
};

// Declares the properties, those of Settings and those of tweenrt_stats.
void install_properties(GObjectClass* type);

// All say false where there is no such property.
bool set_setting(Settings& settings, guint property, GValue const* value);
bool get_setting(Settings const& settings, guint property, GValue* value);
bool get_count(tweenrt_stats const& counted, guint property, GValue* value);

}  // namespace tweenrt::gstreamer

#endif  // TWEENRT_GSTREAMER_SETTINGS_H
