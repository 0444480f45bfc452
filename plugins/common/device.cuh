// What kernels use of the GPU beyond plain CUDA C++: tensor-core, shared-memory and asynchronous-copy instructions
// under one set of names, and the launch. The same names exist in the CPU emulator under tests/native, which runs
// the kernels where there is no GPU; kernels therefore include this header and nothing else of CUDA's.
#pragma once

#include <cuda_fp16.h>
#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

#ifdef TWEENRT_EMULATE
#include "simt.h"
#else

// The block's dynamic shared memory as an array of `type`.
#define TWEENRT_SHARED(type, name)                                  \
    extern __shared__ __align__(128) unsigned char tweenrt_shared[]; \
    type* const name = reinterpret_cast<type*>(tweenrt_shared)

namespace tweenrt {

// Four 8x8 matrices of halves: lanes 8m..8m+7 give the addresses (16-byte aligned) of the rows of matrix m. Each lane
// receives two neighbouring elements of row lane/4 of every matrix.
__device__ inline void load_matrices(uint32_t (&out)[4], void const* row) {
    auto const address = static_cast<uint32_t>(__cvta_generic_to_shared(row));
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])
                 : "r"(address)
                 : "memory");
}

// The same, each matrix transposed: a lane receives two neighbouring elements of column lane/4.
__device__ inline void load_matrices_transposed(uint32_t (&out)[4], void const* row) {
    auto const address = static_cast<uint32_t>(__cvta_generic_to_shared(row));
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])
                 : "r"(address)
                 : "memory");
}

// sum += a * b for a 16x16 tile of halves and a 16x8 tile of halves, accumulated in FP32.
__device__ inline void multiply_add(float (&sum)[4], uint32_t const (&a)[4], uint32_t const (&b)[2]) {
#if __CUDA_ARCH__ >= 800
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
                 "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
    for (int half = 0; half < 2; ++half)
        asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 "
                     "{%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};"
                     : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
                     : "r"(a[2 * half]), "r"(a[2 * half + 1]), "r"(b[half]));
#endif
}

// Starts a copy of 16 bytes (both ends 16-byte aligned) into shared memory, zeros where `wanted` is false.
// The bytes are there after copies_commit() and copies_wait<>() and a __syncthreads().
__device__ inline void copy_16_bytes(void* shared, void const* global, bool wanted) {
#if __CUDA_ARCH__ >= 800
    auto const address = static_cast<uint32_t>(__cvta_generic_to_shared(shared));
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;"
                 :
                 : "r"(address), "l"(global), "r"(wanted ? 16 : 0)
                 : "memory");
#else
    *static_cast<uint4*>(shared) = wanted ? *static_cast<uint4 const*>(global) : make_uint4(0, 0, 0, 0);
#endif
}

// Closes the group of copies that this thread has started since the last call.
__device__ inline void copies_commit() {
#if __CUDA_ARCH__ >= 800
    asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

// Waits until at most `kPending` of this thread's groups are under way.
template <int kPending>
__device__ inline void copies_wait() {
#if __CUDA_ARCH__ >= 800
    asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
#endif
}

// Queues `kernel` on `stream` with `shared` bytes of dynamic shared memory. Never synchronises.
template <class... Parameters, class... Arguments>
cudaError_t launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t shared, cudaStream_t stream,
                   Arguments... arguments) {
    constexpr size_t kWithoutAsking = 48 * 1024;
    if (shared > kWithoutAsking) {
        auto const error =
            cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared));
        if (error != cudaSuccess) return error;
    }
    kernel<<<grid, block, shared, stream>>>(static_cast<Parameters>(arguments)...);
    return cudaPeekAtLastError();
}

}  // namespace tweenrt

#endif  // TWEENRT_EMULATE
