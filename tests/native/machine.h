// What the parts of the emulator share: the threads of the block that runs, and how a thread waits or fails.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "fiber.h"
#include "simt.h"

namespace simt {

constexpr int kPoison = 0xff;  // NaN in FP16 and FP32, -1 in integers

// A copy that has been asked for and has not happened.
struct Copy {
    void* to;
    void const* from;  // null: zeros
};

enum class State { kReady, kAtBarrier, kAtCollective, kEnded };

struct Thread {
    Fiber fiber;
    State state = State::kReady;
    uint3 index{};
    int number = 0;
    char const* waits_in = "";
    Site site{};
    std::vector<Copy> open_group;
    std::vector<std::vector<Copy>> groups;
};

// What each lane of a warp brings to a collective and takes from it; null for lanes that have ended.
using Lanes = void* const[kLanes];

struct Collective {
    char const* name;
    void (*compute)(Lanes&, Site);  // serves all lanes
    bool whole;                     // all 32 lanes must take part
};

// Waits until every lane of the warp that has not ended has come here and has been served.
void meet(Collective const& what, void* operand, unsigned mask, Site site);

Thread& current_thread();

// Whether 16 bytes from `address` lie in shared memory, aligned; fails otherwise.
void check_shared(char const* name, void const* address, Site site);

// Ends the launch with an error. Does not return to a kernel.
void fail(Site site, char const* format, ...) __attribute__((format(printf, 2, 3)));

}  // namespace simt
