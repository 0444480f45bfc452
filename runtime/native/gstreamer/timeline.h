// Which moments the outgoing stream shows: runtime/timeline.py, in GStreamer's nanoseconds.
#ifndef TWEENRT_GSTREAMER_TIMELINE_H
#define TWEENRT_GSTREAMER_TIMELINE_H

#include <gst/gst.h>

#include <vector>

namespace tweenrt::gstreamer {

// Source times are rounded, to nanoseconds or to ticks of 1/90000 s, and some elements add rounded durations up: a
// moment this close to a source frame shows that frame.
constexpr GstClockTime kSameMoment = 12 * GST_USECOND;

// Where outgoing frames lie.
struct Retiming {
    int factor = 2;  // frames for each source frame, unless there is a rate
    int rate_numerator = 0;
    int rate_denominator = 1;

    bool to_rate() const { return rate_numerator > 0; }
};

// One outgoing frame.
struct Moment {
    GstClockTime pts;
    GstClockTime duration;
    double position;  // 0: the source frame at the start of the interval; below 1, the one at its end
};

// Lays outgoing frames over source frames, one interval after the other.
class Timeline {
  public:
    explicit Timeline(Retiming const& retiming) : retiming_(retiming) {}

    // The first source frame is shown at `origin`.
    void start_at(GstClockTime origin);

    // The moments from the source frame at `start` up to what is shown at `end`, in order, each to the nearest
    // nanosecond. With a rate they lie whole periods after the source frame that was shown last, and the last one may
    // reach past `end`.
    std::vector<Moment> moments(GstClockTime start, GstClockTime end);

  private:
    std::vector<Moment> by_factor(GstClockTime start, GstClockTime end) const;
    std::vector<Moment> at_rate(GstClockTime start, GstClockTime end);
    GstClockTime at(guint64 number) const;
    double position(GstClockTime start, GstClockTime end) const;

    Retiming retiming_;
    GstClockTime origin_ = 0;
    guint64 next_ = 0;  // periods after `origin_`
};

}  // namespace tweenrt::gstreamer

#endif  // TWEENRT_GSTREAMER_TIMELINE_H
