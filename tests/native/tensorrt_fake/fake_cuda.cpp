#include "fake_cuda.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace {

using Work = std::function<void()>;
constexpr int kPoison = 0xA5;

struct Stream {
    int device;
    std::deque<Work> queue;
    std::vector<Work> captured;
    bool capturing = false;
    long queued = 0;
};

struct Event {
    Stream* stream = nullptr;
    long position = 0;
};

struct Block {
    size_t bytes;
    bool pinned;
    int device;
};

struct World {
    std::map<std::string, long> settings{{"gpus", 1}, {"capacity", 1L << 30}};
    std::map<std::string, long> counts;
    std::map<char*, Block> memory;
    std::set<void*> streams, events, graphs;
    std::string fault;
    cudaError_t last = cudaSuccess;
};

// One caller at a time; work may queue work.
std::recursive_mutex mutex;
World world;
thread_local int current = 0;

using Lock = std::lock_guard<std::recursive_mutex>;

cudaError_t failed(cudaError_t error) { return world.last = error; }

void fault(std::string const& what) {
    if (world.fault.empty()) world.fault = what;
}

Block const* block_of(void const* address, size_t bytes) {
    auto* const at = static_cast<char*>(const_cast<void*>(address));
    auto next = world.memory.upper_bound(at);
    if (next == world.memory.begin()) return nullptr;
    auto const& [start, block] = *std::prev(next);
    return at + bytes <= start + block.bytes ? &block : nullptr;
}

Stream* stream_of(cudaStream_t stream) {
    auto* const found = reinterpret_cast<Stream*>(stream);
    if (world.streams.count(found) == 0) {
        fault("a stream that is none was used");
        return nullptr;
    }
    if (found->device != current) fault("a stream was used while another GPU was the current one");
    return found;
}

void run_until(Stream& stream, long position) {
    if (stream.capturing) fault("a stream was waited for while it was captured");
    while (!stream.queue.empty() && stream.queued - static_cast<long>(stream.queue.size()) < position) {
        Work const work = std::move(stream.queue.front());
        stream.queue.pop_front();
        work();
    }
}

void enqueue(Stream& stream, Work work) {
    if (stream.capturing) {
        stream.captured.push_back(std::move(work));
        return;
    }
    stream.queue.push_back(std::move(work));
    ++stream.queued;
}

long held() {
    long bytes = 0;
    for (auto const& [_, block] : world.memory) bytes += static_cast<long>(block.bytes);
    return bytes;
}

cudaError_t allocate(void** address, size_t bytes, bool pinned) {
    Lock const lock(mutex);
    if (held() + static_cast<long>(bytes) > world.settings["capacity"]) return failed(cudaErrorMemoryAllocation);
    *address = std::malloc(bytes);
    std::memset(*address, kPoison, bytes);
    world.memory[static_cast<char*>(*address)] = {bytes, pinned, current};
    ++world.counts["allocations"];
    return cudaSuccess;
}

bool work_is_pending() {
    for (void* stream : world.streams)
        if (!static_cast<Stream*>(stream)->queue.empty()) return true;
    return false;
}

cudaError_t release(void* address, bool pinned) {
    Lock const lock(mutex);
    auto const found = world.memory.find(static_cast<char*>(address));
    if (found == world.memory.end() || found->second.pinned != pinned) {
        fault("memory was freed that was not allocated so");
        return failed(cudaErrorInvalidValue);
    }
    if (work_is_pending()) fault("memory was freed while work was queued");
    world.memory.erase(found);
    std::free(address);
    return cudaSuccess;
}

// Whether memory is where a copy of this kind wants it.
void check_side(void const* address, size_t bytes, bool on_device, char const* what) {
    Block const* const block = block_of(address, bytes);
    if (block == nullptr)
        fault(std::string(what) + " of a copy is not allocated, or not known to CUDA");
    else if (block->pinned == on_device)
        fault(std::string(what) + " of a copy is on the wrong side");
}

}  // namespace

void fake_cuda_enqueue(cudaStream_t stream, Work work) {
    Lock const lock(mutex);
    if (Stream* const found = stream_of(stream)) enqueue(*found, std::move(work));
}

bool fake_cuda_on_device(void const* address, size_t bytes) {
    Lock const lock(mutex);
    Block const* const block = block_of(address, bytes);
    return block != nullptr && !block->pinned;
}

void fake_cuda_fault(char const* what) {
    Lock const lock(mutex);
    fault(what);
}

extern "C" {

void fake_cuda_set(char const* name, long value) { world.settings[name] = value; }

long fake_cuda_get(char const* name) {
    Lock const lock(mutex);
    std::string const wanted = name;
    if (wanted == "device") return current;
    if (wanted == "live")
        return static_cast<long>(world.memory.size() + world.streams.size() + world.events.size() +
                                 world.graphs.size());
    if (wanted != "pending") return world.counts[wanted];
    long pending = 0;
    for (void* stream : world.streams) pending += static_cast<long>(static_cast<Stream*>(stream)->queue.size());
    return pending;
}

char const* fake_cuda_first_fault() { return world.fault.c_str(); }

void fake_cuda_reset() {
    Lock const lock(mutex);
    world.settings = World{}.settings;
    world.counts.clear();
    world.fault.clear();
    world.last = cudaSuccess;
}

cudaError_t cudaGetDeviceCount(int* count) {
    if (world.settings["no_driver"] != 0) return failed(cudaErrorInsufficientDriver);
    *count = static_cast<int>(world.settings["gpus"]);
    return *count == 0 ? failed(cudaErrorNoDevice) : cudaSuccess;
}

cudaError_t cudaGetDevice(int* device) {
    *device = current;
    return cudaSuccess;
}

cudaError_t cudaSetDevice(int device) {
    if (device < 0 || device >= world.settings["gpus"]) return failed(cudaErrorInvalidDevice);
    current = device;
    return cudaSuccess;
}

// The name may be a macro of the headers.
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
    if (device < 0 || device >= world.settings["gpus"]) return failed(cudaErrorInvalidDevice);
    *properties = {};
    std::snprintf(properties->name, sizeof properties->name, device == 0 ? "Test GPU" : "Other GPU");
    properties->major = 8;
    properties->minor = device == 0 ? 6 : 9;
    return cudaSuccess;
}

