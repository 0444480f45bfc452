// A CUDA runtime without a GPU: device memory is some of the CPU's, and a stream does nothing until it is waited for.
//
// Work that is queued runs when somebody synchronises, not before, so that who reads a result too early, or changes a
// staging buffer that is still to be copied from, sees it. Fresh memory is poisoned. What CUDA would leave undefined is
// a fault: the first one is kept, for the test to ask for.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <functional>

// Queues `work` on a stream, or adds it to the graph that is being captured.
void fake_cuda_enqueue(cudaStream_t stream, std::function<void()> work);

// Whether `bytes` at `address` are allocated memory of a GPU.
bool fake_cuda_on_device(void const* address, size_t bytes);

// Notes a fault.
void fake_cuda_fault(char const* what);

extern "C" {
// Settings: "gpus", "capacity" (bytes that can be allocated), "refuse_capture", "no_driver". They hold until
// fake_cuda_reset().
void fake_cuda_set(char const* name, long value);
// "captures", "launches", "allocations" (since the reset), "live" (allocations, streams, events, graphs), "pending"
// (work that is queued), "device" (the current one).
long fake_cuda_get(char const* name);
// The first fault since the reset; empty if there was none.
char const* fake_cuda_first_fault();
void fake_cuda_reset();
}
