// What is behind a handle: a network, the memory for one format of frames, and how a frame is drawn.
#ifndef TWEENRT_NATIVE_INTERPOLATOR_H
#define TWEENRT_NATIVE_INTERPOLATOR_H

#include <optional>

#include "feeds.h"
#include "module.h"

namespace tweenrt::native {

// Methods throw Fault; the C functions of tweenrt.h say what they do.
class Interpolator {
  public:
    explicit Interpolator(tweenrt_params const& params);
    Interpolator(Interpolator const&) = delete;
    Interpolator& operator=(Interpolator const&) = delete;
    ~Interpolator();  // waits for queued work

    void set_format(tweenrt_format const& format);
    void prepare(int32_t slot, tweenrt_frame const& frame);
    void draw(tweenrt_window const& window, double const* times, tweenrt_frame const* outputs, int32_t count);
    void synchronize();
    tweenrt_info info() const;
    tweenrt_stats statistics() const { return stats_; }

  private:
    // The moments to draw and where to: times[k] is drawn into outputs[k].
    struct Order {
        double const* times;
        tweenrt_frame const* outputs;
        int32_t count;

        bool wants_between(double low, double high) const;
    };

    Contract const& contract() const { return network_->drawing.contract; }
    bool midpoints_only() const { return contract().time == TimeInput::kFixed; }
    bool shares_features() const { return first_.has_value() && contract().reuse != Reuse::kFrame; }

    void free_memory();
    void plan(tweenrt_format const& format);
    void plan_first(Geometry const& geometry);
    void plan_drawing(Geometry const& geometry);
    void make_slot(Slot& slot, Geometry const& geometry);
    Shape shape_of(Port const& port, Feed const& feed, Geometry const& geometry) const;
    TensorPtr make(Element element, Shape const& shape);

    tweenrt_frame completed(tweenrt_frame const& frame, char const* what) const;
    Slot& filled(int32_t slot, char const* what);
    Selection selected(tweenrt_window const& window);
    void check_order(Order const& order) const;

    Tensor& drawn(Selection const& selection, double time);
    void encode(Selection const& selection);
    void set_time(Tensor& tensor, float value);
    void hand_out(Tensor const& drawn, tweenrt_frame const& output);
    void halve(Selection const& ends, double low, double high, int level, Order const& order);
    void log(tweenrt_log_level level, std::string const& text) const;

    Options options_;
    std::optional<Module> module_;  // goes last
    std::optional<Network> network_;
    std::optional<Stage> first_, drawing_;
    Element element_ = Element::kFloat;  // of tensors of frames
    size_t frame_output_ = 0;            // index of frame_t

    std::optional<Geometry> geometry_;  // none until a format was set
    std::vector<Slot> slots_, midpoints_;
    std::vector<TensorPtr> shared_, extras_;
    uint64_t shared_from_[kFrames] = {};  // serials of the frames that shared_ belongs to
    TensorPtr results_[2];
    TensorPtr time_, reference_time_;
    uint64_t serials_ = 0;
    tweenrt_stats stats_{};
};

}  // namespace tweenrt::native

#endif  // TWEENRT_NATIVE_INTERPOLATOR_H
