#include "feeds.h"

#include <string>

#include "report.h"

namespace tweenrt::native {
namespace {

constexpr struct {
    char const* name;
    Feed feed;
} kNamed[] = {
    {"frame", {Role::kFrame, kFirst}},      {"frame0", {Role::kFrame, kFirst}},
    {"frame1", {Role::kFrame, kSecond}},    {"frame_prev", {Role::kFrame, kBefore}},
    {"frame_next", {Role::kFrame, kAfter}}, {"t", {Role::kTime}},
    {"frame_ref", {Role::kReference}},      {"t_ref", {Role::kReferenceTime}},
};

// An encoder of single frames: the features of frame k are the inputs feature<k>_<i>.
bool feature(std::string const& name, Graph const& encoder, Feed& feed) {
    int const count = encoder.session->output_count();
    for (int which : {kFirst, kSecond})
        for (int i = 0; i < count; ++i)
            if (name == "feature" + std::to_string(which) + "_" + std::to_string(i)) {
                feed = {Role::kFeature, which, i};
                return true;
            }
    return false;
}

bool shared(std::string const& name, Graph const& before, Feed& feed) {
    for (int i = 0; i < before.session->output_count(); ++i)
        if (name == before.session->output(i).name) {
            feed = {Role::kShared, kFirst, i};
            return true;
        }
    return false;
}

Feed feed_of(std::string const& name, Graph const& graph, Graph const* before) {
    for (auto const& known : kNamed)
        if (name == known.name) return known.feed;
    Feed feed{};
    if (before != nullptr && graph.contract.reuse == Reuse::kFrame && feature(name, *before, feed)) return feed;
    if (before != nullptr && graph.contract.reuse != Reuse::kFrame && shared(name, *before, feed)) return feed;
    throw Fault(TWEENRT_STATUS_UNSUPPORTED, graph.path + ": this version does not know what to feed to its input " +
                                                name + "; use the Python runtime, or a newer libtweenrt");
}

}  // namespace

Stage::Stage(Graph& graph, Graph const* before) : graph_(graph), inputs_(graph.inputs()), outputs_(graph.outputs()) {
    for (Port const& port : inputs_) feeds_.push_back(feed_of(port.name, graph, before));
    from_.resize(inputs_.size());
    to_.resize(outputs_.size());
}

bool Stage::takes(Role role) const {
    for (Feed const& feed : feeds_)
        if (feed.role == role) return true;
    return false;
}

void Stage::run(Selection const& selection, std::vector<TensorPtr> const& shared, Moment const& moment) {
    for (size_t i = 0; i < feeds_.size(); ++i) {
        Feed const& feed = feeds_[i];
        Slot& slot = *selection.slots[feed.which];
        switch (feed.role) {
            case Role::kFrame:
                from_[i] = slot.frame.get();
                break;
            case Role::kFeature:
                from_[i] = slot.features[feed.index].get();
                break;
            case Role::kShared:
                from_[i] = shared[feed.index].get();
                break;
            case Role::kTime:
                from_[i] = moment.time;
                break;
            case Role::kReference:
                from_[i] = moment.reference;
                break;
            case Role::kReferenceTime:
                from_[i] = moment.reference_time;
                break;
        }
    }
    Report report;
    expect(graph_.session->run(from_.data(), to_.data(), report), report);
}

}  // namespace tweenrt::native
