// The element tweenrtinterpolate.
#ifndef TWEENRT_GSTREAMER_ELEMENT_H
#define TWEENRT_GSTREAMER_ELEMENT_H

#include <gst/gst.h>

G_BEGIN_DECLS

GST_ELEMENT_REGISTER_DECLARE(tweenrtinterpolate)

G_END_DECLS

#endif  // TWEENRT_GSTREAMER_ELEMENT_H
