// The scheduler of the emulated GPU: one fiber a CUDA thread, blocks one after another, three orders of threads.
#include <cstdarg>
#include <cstdio>
#include <numeric>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "guarded.h"
#include "machine.h"
#include "signals.h"

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace simt {
namespace {

constexpr unsigned kMostThreads = 1024;
constexpr size_t kMostShared = 64 * 1024;  // what sm_75 has, the least of the supported architectures
constexpr size_t kSharedAlignment = 128;

enum class Schedule : int { kRoundRobin = 0, kWarpGreedyReversed = 1, kShuffled = 2 };

// The lanes that have come to the collective that the warp is in.
struct Warp {
    int size = 0, live = 0, waiting = 0;
    Collective what{};
    unsigned mask = 0;
    Site site{};
    void* operands[kLanes] = {};
};

struct Machine {
    Schedule schedule = Schedule::kRoundRobin;
    int milliseconds = 60'000;  // of processor time that a launch may take
    char error[1024] = "";
    bool failed() const { return error[0] != 0; }
    std::vector<Thread> threads{kMostThreads};
    std::vector<Warp> warps{kMostThreads / kLanes};
    Fiber scheduler;
    Thread* current = nullptr;
    bool on_fiber = false;
    int count = 0, live = 0, at_barrier = 0;
    Site barrier{};
    void (*kernel)(void const*) = nullptr;
    void const* arguments = nullptr;
    unsigned char* shared = nullptr;
    size_t shared_bytes = 0;
};

Machine machine;

Warp& warp_of(Thread const& thread) { return machine.warps[thread.number / kLanes]; }

bool same(Site a, Site b) { return a.line == b.line && strcmp(a.file, b.file) == 0; }

char const* file_of(Site site) {
    auto const* const slash = strrchr(site.file, '/');
    return slash ? slash + 1 : site.file;
}

void leave_fiber() { Fiber::change(machine.current->fiber, machine.scheduler); }

void wait_as(State state, char const* name, Site site) {
    auto& thread = *machine.current;
    thread.state = state;
    thread.waits_in = name;
    thread.site = site;
    leave_fiber();
}

void release_barrier() {
    machine.at_barrier = 0;
    for (int i = 0; i < machine.count; ++i)
        if (machine.threads[i].state == State::kAtBarrier) machine.threads[i].state = State::kReady;
}

// Every live lane has come: serves them and lets them go on.
void complete(Warp& warp) {
    unsigned present = 0;
    for (int i = 0; i < kLanes; ++i) present |= (warp.operands[i] ? 1u : 0u) << i;
    if (present & ~warp.mask)
        fail(warp.site, "%s: the mask %08x leaves out lanes that run: %08x", warp.what.name, warp.mask,
             present & ~warp.mask);
    if (warp.what.whole && ~present)
        fail(warp.site, "%s: needs 32 lanes, only %08x are there", warp.what.name, present);
    warp.what.compute(warp.operands, warp.site);
    int const first = static_cast<int>(&warp - machine.warps.data()) * kLanes;
    for (int i = first; i < first + warp.size; ++i)
        if (machine.threads[i].state == State::kAtCollective) machine.threads[i].state = State::kReady;
    std::fill(std::begin(warp.operands), std::end(warp.operands), nullptr);
    warp.waiting = 0;
}

void check_copies(Thread const& thread) {
    bool waited = thread.open_group.empty();
    for (auto const& group : thread.groups) waited = waited && group.empty();
    if (!waited) fail({}, "ends with copies that it never waited for");
}

void thread_main() {
    machine.kernel(machine.arguments);
    auto& thread = *machine.current;
    check_copies(thread);
    thread.state = State::kEnded;
    --machine.live;
    auto& warp = warp_of(thread);
    if (--warp.live > 0 && warp.waiting == warp.live) complete(warp);
    if (machine.live > 0 && machine.at_barrier == machine.live) release_barrier();
    leave_fiber();
}

// Runs a thread until it waits, ends or fails.
void resume(Thread& thread) {
    machine.current = &thread;
    threadIdx = thread.index;
    machine.on_fiber = true;
    Fiber::change(machine.scheduler, thread.fiber);
    machine.on_fiber = false;
    machine.current = nullptr;
}

bool resume_if_ready(int number) {
    auto& thread = machine.threads[number];
    if (thread.state != State::kReady || machine.failed()) return false;
    resume(thread);
    return true;
}

void run_warp_as_far_as_it_goes(int number) {
    int const first = number * kLanes;
    for (bool progress = true; progress;) {
        progress = false;
        for (int i = first + machine.warps[number].size; i-- > first;) progress = resume_if_ready(i) || progress;
    }
}

// One turn for every thread that can go on; false when none could.
bool run_once(std::vector<int>& order, std::mt19937& random) {
    bool progress = false;
    if (machine.schedule == Schedule::kShuffled) std::shuffle(order.begin(), order.end(), random);
    for (int const i : order) progress = resume_if_ready(i) || progress;
    return progress;
}

bool run_once_by_warps() {
    bool progress = false;
    for (int i = 0; i < machine.count; ++i) progress = progress || machine.threads[i].state == State::kReady;
    for (int warp = (machine.count - 1) / kLanes; warp >= 0; --warp) run_warp_as_far_as_it_goes(warp);
    return progress;
}

void report_deadlock() {
    std::string text;
    std::set<std::string> places;
    for (int i = 0; i < machine.count; ++i) {
        auto const& thread = machine.threads[i];
        if (thread.state == State::kEnded) continue;
        auto const place =
            std::string(thread.waits_in) + " at " + file_of(thread.site) + ":" + std::to_string(thread.site.line);
        if (places.insert(place).second) text += "thread " + std::to_string(i) + " waits in " + place + "; ";
    }
    fail({}, "deadlock: %s%d of %d threads have ended", text.c_str(), machine.count - machine.live, machine.count);
}

void start_block() {
    machine.live = machine.count;
    machine.at_barrier = 0;
    for (int i = 0; i < machine.count; ++i) {
        auto& thread = machine.threads[i];
        auto const n = static_cast<unsigned>(i);
        thread.number = i;
        thread.index = {n % blockDim.x, n / blockDim.x % blockDim.y, n / blockDim.x / blockDim.y};
        thread.state = State::kReady;
        thread.open_group.clear();
        thread.groups.clear();
        thread.fiber.start(thread_main);
    }
    for (int w = 0; w * kLanes < machine.count; ++w) {
        machine.warps[w] = Warp{};
        machine.warps[w].live = machine.warps[w].size = std::min(kLanes, machine.count - w * kLanes);
    }
}

void run_block() {
    std::mt19937 random(blockIdx.x);
    std::vector<int> order(machine.count);
    std::iota(order.begin(), order.end(), 0);
    start_block();
    while (machine.live > 0 && !machine.failed()) {
        bool const progress =
            machine.schedule == Schedule::kWarpGreedyReversed ? run_once_by_warps() : run_once(order, random);
        if (!progress) report_deadlock();
    }
}

// Poisons the shared memory, alignment slack included, runs the block and looks whether the slack was written.
void run_block_in(unsigned char* shared, size_t bytes, size_t allocated) {
    memset(shared, kPoison, allocated);
    run_block();
    for (size_t i = bytes; i < allocated; ++i)
        if (shared[i] != kPoison) fail({}, "byte %zu of %zu bytes of shared memory was written", i, bytes);
}

void check_launch(dim3 grid, dim3 block, size_t shared) {
    size_t const threads = static_cast<size_t>(block.x) * block.y * block.z;
    if (threads == 0 || threads > kMostThreads || block.z > 64)
        fail({}, "a block has 1 to %u threads, at most 64 along z; this one has %u x %u x %u", kMostThreads, block.x,
             block.y, block.z);
    if (grid.x == 0 || grid.y == 0 || grid.z == 0 || grid.x > 0x7fffffffu || grid.y > 65535 || grid.z > 65535)
        fail({}, "a grid has 1 to 2147483647 x 65535 x 65535 blocks; this one has %u x %u x %u", grid.x, grid.y,
             grid.z);
    if (shared > kMostShared)
        fail({}, "a block has at most %zu bytes of shared memory on sm_75; this one has %zu", kMostShared, shared);
}

void add_list(char const* format, va_list arguments) {
    size_t const length = strlen(machine.error);
    vsnprintf(machine.error + length, sizeof machine.error - length, format, arguments);
}

__attribute__((format(printf, 1, 2))) void add(char const* format, ...) {
    va_list arguments;
    va_start(arguments, format);
    add_list(format, arguments);
    va_end(arguments);
}

void on_signal(int number, siginfo_t* info, void*) {
    if (!machine.on_fiber && number == SIGVTALRM) {
        Signals::set_timer(1);       // until it meets a kernel
    } else if (!machine.on_fiber) {  // not the kernel's doing
        signal(number, SIG_DFL);
        raise(number);
    } else if (number == SIGVTALRM) {
        fail({}, "the launch did not end within %d ms of processor time", machine.milliseconds);
    } else if (number == SIGFPE) {
        fail({}, "divided an integer by zero");
    } else {
        char place[100];
        Guarded::describe(info->si_addr, place);
        fail({}, "illegal or misaligned access to %s", place);
    }
}

void run_grid(dim3 grid, size_t allocated) {
    for (blockIdx.z = 0; blockIdx.z < grid.z; ++blockIdx.z)
        for (blockIdx.y = 0; blockIdx.y < grid.y; ++blockIdx.y)
            for (blockIdx.x = 0; blockIdx.x < grid.x; ++blockIdx.x) {
                run_block_in(machine.shared, machine.shared_bytes, allocated);
                if (machine.failed()) return;
            }
}

}  // namespace

Thread& current_thread() { return *machine.current; }

void* shared_memory() { return machine.shared; }

void check_shared(char const* name, void const* address, Site site) {
    auto const at = static_cast<unsigned char const*>(address);
    if (at < machine.shared || at + 16 > machine.shared + machine.shared_bytes)
        fail(site, "%s: byte %td is outside of the %zu bytes of shared memory", name, at - machine.shared,
             machine.shared_bytes);
    if ((at - machine.shared) % 16 != 0)
        fail(site, "%s: byte %td of shared memory is not 16-byte aligned", name, at - machine.shared);
}

// Allocates nothing: it may be called from a signal handler.
void fail(Site site, char const* format, ...) {
    if (!machine.failed()) {
        va_list arguments;
        va_start(arguments, format);
        if (auto const* const thread = machine.current)
            add("thread (%u, %u, %u) of block (%u, %u, %u): ", thread->index.x, thread->index.y, thread->index.z,
                blockIdx.x, blockIdx.y, blockIdx.z);
        if (site.file) add("%s:%d: ", file_of(site), site.line);
        add_list(format, arguments);
        va_end(arguments);
    }
    if (machine.on_fiber) leave_fiber();
}

void block_barrier(Site site) {
    if (machine.at_barrier > 0 && !same(machine.barrier, site))
        fail(site, "divergent __syncthreads: other threads wait at %s:%d", file_of(machine.barrier),
             machine.barrier.line);
    machine.barrier = site;
    if (++machine.at_barrier == machine.live) return release_barrier();
    wait_as(State::kAtBarrier, "__syncthreads", site);
}

void meet(Collective const& what, void* operand, unsigned mask, Site site) {
    auto& warp = warp_of(*machine.current);
    if (warp.waiting > 0 && (strcmp(warp.what.name, what.name) != 0 || !same(warp.site, site)))
        fail(site, "divergent warp: a lane comes to %s while others wait in %s at %s:%d", what.name, warp.what.name,
             file_of(warp.site), warp.site.line);
    if (warp.waiting > 0 && warp.mask != mask)
        fail(site, "%s: a lane has the mask %08x, others %08x", what.name, mask, warp.mask);
    warp.what = what;
    warp.mask = mask;
    warp.site = site;
    warp.operands[lane()] = operand;
    if (++warp.waiting == warp.live) return complete(warp);
    wait_as(State::kAtCollective, what.name, site);
}

bool run(dim3 grid, dim3 block, size_t shared, void (*kernel)(void const*), void const* arguments) {
    check_launch(grid, block, shared);
    if (machine.failed()) return false;
    gridDim = grid;
    blockDim = block;
    machine.count = static_cast<int>(block.x * block.y * block.z);
    machine.kernel = kernel;
    machine.arguments = arguments;
    machine.shared_bytes = shared;
    machine.shared = static_cast<unsigned char*>(Guarded::allocate(shared, kSharedAlignment, true));
    {
        Signals const signals(on_signal, machine.milliseconds);
        run_grid(grid, Guarded::usable(shared, kSharedAlignment));
    }
    Guarded::release(machine.shared);
    machine.current = nullptr;
    return !machine.failed();
}

}  // namespace simt

// What the test harness calls.
extern "C" {

void simt_set_schedule(int schedule) { simt::machine.schedule = static_cast<simt::Schedule>(schedule); }

void simt_set_time_limit(int milliseconds) { simt::machine.milliseconds = milliseconds; }

// Why a launch failed; empty when none has. Launches after a failure do nothing until simt_clear().
char const* simt_error() { return simt::machine.error; }

void simt_clear() { simt::machine.error[0] = 0; }

// Memory for an argument, aligned as the widest load of a kernel needs it.
void* simt_allocate(size_t bytes, int at_end) { return simt::Guarded::allocate(bytes, 16, at_end != 0); }

void simt_release(void* memory) { simt::Guarded::release(memory); }
}
