#include "graphs.h"

#include <algorithm>

namespace tweenrt::native {

Graphs::Graphs(Lane& lane, size_t addresses) : lane_(lane) {
    for (Run& run : runs_) run.addresses.reserve(addresses);
}

bool Graphs::note(std::vector<void*> const& addresses) {
    auto const known = std::find_if(runs_.begin(), runs_.end(),
                                    [&](Run const& run) { return run.used != 0 && run.addresses == addresses; });
    if (known != runs_.end()) {
        last_ = &*known;
    } else {
        last_ =
            &*std::min_element(runs_.begin(), runs_.end(), [](Run const& a, Run const& b) { return a.used < b.used; });
        forget(*last_);
        last_->addresses = addresses;
    }
    last_->used = ++clock_;
    return known != runs_.end();
}

void Graphs::clear() {
    for (Run& run : runs_) forget(run);
    last_ = nullptr;
}

// A graph may only go once it does not run any more.
void Graphs::forget(Run& run) {
    cudaGraphExec_t const graph = run.graph;
    run.graph = nullptr;
    run.used = 0;
    if (graph == nullptr) return;
    cudaStreamSynchronize(lane_.stream());
    cudaGraphExecDestroy(graph);
}

void begin_capture(Lane& lane) {
    check(cudaStreamBeginCapture(lane.stream(), cudaStreamCaptureModeThreadLocal), "cudaStreamBeginCapture");
}

void abandon_capture(Lane& lane) noexcept {
    cudaGraph_t graph = nullptr;
    cudaStreamEndCapture(lane.stream(), &graph);
    if (graph != nullptr) cudaGraphDestroy(graph);
    cudaGetLastError();
}

cudaGraphExec_t end_capture(Lane& lane) {
    cudaGraph_t graph = nullptr;
    check(cudaStreamEndCapture(lane.stream(), &graph), "cudaStreamEndCapture");
    cudaGraphExec_t executable = nullptr;
    cudaError_t const error = cudaGraphInstantiate(&executable, graph, 0);
    cudaGraphDestroy(graph);
    check(error, "cudaGraphInstantiate");
    return executable;
}

}  // namespace tweenrt::native
