// Kernels with known results and kernels that misbehave, for the tests of the emulator itself.
#include "../../plugins/common/device.cuh"

using namespace tweenrt;

namespace {

constexpr unsigned kAll = 0xffffffffu;

// out[lane][register] of four matrices; in is 32 rows of eight halves, row r for lane r.
__global__ void load_fragments(bool transposed, uint4 const* in, uint32_t* out) {
    TWEENRT_SHARED(uint4, rows);
    int const lane = threadIdx.x;
    rows[lane] = in[lane];
    __syncthreads();
    uint32_t fragment[4];
    if (transposed)
        load_matrices_transposed(fragment, rows + lane);
    else
        load_matrices(fragment, rows + lane);
    for (int i = 0; i < 4; ++i) out[4 * lane + i] = fragment[i];
}

__global__ void multiply_fragments(uint32_t const* a, uint32_t const* b, float* sum) {
    int const lane = threadIdx.x;
    uint32_t const left[4] = {a[4 * lane], a[4 * lane + 1], a[4 * lane + 2], a[4 * lane + 3]};
    uint32_t const right[2] = {b[2 * lane], b[2 * lane + 1]};
    float total[4];
    for (int i = 0; i < 4; ++i) total[i] = sum[4 * lane + i];
    multiply_add(total, left, right);
    for (int i = 0; i < 4; ++i) sum[4 * lane + i] = total[i];
}

// c = a b through shared memory: a is 16x16, b is 16x8 and read transposed, c is 16x8.
__global__ void multiply(__half const* a, __half const* b, float* c) {
    TWEENRT_SHARED(__half, tile);
    int const lane = threadIdx.x, group = lane / 4, pair = lane % 4 * 2;
    for (int i = lane; i < 256; i += 32) tile[i] = a[i];
    for (int i = lane; i < 256; i += 32) tile[256 + i] = i % 16 < 8 ? b[i / 16 * 8 + i % 16] : __half(0.0f);
    __syncwarp();
    uint32_t left[4], right[4];
    load_matrices(left, tile + lane % 16 * 16 + lane / 16 * 8);
    load_matrices_transposed(right, tile + 256 + lane % 16 * 16 + lane / 16 * 8);
    float sum[4] = {};
    multiply_add(sum, left, {right[0], right[1]});
    for (int i = 0; i < 4; ++i) c[(group + i / 2 * 8) * 8 + pair + i % 2] = sum[i];
}

// What lies in shared memory, word by word: at the start, after two groups of copies, after one wait, after the other.
__global__ void copy_late(uint4 const* in, uint4* out) {
    TWEENRT_SHARED(uint4, stage);
    out[0] = stage[0];
    copy_16_bytes(stage, in, true);
    copies_commit();
    stage[1] = in[0];
    copy_16_bytes(stage + 1, in + 1, true);
    copy_16_bytes(stage + 2, in + 1'000'000, false);
    copies_commit();
    for (int i = 0; i < 3; ++i) out[1 + i] = stage[i];
    copies_wait<1>();
    for (int i = 0; i < 3; ++i) out[4 + i] = stage[i];
    copies_wait<0>();
    for (int i = 0; i < 3; ++i) out[7 + i] = stage[i];
}

// Ten results of every lane; threads at or above `live` have ended.
__global__ void talk(bool barrier_first, int live, int const* in, int* out) {
    int const t = threadIdx.x;
    if (t >= live) return;
    if (barrier_first) __syncthreads();
    int const value = in[t];
    out += 10 * t;
    out[0] = static_cast<int>(__ballot_sync(kAll, value > 0));
    out[1] = __any_sync(kAll, value > 40);
    out[2] = __all_sync(kAll, value > -40);
    out[3] = __shfl_sync(kAll, value, 5);
    out[4] = __shfl_sync(kAll, value, t + 3, 8);
    out[5] = __shfl_up_sync(kAll, value, 2, 8);
    out[6] = __shfl_down_sync(kAll, value, 2, 8);
    out[7] = __shfl_xor_sync(kAll, value, 3);
    out[8] = __popc(static_cast<unsigned>(value));
    out[9] = __ffs(value);
}

__global__ void where_am_i(int* out) {
    unsigned const block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
    unsigned const thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
    unsigned const i = block * blockDim.x * blockDim.y * blockDim.z + thread;
    out[i] = static_cast<int>(((threadIdx.z * 100 + threadIdx.y) * 100 + threadIdx.x) * 100 + block);
}

__global__ void count(int* whole, unsigned* natural, float* real) {
    atomicAdd(whole, -2);
    atomicAdd(natural, 3u);
    atomicAdd(real, 0.5f);
}

__global__ void add_up(float const* in, float* out) { atomicAdd(out, in[threadIdx.x]); }

// Two rounds of: put a value, take that of the thread one warp above. Without the second barrier a thread may put its
// value of the second round before that of the first is taken.
__global__ void pass_down(bool second_barrier, int* out) {
    TWEENRT_SHARED(int, values);
    int const t = threadIdx.x, n = blockDim.x;
    for (int round = 0; round < 2; ++round) {
        values[t] = 100 * round + t;
        __syncthreads();
        if (t + 32 < n - 1) out[round * n + t] = __ldg(&values[t + 32]);
        if (second_barrier) __syncthreads();
    }
}

// Lane 31 takes the others' values without waiting for them.
__global__ void take_early(int* out) {
    TWEENRT_SHARED(int, values);
    int const t = threadIdx.x;
    values[t] = t;
    if (t == 31)
        for (int i = 0; i < 32; ++i) out[i] = values[i];
}

enum Misdeed {
    kOtherCollective,
    kOtherLine,
    kOtherMask,
    kPartialMask,
    kOtherBarrier,
    kDeadlock,
    kShuffleFromEnded,
    kMultiplyWithEnded,
    kUnalignedRow,
    kRowOutside,
    kUnalignedCopySource,
    kUnalignedCopyTarget,
    kCopyOutside,
    kForgottenCopy,
    kUncommittedCopy,
    kSharedOverrun,
    kDivideByZero,
    kEndlessLoop,
    kEndlessBarriers,
};

__global__ void misbehave(int misdeed, int zero, uint4 const* in, int* out) {
    TWEENRT_SHARED(unsigned char, shared);
    int const lane = threadIdx.x;
    uint32_t words[4] = {};
    float sum[4] = {};
    switch (misdeed) {
        case kOtherCollective:
            if (lane == 7)
                __any_sync(kAll, 1);
            else
                __ballot_sync(kAll, 1);
            break;
        case kOtherLine:
            if (lane == 7)
                __syncwarp();
            else
                __syncwarp();
            break;
        case kOtherMask:
            __syncwarp(lane == 7 ? 0x0fffffffu : kAll);
            break;
        case kPartialMask:
            __syncwarp(0x0fffffffu);
            break;
        case kOtherBarrier:
            if (lane == 7)
                __syncthreads();
            else
                __syncthreads();
            break;
        case kDeadlock:
            if (lane == 7)
                __syncwarp();
            else
                __syncthreads();
            break;
        case kShuffleFromEnded:
            if (lane == 7) return;
            out[lane] = __shfl_sync(kAll, lane, 7);
            break;
        case kMultiplyWithEnded:
            if (lane == 7) return;
            multiply_add(sum, words, {words[0], words[1]});
            break;
        case kUnalignedRow:
            load_matrices(words, shared + 8);
            break;
        case kRowOutside:
            load_matrices(words, shared + 16 * lane);
            break;
        case kUnalignedCopySource:
            copy_16_bytes(shared, reinterpret_cast<unsigned char const*>(in) + 4, true);
            break;
        case kUnalignedCopyTarget:
            copy_16_bytes(shared + 4, in, true);
            break;
        case kCopyOutside:
            copy_16_bytes(shared + 32, in, true);
            break;
        case kForgottenCopy:
            copy_16_bytes(shared, in, true);
            copies_commit();
            break;
        case kUncommittedCopy:
            copy_16_bytes(shared, in, true);
            copies_wait<0>();
            break;
        case kSharedOverrun:
            shared[blockDim.x] = 1;
            break;
        case kDivideByZero:
            out[lane] = lane / zero;
            break;
        case kEndlessLoop:
            while (*static_cast<int volatile*>(out) != zero) {
            }
            break;
        case kEndlessBarriers:
            while (*static_cast<int volatile*>(out) != zero) __syncthreads();
            break;
    }
    out[lane] = lane;
}

__global__ void read_at(int at, unsigned char const* in, int* out) { *out = in[at]; }

__global__ void read_vector_at(int at, unsigned char const* in, int* out) {
    auto const* const vector = reinterpret_cast<int4 const*>(in + at);
    *out = vector->x;
}

__global__ void write_at(int at, unsigned char* out) { out[at] = 1; }

__global__ void copy_from(int at, uint4 const* in, int* out) {
    TWEENRT_SHARED(uint4, stage);
    copy_16_bytes(stage, in + at, true);
    copies_commit();
    copies_wait<0>();
    memcpy(out, stage, sizeof *out);
}

__global__ void nothing() {}

}  // namespace

