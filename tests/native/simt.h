// The GPU as kernels see it, on the CPU: the names of plugins/common/device.cuh and of CUDA C++ that kernels use.
// simt.cpp runs every CUDA thread as a fiber. Whatever a kernel may not count on is made as bad as it can be: shared
// memory starts as NaN, asynchronous copies land only when waited for, and threads run in the order that suits least.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <type_traits>

#undef __launch_bounds__
#define __launch_bounds__(...)
#undef __global__
#define __global__
#undef __device__
#define __device__
#undef __host__
#define __host__

#define TWEENRT_SHARED(type, name) type* const name = static_cast<type*>(simt::shared_memory())

using std::max;
using std::min;

extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;

namespace simt {

constexpr int kLanes = 32;

// A line of a kernel. As the default of a last parameter it is the line of the call.
struct Site {
    char const* file;
    int line;
    static constexpr Site here(char const* file = __builtin_FILE(), int line = __builtin_LINE()) {
        return {file, line};
    }
};

// Whose predicates held, of the lanes that were there.
struct Ballot {
    unsigned yes, present;
};

void* shared_memory();
int lane();
void block_barrier(Site site);
void warp_barrier(unsigned mask, Site site);
Ballot vote(char const* name, unsigned mask, bool predicate, Site site);
void shuffle(char const* name, unsigned mask, void* value, size_t bytes, int source, Site site);
void load_matrices(uint32_t (&out)[4], void const* row, bool transposed, Site site);
void multiply_add(float (&sum)[4], uint32_t const (&a)[4], uint32_t const (&b)[2], Site site);
void copy_16_bytes(void* shared, void const* global, bool wanted, Site site);
void copies_commit();
void copies_wait(size_t pending);
// False when a kernel has failed, now or before; `simt_error` says why.
bool run(dim3 grid, dim3 block, size_t shared, void (*kernel)(void const*), void const* arguments);

template <class T>
T shuffled(char const* name, unsigned mask, T value, int source, int width, Site site) {
    static_assert(sizeof(T) == 2 || sizeof(T) == 4 || sizeof(T) == 8, "CUDA shuffles 2, 4 and 8 bytes");
    int const first = lane() / width * width;
    bool const inside = source >= first && source < first + width;
    shuffle(name, mask, &value, sizeof value, inside ? source : lane(), site);
    return value;
}

}  // namespace simt

inline void __syncthreads(simt::Site site = simt::Site::here()) { simt::block_barrier(site); }

inline void __syncwarp(unsigned mask = 0xffffffffu, simt::Site site = simt::Site::here()) {
    simt::warp_barrier(mask, site);
}

inline unsigned __ballot_sync(unsigned mask, int predicate, simt::Site site = simt::Site::here()) {
    return simt::vote("__ballot_sync", mask, predicate, site).yes;
}

inline int __any_sync(unsigned mask, int predicate, simt::Site site = simt::Site::here()) {
    return simt::vote("__any_sync", mask, predicate, site).yes != 0;
}

inline int __all_sync(unsigned mask, int predicate, simt::Site site = simt::Site::here()) {
    auto const ballot = simt::vote("__all_sync", mask, predicate, site);
    return ballot.yes == ballot.present;
}

template <class T>
T __shfl_sync(unsigned mask, T value, int source, int width = simt::kLanes, simt::Site site = simt::Site::here()) {
    int const wrapped = simt::lane() / width * width + (source & (width - 1));
    return simt::shuffled("__shfl_sync", mask, value, wrapped, width, site);
}

template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = simt::kLanes,
                 simt::Site site = simt::Site::here()) {
    return simt::shuffled("__shfl_up_sync", mask, value, simt::lane() - static_cast<int>(delta), width, site);
}

template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = simt::kLanes,
                   simt::Site site = simt::Site::here()) {
    return simt::shuffled("__shfl_down_sync", mask, value, simt::lane() + static_cast<int>(delta), width, site);
}

template <class T>
T __shfl_xor_sync(unsigned mask, T value, int bits, int width = simt::kLanes, simt::Site site = simt::Site::here()) {
    return simt::shuffled("__shfl_xor_sync", mask, value, simt::lane() ^ bits, width, site);
}

template <class T>
T atomicAdd(T* address, T value) {
    static_assert(std::is_same_v<T, int> || std::is_same_v<T, unsigned> || std::is_same_v<T, float>,
                  "kernels add int, unsigned and float atomically");
    T const before = *address;
    *address = before + value;
    return before;
}

template <class T>
T __ldg(T const* address) {
    return *address;
}

inline int __popc(unsigned bits) { return __builtin_popcount(bits); }
inline int __ffs(int bits) { return __builtin_ffs(bits); }

namespace tweenrt {

inline void load_matrices(uint32_t (&out)[4], void const* row, simt::Site site = simt::Site::here()) {
    simt::load_matrices(out, row, false, site);
}

inline void load_matrices_transposed(uint32_t (&out)[4], void const* row, simt::Site site = simt::Site::here()) {
    simt::load_matrices(out, row, true, site);
}

inline void multiply_add(float (&sum)[4], uint32_t const (&a)[4], uint32_t const (&b)[2],
                         simt::Site site = simt::Site::here()) {
    simt::multiply_add(sum, a, b, site);
}

inline void copy_16_bytes(void* shared, void const* global, bool wanted, simt::Site site = simt::Site::here()) {
    simt::copy_16_bytes(shared, global, wanted, site);
}

inline void copies_commit() { simt::copies_commit(); }

template <int kPending>
void copies_wait() {
    simt::copies_wait(kPending);
}

template <class... Parameters, class... Arguments>
cudaError_t launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t shared, cudaStream_t,
                   Arguments... arguments) {
    auto const call = [&] { kernel(static_cast<Parameters>(arguments)...); };
    auto const thread = [](void const* of) { (*static_cast<decltype(call)*>(of))(); };
    return simt::run(grid, block, shared, thread, &call) ? cudaSuccess : cudaErrorLaunchFailure;
}

}  // namespace tweenrt
