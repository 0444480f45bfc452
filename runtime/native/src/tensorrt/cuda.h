// CUDA as this backend uses it: one stream on one GPU, and things that are freed when they go.
#ifndef TWEENRT_NATIVE_TENSORRT_CUDA_H
#define TWEENRT_NATIVE_TENSORRT_CUDA_H

#include <cuda_runtime_api.h>

#include <string>

#include "../report.h"

namespace tweenrt::native {

// Throws Fault BACKEND_FAILED, where a call of the CUDA runtime did not succeed.
void check(cudaError_t error, char const* call);

// Makes a GPU the current one of this thread, as long as this object lives.
class Current {
  public:
    explicit Current(int32_t gpu);
    ~Current();
    Current(Current const&) = delete;
    Current& operator=(Current const&) = delete;

  private:
    int before_ = 0;
    bool changed_ = false;
};

// One stream on one GPU. What is queued on it happens in the order in which it was asked for.
class Lane {
  public:
    // `stream` is the caller's, or null for one of our own. Throws Fault NO_DEVICE.
    Lane(int32_t gpu, void* stream);
    ~Lane();
    Lane(Lane const&) = delete;
    Lane& operator=(Lane const&) = delete;

    int32_t gpu() const { return gpu_; }
    cudaStream_t stream() const { return stream_; }
    int32_t architecture() const { return architecture_; }   // such as 87
    std::string const& device() const { return device_; }    // such as "Orin (sm87)"
    std::string const& compute() const { return compute_; }  // such as "sm87"
    uint64_t failures() const { return failures_; }          // calls that did not do all they were asked for

    void synchronize() { check(cudaStreamSynchronize(stream_), "cudaStreamSynchronize"); }

    // Calls `work()` on this GPU; what it throws becomes a status and a text.
    template <class Work>
    tweenrt_status call(Report& report, Work&& work) noexcept {
        tweenrt_status const status = guarded(report, [&] {
            Current const current(gpu_);
            work();
        });
        if (status != TWEENRT_STATUS_OK) ++failures_;
        return status;
    }

  private:
    int32_t gpu_;
    cudaStream_t stream_;
    bool owned_;
    int32_t architecture_ = 0;
    std::string device_, compute_;
    uint64_t failures_ = 0;
};

// Memory of a lane's GPU, or of the CPU where the GPU reads and writes by itself. Its bytes are not set. Freed once the
// lane has done what it was asked for until then.
enum class Place { kDevice, kPinned };

class Memory {
  public:
    // Throws Fault OUT_OF_MEMORY.
    Memory(Lane& lane, Place place, size_t bytes);
    ~Memory();
    Memory(Memory const&) = delete;
    Memory& operator=(Memory const&) = delete;

    uint8_t* data() const { return data_; }

  private:
    Lane& lane_;
    Place place_;
    uint8_t* data_ = nullptr;
};

// A point in the work of a lane.
class Event {
  public:
    explicit Event(Lane& lane);
    ~Event();
    Event(Event const&) = delete;
    Event& operator=(Event const&) = delete;

    void record() { check(cudaEventRecord(event_, lane_.stream()), "cudaEventRecord"); }
    // Waits until the lane is past where record() was last called; not at all where it never was.
    void wait() { check(cudaEventSynchronize(event_), "cudaEventSynchronize"); }

  private:
    Lane& lane_;
    cudaEvent_t event_ = nullptr;
};

}  // namespace tweenrt::native

#endif  // TWEENRT_NATIVE_TENSORRT_CUDA_H
