// One stream of frames on its way through the network: what is held back, what is shown and drawn when.
#ifndef TWEENRT_GSTREAMER_STREAM_H
#define TWEENRT_GSTREAMER_STREAM_H

#include <deque>
#include <functional>
#include <tweenrt/tweenrt.hpp>

#include "buffer.h"
#include "timeline.h"

namespace tweenrt::gstreamer {

// Most frames that one call of the network draws, and so most that are allocated at a time.
constexpr guint kDrawnAtOnce = 8;

// How many frames must have come in after one before what follows it is drawn.
inline int frames_ahead(tweenrt_info const& network) { return network.frames == 4 ? 2 : 1; }

// Used by the streaming thread only. A frame goes in with push(), and all that next() then hands out comes before the
// frame after it goes in. Times are presentation times in nanoseconds. Methods throw tweenrt::Error, and whatever
// `allocate` throws.
class Stream {
  public:
    // A writable buffer for a frame.
    using Allocate = std::function<BufferPtr()>;

    // Sets the interpolator's format; it must outlive the stream.
    Stream(Interpolator& interpolator, Retiming const& retiming, GstVideoInfo const& info, Allocate allocate);

    // Whether `frame` does not continue what has come in: drain() before it is pushed.
    bool breaks_at(GstBuffer* frame) const;

    void push(BufferPtr frame);

    // Hands a frame on as it is.
    void pass(BufferPtr frame);

    // Plans what is still held back, the last frame for its duration, though not beyond `limit`. What comes in next
    // starts anew.
    void drain(GstClockTime limit = GST_CLOCK_TIME_NONE);

    // Forgets what is held back and planned.
    void reset();

    // The next frame to hand on; null if more must come in first.
    BufferPtr next();

  private:
    struct Held {
        BufferPtr buffer;
        GstClockTime pts;
        GstClockTime length;  // how long the frame says that it is shown; 0 if unknown
    };
    struct Planned {
        Moment moment;
        BufferPtr buffer;  // null: to be drawn
    };

    void plan_interval();
    void plan_last(GstClockTime limit);
    GstClockTime end_of_last(GstClockTime limit) const;
    double representable(double position, GstClockTime length) const;
    int32_t slot(guint64 number) const { return static_cast<int32_t>(number % static_cast<guint64>(slots_)); }
    tweenrt_window window() const;
    void draw_planned();

    Interpolator& interpolator_;
    Timeline timeline_;
    GstVideoInfo info_;
    Allocate allocate_;
    bool midpoints_, four_frames_;
    int32_t slots_;
    size_t ahead_;

    std::deque<Held> waiting_;    // from the first frame of the next interval to the one that came in last
    guint64 count_ = 0;           // frames since the stream started anew; the k-th lies in slot(k)
    GstClockTime last_step_ = 0;  // between the last two of them; 0 if there are not two

    std::deque<Planned> plan_;
    tweenrt_window window_{};  // what the drawn frames of the plan are drawn from
};

}  // namespace tweenrt::gstreamer

#endif  // TWEENRT_GSTREAMER_STREAM_H
