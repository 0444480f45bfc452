#include "element.h"

static gboolean plugin_init(GstPlugin* plugin) { return GST_ELEMENT_REGISTER(tweenrtinterpolate, plugin); }

#define PACKAGE "tweenrt"
GST_PLUGIN_DEFINE(GST_VERSION_MAJOR, GST_VERSION_MINOR, tweenrt, "Frames between the frames of a video", plugin_init,
                  TWEENRT_VERSION, "MIT/X11", "tweenrt", "tweenrt")