cudaError_t cudaMalloc(void** address, size_t bytes) { return allocate(address, bytes, false); }
cudaError_t cudaFree(void* address) { return release(address, false); }
cudaError_t cudaFreeHost(void* address) { return release(address, true); }

cudaError_t cudaHostAlloc(void** address, size_t bytes, unsigned int flags) {
    if (flags != cudaHostAllocDefault) fault("host memory with flags");
    return allocate(address, bytes, true);
}

cudaError_t cudaMemcpyAsync(void* target, void const* source, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
    Lock const lock(mutex);
    bool const to_device = kind != cudaMemcpyDeviceToHost, from_device = kind != cudaMemcpyHostToDevice;
    check_side(target, bytes, to_device, "the target");
    check_side(source, bytes, from_device, "the source");
    fake_cuda_enqueue(stream, [=] {
        if (block_of(target, bytes) == nullptr || block_of(source, bytes) == nullptr)
            fault("memory of a copy was freed before it ran");
        else
            std::memcpy(target, source, bytes);
    });
    return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned int flags) {
    Lock const lock(mutex);
    if (flags != cudaStreamNonBlocking) fault("a stream that waits for the legacy default stream");
    auto* const made = new Stream{current, {}, {}};
    world.streams.insert(made);
    *stream = reinterpret_cast<cudaStream_t>(made);
    return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
    Lock const lock(mutex);
    Stream* const found = stream_of(stream);
    if (found == nullptr) return failed(cudaErrorInvalidResourceHandle);
    if (!found->queue.empty()) fault("a stream was destroyed with work on it");
    world.streams.erase(found);
    delete found;
    return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
    Lock const lock(mutex);
    Stream* const found = stream_of(stream);
    if (found == nullptr) return failed(cudaErrorInvalidResourceHandle);
    run_until(*found, found->queued);
    return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned int) {
    Lock const lock(mutex);
    auto* const made = new Event;
    world.events.insert(made);
    *event = reinterpret_cast<cudaEvent_t>(made);
    return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
    Lock const lock(mutex);
    Stream* const found = stream_of(stream);
    if (found != nullptr) *reinterpret_cast<Event*>(event) = {found, found->queued};
    return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
    Lock const lock(mutex);
    auto const* const found = reinterpret_cast<Event*>(event);
    if (found->stream != nullptr) run_until(*found->stream, found->position);
    return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
    Lock const lock(mutex);
    world.events.erase(reinterpret_cast<Event*>(event));
    delete reinterpret_cast<Event*>(event);
    return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
    Lock const lock(mutex);
    if (mode != cudaStreamCaptureModeThreadLocal) fault("a capture that forbids other threads their work");
    Stream* const found = stream_of(stream);
    if (found == nullptr || found->capturing) return failed(cudaErrorIllegalState);
    found->capturing = true;
    return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
    Lock const lock(mutex);
    Stream* const found = stream_of(stream);
    if (found == nullptr || !found->capturing) return failed(cudaErrorIllegalState);
    found->capturing = false;
    std::vector<Work> captured;
    captured.swap(found->captured);
    *graph = nullptr;
    if (world.settings["refuse_capture"] != 0) return failed(cudaErrorStreamCaptureUnsupported);
    ++world.counts["captures"];
    auto* const made = new std::vector<Work>(std::move(captured));
    world.graphs.insert(made);
    *graph = reinterpret_cast<cudaGraph_t>(made);
    return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long) {
    Lock const lock(mutex);
    auto* const made = new std::vector<Work>(*reinterpret_cast<std::vector<Work>*>(graph));
    world.graphs.insert(made);
    *executable = reinterpret_cast<cudaGraphExec_t>(made);
    return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
    Lock const lock(mutex);
    auto* const found = reinterpret_cast<std::vector<Work>*>(graph);
    world.graphs.erase(found);
    delete found;
    return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
    if (work_is_pending()) fault("a graph was destroyed while work was queued");
    return cudaGraphDestroy(reinterpret_cast<cudaGraph_t>(executable));
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
    Lock const lock(mutex);
    ++world.counts["launches"];
    for (Work const& work : *reinterpret_cast<std::vector<Work>*>(executable)) fake_cuda_enqueue(stream, work);
    return cudaSuccess;
}

cudaError_t cudaGetLastError() { return std::exchange(world.last, cudaSuccess); }
cudaError_t cudaPeekAtLastError() { return world.last; }

char const* cudaGetErrorString(cudaError_t error) {
    switch (error) {
        case cudaErrorInsufficientDriver:
            return "CUDA driver version is insufficient for CUDA runtime version";
        case cudaErrorNoDevice:
            return "no CUDA-capable device is detected";
        case cudaErrorStreamCaptureUnsupported:
            return "operation not permitted when stream is capturing";
        default:
            return "an error of the fake";
    }
}
}
