// The part of an interpolator that takes frames and draws new ones. Nothing here allocates, but for messages of faults.
#include <cmath>

#include "convert.h"
#include "interpolator.h"
#include "report.h"

namespace tweenrt::native {
namespace {

constexpr double kHalf = 0.5;

Fault invalid(std::string const& text) { return Fault(TWEENRT_STATUS_INVALID_ARGUMENT, text); }

size_t sample_bytes(tweenrt_pixels pixels) {
    return pixels == TWEENRT_PIXELS_RGB_F32 ? 4 : pixels == TWEENRT_PIXELS_RGB_F16 ? 2 : 1;
}

// Fills in the pitch of a plane. Throws Fault where the plane cannot be one of such frames.
void complete_plane(tweenrt_format const& format, int32_t plane, tweenrt_frame& frame, char const* what) {
    int64_t const least = row_bytes(format, plane);
    int64_t& pitch = frame.pitches[plane];
    if (frame.planes[plane] == nullptr)
        throw invalid(std::string(what) + ": expected a pointer in planes[" + std::to_string(plane) + "], got NULL");
    if (pitch == 0) pitch = least;
    if (pitch < least)
        throw invalid(std::string(what) + ": expected pitches[" + std::to_string(plane) + "] of at least " +
                      std::to_string(least) + " bytes, got " + std::to_string(pitch));
    size_t const sample = sample_bytes(format.pixels);
    if (reinterpret_cast<uintptr_t>(frame.planes[plane]) % sample != 0 || pitch % static_cast<int64_t>(sample) != 0)
        throw invalid(std::string(what) + ": expected planes[" + std::to_string(plane) + "] and its pitch aligned to " +
                      std::to_string(sample) + " bytes");
}

}  // namespace

bool Interpolator::Order::wants_between(double low, double high) const {
    for (int32_t k = 0; k < count; ++k)
        if (times[k] > low && times[k] < high) return true;
    return false;
}

void Interpolator::prepare(int32_t slot, tweenrt_frame const& frame) {
    if (slot < 0 || slot >= static_cast<int32_t>(slots_.size()))
        throw invalid("expected a slot in 0.." + std::to_string(slots_.size() - 1) + ", got " + std::to_string(slot));
    tweenrt_frame const complete = completed(frame, "frame");
    Slot& target = slots_[slot];
    target.serial = 0;
    target.encoded = false;
    Report report;
    expect(module_->backend().pack(complete, *target.frame, report), report);
    target.serial = ++serials_;
    ++stats_.prepared;
}

void Interpolator::draw(tweenrt_window const& window, double const* times, tweenrt_frame const* outputs,
                        int32_t count) {
    Order const order{times, outputs, count};
    if (!geometry_) throw Fault(TWEENRT_STATUS_NOT_READY, "no format is set; call tweenrt_set_format() first");
    check_order(order);
    Selection const selection = selected(window);
    if (midpoints_only()) {
        halve(selection, 0.0, 1.0, 0, order);
    } else {
        for (int32_t k = 0; k < count; ++k) hand_out(drawn(selection, times[k]), outputs[k]);
    }
    Report report;
    if (count > 0 && outputs[0].memory == TWEENRT_MEMORY_HOST) expect(module_->backend().finish(report), report);
}

void Interpolator::synchronize() {
    Report report;
    expect(module_->backend().synchronize(report), report);
}

tweenrt_frame Interpolator::completed(tweenrt_frame const& frame, char const* what) const {
    if (!geometry_) throw Fault(TWEENRT_STATUS_NOT_READY, "no format is set; call tweenrt_set_format() first");
    if (frame.memory != TWEENRT_MEMORY_HOST && frame.memory != TWEENRT_MEMORY_DEVICE)
        throw invalid(std::string(what) + ": expected memory HOST or DEVICE, got " + std::to_string(frame.memory));
    if (frame.memory == TWEENRT_MEMORY_DEVICE && !module_->backend().takes_device_frames())
        throw Fault(TWEENRT_STATUS_UNSUPPORTED, std::string(what) +
                                                    ": got a frame in GPU memory, but this backend computes on the "
                                                    "CPU; give it in host memory, or open an engine");
    tweenrt_frame complete = frame;
    for (int32_t plane = 0; plane < plane_count(geometry_->format.pixels); ++plane)
        complete_plane(geometry_->format, plane, complete, what);
    return complete;
}

Slot& Interpolator::filled(int32_t slot, char const* what) {
    if (slot < 0 || slot >= static_cast<int32_t>(slots_.size()))
        throw invalid(std::string("expected window.") + what + " in 0.." + std::to_string(slots_.size() - 1) +
                      ", got " + std::to_string(slot));
    if (slots_[slot].serial == 0)
        throw Fault(TWEENRT_STATUS_NOT_READY, std::string("window.") + what + ": slot " + std::to_string(slot) +
                                                  " holds no frame; call tweenrt_prepare() first");
    return slots_[slot];
}

Selection Interpolator::selected(tweenrt_window const& window) {
    Slot& first = filled(window.first, "first");
    Slot& second = filled(window.second, "second");
    bool const looks_around = contract().frames == 4;
    Slot& before = looks_around && window.before != -1 ? filled(window.before, "before") : first;
    Slot& after = looks_around && window.after != -1 ? filled(window.after, "after") : second;
    return {{&first, &second, &before, &after}};
}

void Interpolator::check_order(Order const& order) const {
    double const steps = std::ldexp(1.0, options_.values.midpoint_levels);
    for (int32_t k = 0; k < order.count; ++k) {
        double const time = order.times[k];
        if (!(time > 0.0 && time < 1.0))
            throw invalid("expected moments strictly between 0 and 1, got " + std::to_string(time));
        if (midpoints_only() && time * steps != std::floor(time * steps))
            throw invalid(contract().model + " draws midpoints only, so moments are multiples of 1/" +
                          std::to_string(static_cast<int>(steps)) + ", got " + std::to_string(time) +
                          "; set params.midpoint_levels for finer ones, or use a model that takes t");
        if (order.outputs[k].memory != order.outputs[0].memory)
            throw invalid("expected all outputs in one kind of memory");
        completed(order.outputs[k], "output");
    }
}

void Interpolator::encode(Selection const& selection) {
    if (!first_) return;
    if (shares_features()) {
        bool same = true;
        for (int i = 0; i < kFrames; ++i) same = same && shared_from_[i] == selection.slots[i]->serial;
        if (same) return;
        for (uint64_t& serial : shared_from_) serial = 0;
        first_->run(selection, shared_, {});
        ++stats_.first_runs;
        for (int i = 0; i < kFrames; ++i) shared_from_[i] = selection.slots[i]->serial;
        return;
    }
    for (int which : {kFirst, kSecond}) {
        Slot* const slot = selection.slots[which];
        if (slot->encoded) continue;
        for (size_t i = 0; i < slot->features.size(); ++i) first_->set_output(i, slot->features[i].get());
        first_->run({{slot, slot, slot, slot}}, shared_, {});
        ++stats_.first_runs;
        slot->encoded = true;
    }
}

// Networks with a reference walk from the earlier frame to the moment in equal steps, each from what the one before
// drew (Zhong et al., "Clearer Frames, Anytime", ECCV 2024).
Tensor& Interpolator::drawn(Selection const& selection, double time) {
    encode(selection);
    int const steps = drawing_->takes(Role::kReference) ? options_.values.iterations : 1;
    float const distance = static_cast<float>(time);
    Moment moment{time_.get(), selection.slots[kFirst]->frame.get(), reference_time_.get()};
    for (int step = 0; step < steps; ++step) {
        auto share = [&](int part) { return distance * static_cast<float>(static_cast<double>(part) / steps); };
        if (time_ != nullptr) set_time(*time_, share(step + 1));
        if (reference_time_ != nullptr) set_time(*reference_time_, share(step));
        Tensor* const result = results_[step % 2].get();
        drawing_->set_output(frame_output_, result);
        drawing_->run(selection, shared_, moment);
        ++stats_.drawing_runs;
        moment.reference = result;
    }
    return *moment.reference;
}

void Interpolator::set_time(Tensor& tensor, float value) {
    Report report;
    expect(module_->backend().fill(tensor, value, report), report);
}

void Interpolator::hand_out(Tensor const& drawn, tweenrt_frame const& output) {
    Report report;
    expect(module_->backend().unpack(drawn, completed(output, "output"), report), report);
    ++stats_.drawn;
}

void Interpolator::halve(Selection const& ends, double low, double high, int level, Order const& order) {
    if (!order.wants_between(low, high)) return;
    double const middle = (low + high) / 2;
    Slot& first = *ends.slots[kFirst];
    Slot& second = *ends.slots[kSecond];
    Tensor& result = drawn({{&first, &second, &first, &second}}, kHalf);
    for (int32_t k = 0; k < order.count; ++k)
        if (order.times[k] == middle) hand_out(result, order.outputs[k]);
    if (!order.wants_between(low, middle) && !order.wants_between(middle, high)) return;
    Slot& between = midpoints_[level];
    Report report;
    expect(module_->backend().requantise(result, *between.frame, report), report);
    between.serial = ++serials_;
    between.encoded = false;
    halve({{&first, &between, &first, &between}}, low, middle, level + 1, order);
    halve({{&between, &second, &between, &second}}, middle, high, level + 1, order);
}

}  // namespace tweenrt::native
