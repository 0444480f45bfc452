#include "cuda.h"

#include <dlfcn.h>

namespace tweenrt::native {
namespace {

constexpr char kWithout[] = "; without a GPU, run the ONNX graph with the backend onnxruntime";

// Why the runtime counts no GPU. Without a driver it blames the driver's version.
std::string reason(cudaError_t error) {
    if (error == cudaErrorInsufficientDriver) {
        void* const driver = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL);
        if (driver == nullptr) return "no NVIDIA driver, libcuda.so.1 is not there";
        dlclose(driver);
    }
    return cudaGetErrorString(error);
}

void expect_device(int32_t gpu) {
    int count = 0;
    cudaError_t const error = cudaGetDeviceCount(&count);
    if (error != cudaSuccess || count == 0) {
        cudaGetLastError();
        std::string const why = error != cudaSuccess ? reason(error) : "the driver shows none";
        throw Fault(TWEENRT_STATUS_NO_DEVICE, "no CUDA device: " + why + kWithout);
    }
    if (gpu < 0 || gpu >= count)
        throw Fault(TWEENRT_STATUS_NO_DEVICE, "GPU " + std::to_string(gpu) + " was asked for: this machine has " +
                                                  std::to_string(count) + ", numbered from 0" + kWithout);
}

}  // namespace

void check(cudaError_t error, char const* call) {
    if (error == cudaSuccess) return;
    cudaGetLastError();
    throw Fault(TWEENRT_STATUS_BACKEND_FAILED, std::string(call) + " failed: " + cudaGetErrorString(error) +
                                                   "; `tweenrt doctor` shows what is installed");
}

Current::Current(int32_t gpu) {
    check(cudaGetDevice(&before_), "cudaGetDevice");
    if (before_ == gpu) return;
    check(cudaSetDevice(gpu), "cudaSetDevice");
    changed_ = true;
}

Current::~Current() {
    if (changed_) cudaSetDevice(before_);
}

Lane::Lane(int32_t gpu, void* stream)
    : gpu_(gpu), stream_(static_cast<cudaStream_t>(stream)), owned_(stream == nullptr) {
    expect_device(gpu);
    Current const current(gpu);
    cudaDeviceProp properties{};
    check(cudaGetDeviceProperties(&properties, gpu), "cudaGetDeviceProperties");
    architecture_ = 10 * properties.major + properties.minor;
    compute_ = "sm" + std::to_string(architecture_);
    device_ = std::string(properties.name) + " (" + compute_ + ")";
    if (owned_) check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
}

// All memory that work was queued for has gone before, and waited for that work.
Lane::~Lane() {
    Report ignored;
    if (owned_) call(ignored, [&] { check(cudaStreamDestroy(stream_), "cudaStreamDestroy"); });
}

Memory::Memory(Lane& lane, Place place, size_t bytes) : lane_(lane), place_(place) {
    size_t const some = bytes == 0 ? 1 : bytes;
    void* made = nullptr;
    cudaError_t const error =
        place == Place::kDevice ? cudaMalloc(&made, some) : cudaHostAlloc(&made, some, cudaHostAllocDefault);
    if (error == cudaErrorMemoryAllocation) {
        cudaGetLastError();
        throw Fault(TWEENRT_STATUS_OUT_OF_MEMORY,
                    (place == Place::kDevice ? "GPU " + std::to_string(lane.gpu()) + " is out of memory ("
                                             : std::string("no memory is left that the GPU can copy from (")) +
                        std::to_string(bytes >> 20) +
                        " MiB more are needed); close other programs that use it, or use smaller frames");
    }
    check(error, place == Place::kDevice ? "cudaMalloc" : "cudaHostAlloc");
    data_ = static_cast<uint8_t*>(made);
}

Memory::~Memory() {
    Report ignored;
    lane_.call(ignored, [&] { lane_.synchronize(); });
    lane_.call(ignored, [&] { check(place_ == Place::kDevice ? cudaFree(data_) : cudaFreeHost(data_), "cudaFree"); });
}

Event::Event(Lane& lane) : lane_(lane) {
    check(cudaEventCreateWithFlags(&event_, cudaEventDisableTiming), "cudaEventCreateWithFlags");
}

Event::~Event() {
    Report ignored;
    lane_.call(ignored, [&] { check(cudaEventDestroy(event_), "cudaEventDestroy"); });
}

}  // namespace tweenrt::native
