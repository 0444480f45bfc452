// What goes in and comes out: pixel formats, sizes, and how the frame rate changes.
#ifndef TWEENRT_GSTREAMER_CAPS_H
#define TWEENRT_GSTREAMER_CAPS_H

#include <gst/video/video.h>
#include <tweenrt/tweenrt.h>

#include "timeline.h"

namespace tweenrt::gstreamer {

#define TWEENRT_GSTREAMER_CAPS GST_VIDEO_CAPS_MAKE("{ RGB, BGR, RGBx, BGRx, RGBA, BGRA, NV12 }")

// The caps of the other pad for `caps` on the pad of `direction`: the same but for the frame rate. The caller owns
// what is returned.
GstCaps* across(GstCaps* caps, GstPadDirection direction, Retiming const& retiming);

// Throws Error for interlaced video, and for NV12 with a colour matrix that tweenrt does not know.
tweenrt_format format_of(GstVideoInfo const& info);

// How long a frame is shown at the caps' rate; 0 where they give none.
GstClockTime frame_time(GstVideoInfo const& info);

}  // namespace tweenrt::gstreamer

#endif  // TWEENRT_GSTREAMER_CAPS_H