extern "C" {

int launch_load_fragments(int transposed, void const* in, void* out) {
    return launch(load_fragments, dim3(1), dim3(32), 512, nullptr, transposed != 0, static_cast<uint4 const*>(in),
                  static_cast<uint32_t*>(out));
}

int launch_multiply_fragments(void const* a, void const* b, void* sum) {
    return launch(multiply_fragments, dim3(1), dim3(32), 0, nullptr, static_cast<uint32_t const*>(a),
                  static_cast<uint32_t const*>(b), static_cast<float*>(sum));
}

int launch_multiply(void const* a, void const* b, void* c) {
    return launch(multiply, dim3(1), dim3(32), 1024, nullptr, static_cast<__half const*>(a),
                  static_cast<__half const*>(b), static_cast<float*>(c));
}

int launch_copy_late(void const* in, void* out) {
    return launch(copy_late, dim3(1), dim3(1), 48, nullptr, static_cast<uint4 const*>(in), static_cast<uint4*>(out));
}

int launch_talk(int barrier_first, int threads, int live, void const* in, void* out) {
    return launch(talk, dim3(1), dim3(threads), 0, nullptr, barrier_first != 0, live, static_cast<int const*>(in),
                  static_cast<int*>(out));
}

int launch_where_am_i(void* out) {
    return launch(where_am_i, dim3(2, 3, 2), dim3(5, 3, 2), 0, nullptr, static_cast<int*>(out));
}

int launch_count(int threads, void* whole, void* natural, void* real) {
    return launch(count, dim3(3), dim3(threads), 0, nullptr, static_cast<int*>(whole), static_cast<unsigned*>(natural),
                  static_cast<float*>(real));
}

int launch_add_up(int threads, void const* in, void* out) {
    return launch(add_up, dim3(1), dim3(threads), 0, nullptr, static_cast<float const*>(in), static_cast<float*>(out));
}

int launch_pass_down(int second_barrier, int threads, void* out) {
    return launch(pass_down, dim3(1), dim3(threads), sizeof(int) * threads, nullptr, second_barrier != 0,
                  static_cast<int*>(out));
}

int launch_take_early(void* out) { return launch(take_early, dim3(1), dim3(32), 128, nullptr, static_cast<int*>(out)); }

int launch_misbehave(int misdeed, void const* in, void* out) {
    return launch(misbehave, dim3(1), dim3(32), 32, nullptr, misdeed, 0, static_cast<uint4 const*>(in),
                  static_cast<int*>(out));
}

int launch_read_at(int at, void const* in, void* out) {
    return launch(read_at, dim3(1), dim3(1), 0, nullptr, at, static_cast<unsigned char const*>(in),
                  static_cast<int*>(out));
}

int launch_read_vector_at(int at, void const* in, void* out) {
    return launch(read_vector_at, dim3(1), dim3(1), 0, nullptr, at, static_cast<unsigned char const*>(in),
                  static_cast<int*>(out));
}

int launch_write_at(int at, void* out) {
    return launch(write_at, dim3(1), dim3(1), 0, nullptr, at, static_cast<unsigned char*>(out));
}

int launch_copy_from(int at, void const* in, void* out) {
    return launch(copy_from, dim3(1), dim3(1), 16, nullptr, at, static_cast<uint4 const*>(in), static_cast<int*>(out));
}

int launch_nothing(int blocks_y, int blocks_z, int threads, int shared) {
    return launch(nothing, dim3(1, blocks_y, blocks_z), dim3(threads), shared, nullptr);
}
}
