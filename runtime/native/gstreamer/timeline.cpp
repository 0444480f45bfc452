#include "timeline.h"

namespace tweenrt::gstreamer {

void Timeline::start_at(GstClockTime origin) {
    origin_ = origin;
    next_ = 0;
}

std::vector<Moment> Timeline::moments(GstClockTime start, GstClockTime end) {
    return retiming_.to_rate() ? at_rate(start, end) : by_factor(start, end);
}

std::vector<Moment> Timeline::by_factor(GstClockTime start, GstClockTime end) const {
    int const factor = retiming_.factor;
    auto const at = [&](int step) { return start + gst_util_uint64_scale_int_round(end - start, step, factor); };
    std::vector<Moment> moments;
    for (int step = 0; step < factor; ++step)
        moments.push_back({at(step), at(step + 1) - at(step), static_cast<double>(step) / factor});
    return moments;
}

std::vector<Moment> Timeline::at_rate(GstClockTime start, GstClockTime end) {
    std::vector<Moment> moments;
    for (; at(next_) + kSameMoment < end; ++next_) {
        bool const shows_source = at(next_) <= start + kSameMoment;
        if (shows_source) start_at(start);
        moments.push_back({at(next_), at(next_ + 1) - at(next_), shows_source ? 0.0 : position(start, end)});
    }
    return moments;
}

GstClockTime Timeline::at(guint64 number) const {
    auto const rate = static_cast<guint64>(retiming_.rate_numerator);
    return origin_ + gst_util_uint64_scale_round(number, GST_SECOND * retiming_.rate_denominator, rate);
}

// Of the next moment between `start` and `end`, from its exact time.
double Timeline::position(GstClockTime start, GstClockTime end) const {
    long double const rate = retiming_.rate_numerator;
    long double const period = static_cast<long double>(GST_SECOND) * retiming_.rate_denominator;
    long double const passed =
        static_cast<long double>(next_) * period - static_cast<long double>(start - origin_) * rate;
    return static_cast<double>(passed / (rate * static_cast<long double>(end - start)));
}

}  // namespace tweenrt::gstreamer
