#include "stream.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "caps.h"

namespace tweenrt::gstreamer {
namespace {

// Finest step that any network which only draws midpoints can be asked for.
constexpr double kFinestHalving = 1024;

// Says of a buffer when it is shown.
BufferPtr stamped(BufferPtr buffer, Moment const& moment) {
    BufferPtr own{gst_buffer_make_writable(buffer.release())};
    GST_BUFFER_PTS(own.get()) = moment.pts;
    GST_BUFFER_DURATION(own.get()) = moment.duration;
    GST_BUFFER_DTS(own.get()) = GST_CLOCK_TIME_NONE;
    GST_BUFFER_OFFSET(own.get()) = GST_BUFFER_OFFSET_NONE;
    GST_BUFFER_OFFSET_END(own.get()) = GST_BUFFER_OFFSET_NONE;
    return own;
}

// The same pixels once more, in a buffer that does not mark the start of anything.
BufferPtr repeated(GstBuffer* buffer) {
    BufferPtr copy{gst_buffer_copy(buffer)};
    GST_BUFFER_FLAG_UNSET(copy.get(), GST_BUFFER_FLAG_DISCONT | GST_BUFFER_FLAG_RESYNC);
    return copy;
}

}  // namespace

Stream::Stream(Interpolator& interpolator, Retiming const& retiming, GstVideoInfo const& info, Allocate allocate)
    : interpolator_(interpolator), timeline_(retiming), info_(info), allocate_(std::move(allocate)) {
    tweenrt_info const network = interpolator.info();
    midpoints_ = network.time == TWEENRT_TIME_MIDPOINT;
    four_frames_ = network.frames == 4;
    slots_ = network.slots;
    ahead_ = static_cast<size_t>(frames_ahead(network));
    interpolator.set_format(format_of(info));
}

bool Stream::breaks_at(GstBuffer* frame) const {
    if (waiting_.empty()) return false;
    Held const& last = waiting_.back();
    GstClockTime const pts = GST_BUFFER_PTS(frame);
    if (GST_BUFFER_IS_DISCONT(frame) || pts <= last.pts) return true;
    // One missing frame is drawn across, more are not.
    return last.length > 0 && pts - last.pts > last.length * 5 / 2;
}

void Stream::push(BufferPtr frame) {
    GstClockTime const pts = GST_BUFFER_PTS(frame.get());
    if (!GST_CLOCK_TIME_IS_VALID(pts))
        throw Error(TWEENRT_STATUS_INVALID_ARGUMENT,
                    "expected frames with timestamps, got one without; rawvideoparse and the demuxers set them");
    interpolator_.prepare(slot(count_), MappedFrame{info_, frame.get(), GST_MAP_READ}.get());
    if (count_++ == 0) timeline_.start_at(pts);
    GstClockTime const said = GST_BUFFER_DURATION(frame.get());
    GstClockTime const length = GST_CLOCK_TIME_IS_VALID(said) && said > 0 ? said : frame_time(info_);
    waiting_.push_back({std::move(frame), pts, length});
    if (waiting_.size() > ahead_) plan_interval();
}

void Stream::pass(BufferPtr frame) {
    Moment const moment{GST_BUFFER_PTS(frame.get()), GST_BUFFER_DURATION(frame.get()), 0.0};
    plan_.push_back({moment, std::move(frame)});
}

void Stream::drain(GstClockTime limit) {
    while (waiting_.size() > 1) plan_interval();
    if (!waiting_.empty()) plan_last(limit);
    waiting_.clear();
    count_ = 0;
    last_step_ = 0;
}

void Stream::reset() {
    waiting_.clear();
    plan_.clear();
    count_ = 0;
    last_step_ = 0;
}

BufferPtr Stream::next() {
    if (plan_.empty()) return nullptr;
    if (!plan_.front().buffer) draw_planned();
    Planned planned = std::move(plan_.front());
    plan_.pop_front();
    return stamped(std::move(planned.buffer), planned.moment);
}

// From the first waiting frame up to the second.
void Stream::plan_interval() {
    window_ = window();
    Held held = std::move(waiting_.front());
    waiting_.pop_front();
    GstClockTime const end = waiting_.front().pts;
    last_step_ = end - held.pts;
    for (Moment moment : timeline_.moments(held.pts, end)) {
        moment.position = representable(moment.position, last_step_);
        plan_.push_back({moment, moment.position > 0 ? nullptr : std::move(held.buffer)});
    }
}

// The last frame, as long as it is shown.
void Stream::plan_last(GstClockTime limit) {
    Held& held = waiting_.back();
    GstClockTime const end = end_of_last(limit);
    if (end == held.pts) return pass(std::move(held.buffer));
    BufferPtr repeat = repeated(held.buffer.get());
    for (Moment moment : timeline_.moments(held.pts, end)) {
        moment.duration = std::min(moment.duration, end - moment.pts);
        plan_.push_back({moment, held.buffer ? std::move(held.buffer) : repeated(repeat.get())});
    }
}

GstClockTime Stream::end_of_last(GstClockTime limit) const {
    Held const& held = waiting_.back();
    GstClockTime const end = held.pts + (held.length > 0 ? held.length : last_step_);
    return GST_CLOCK_TIME_IS_VALID(limit) && limit > held.pts ? std::min(end, limit) : end;
}

// Rounded times put a midpoint beside where it is meant to be, and some networks draw midpoints only.
double Stream::representable(double position, GstClockTime length) const {
    if (!midpoints_) return position;
    double const near = std::round(position * kFinestHalving) / kFinestHalving;
    double const off = std::abs(near - position) * static_cast<double>(length);
    return off <= static_cast<double>(kSameMoment) ? near : position;
}

tweenrt_window Stream::window() const {
    guint64 const first = count_ - waiting_.size();
    bool const before = four_frames_ && first > 0;
    bool const after = four_frames_ && waiting_.size() > 2;
    return between(slot(first), slot(first + 1), before ? slot(first - 1) : -1, after ? slot(first + 2) : -1);
}

// Draws the first frames of the plan, as many as one call takes.
void Stream::draw_planned() {
    std::deque<MappedFrame> mapped;
    std::vector<double> times;
    std::vector<tweenrt_frame> outputs;
    for (Planned& planned : plan_) {
        if (planned.buffer || times.size() == kDrawnAtOnce) break;
        planned.buffer = allocate_();
        times.push_back(planned.moment.position);
        outputs.push_back(mapped.emplace_back(info_, planned.buffer.get(), GST_MAP_WRITE).get());
    }
    interpolator_.draw(window_, times, outputs);
}

}  // namespace tweenrt::gstreamer
