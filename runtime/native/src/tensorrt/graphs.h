// Runs of one engine that were captured as CUDA graphs, by the addresses that they read and write.
#ifndef TWEENRT_NATIVE_TENSORRT_GRAPHS_H
#define TWEENRT_NATIVE_TENSORRT_GRAPHS_H

#include <array>
#include <vector>

#include "cuda.h"

namespace tweenrt::native {

// Frames and features that take turns give a handful of combinations of addresses. The least recently used is forgotten
// where there are more than kMost.
class Graphs {
  public:
    Graphs(Lane& lane, size_t addresses);
    ~Graphs() { clear(); }
    Graphs(Graphs const&) = delete;
    Graphs& operator=(Graphs const&) = delete;

    // Whether there was a run with these addresses. It is noted from now on.
    bool note(std::vector<void*> const& addresses);

    // The graph of the run that was noted last; null where it was not captured.
    cudaGraphExec_t graph() const { return last_->graph; }
    void keep(cudaGraphExec_t graph) { last_->graph = graph; }

    void clear();

  private:
    static constexpr size_t kMost = 16;

    struct Run {
        std::vector<void*> addresses;
        cudaGraphExec_t graph = nullptr;
        uint64_t used = 0;  // 0: never
    };

    void forget(Run& run);

    Lane& lane_;
    std::array<Run, kMost> runs_;
    Run* last_ = nullptr;
    uint64_t clock_ = 0;
};

// Captures what `work()` queues on a lane, which does not run now. Throws Fault BACKEND_FAILED where it cannot be
// captured, or what `work()` throws; the lane is as it was.
template <class Work>
cudaGraphExec_t captured(Lane& lane, Work&& work);

// The parts of captured().
void begin_capture(Lane& lane);
void abandon_capture(Lane& lane) noexcept;
cudaGraphExec_t end_capture(Lane& lane);

template <class Work>
cudaGraphExec_t captured(Lane& lane, Work&& work) {
    begin_capture(lane);
    try {
        work();
    } catch (...) {
        abandon_capture(lane);
        throw;
    }
    return end_capture(lane);
}

}  // namespace tweenrt::native

#endif  // TWEENRT_NATIVE_TENSORRT_GRAPHS_H
