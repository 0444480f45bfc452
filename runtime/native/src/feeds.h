// What each input of a graph is fed with, found once by its name.
#ifndef TWEENRT_NATIVE_FEEDS_H
#define TWEENRT_NATIVE_FEEDS_H

#include <memory>
#include <vector>

#include "network.h"

namespace tweenrt::native {

using TensorPtr = std::unique_ptr<Tensor>;

// A frame that was made ready, and what an encoder made of it.
struct Slot {
    TensorPtr frame;
    std::vector<TensorPtr> features;
    uint64_t serial = 0;  // of the frame in it; 0 where there is none
    bool encoded = false;
};

// The frames of a window, in the order of tweenrt_window. All are set.
constexpr int kFirst = 0, kSecond = 1, kBefore = 2, kAfter = 3, kFrames = 4;

struct Selection {
    Slot* slots[kFrames] = {};
};

// What a run draws from beside the frames.
struct Moment {
    Tensor* time = nullptr;
    Tensor* reference = nullptr;
    Tensor* reference_time = nullptr;
};

enum class Role {
    kFrame,          // a frame of the selection
    kFeature,        // `index` of the features of a frame
    kShared,         // output `index` of the graph that runs before, for the whole selection
    kTime,           // the moment
    kReference,      // an earlier estimate of the frame to draw, and
    kReferenceTime,  // its moment
};

struct Feed {
    Role role;
    int which = kFirst;  // frame of the selection
    int index = 0;
};

// One graph with all that its runs need. `run()` allocates nothing.
class Stage {
  public:
    // `before`: the graph that runs before this one, or null. Throws Fault UNSUPPORTED for an input of unknown name.
    Stage(Graph& graph, Graph const* before);

    Graph& graph() const { return graph_; }
    std::vector<Port> const& inputs() const { return inputs_; }
    std::vector<Port> const& outputs() const { return outputs_; }
    std::vector<Feed> const& feeds() const { return feeds_; }
    bool takes(Role role) const;

    // Sets the tensor that an output goes to.
    void set_output(size_t index, Tensor* tensor) { to_[index] = tensor; }
    void run(Selection const& selection, std::vector<TensorPtr> const& shared, Moment const& moment);

  private:
    Graph& graph_;
    std::vector<Port> inputs_, outputs_;
    std::vector<Feed> feeds_;
    std::vector<Tensor*> from_, to_;
};

}  // namespace tweenrt::native

#endif  // TWEENRT_NATIVE_FEEDS_H
