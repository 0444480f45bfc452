// What the lanes of a warp do together, and copies that take their time.
#include <cuda_fp16.h>

#include "machine.h"

namespace simt {
namespace {

constexpr unsigned kAll = 0xffffffffu;

struct Vote {
    bool predicate;
    Ballot ballot;
};

void count_votes(Lanes& lanes, Site) {
    Ballot ballot{0, 0};
    for (int i = 0; i < kLanes; ++i) {
        auto const* const vote = static_cast<Vote*>(lanes[i]);
        ballot.present |= (vote ? 1u : 0u) << i;
        ballot.yes |= (vote && vote->predicate ? 1u : 0u) << i;
    }
    for (auto* const lane : lanes)
        if (lane) static_cast<Vote*>(lane)->ballot = ballot;
}

struct Exchange {
    uint64_t value, result;
    int source;
};

void exchange(Lanes& lanes, Site site) {
    for (int i = 0; i < kLanes; ++i) {
        auto* const own = static_cast<Exchange*>(lanes[i]);
        if (!own) continue;
        auto const* const source = static_cast<Exchange*>(lanes[own->source]);
        if (!source) return fail(site, "lane %d takes a value from lane %d, which is not there", i, own->source);
        own->result = source->value;
    }
}

struct Rows {
    uint32_t* out;
    void const* row;
    bool transposed;
};

void hand_out_matrices(Lanes& lanes, Site) {
    for (int i = 0; i < kLanes; ++i) {
        auto const* const own = static_cast<Rows*>(lanes[i]);
        for (int matrix = 0; matrix < 4; ++matrix) {
            uint16_t pair[2];
            for (int k = 0; k < 2; ++k) {
                int const row = own->transposed ? 2 * (i % 4) + k : i / 4;
                int const column = own->transposed ? i / 4 : 2 * (i % 4) + k;
                auto const* const elements = static_cast<Rows*>(lanes[8 * matrix + row])->row;
                memcpy(&pair[k], static_cast<unsigned char const*>(elements) + 2 * column, 2);
            }
            memcpy(&own->out[matrix], pair, sizeof pair);
        }
    }
}

struct Tiles {
    float* sum;
    uint32_t const *a, *b;
};

float half_of(uint32_t pair, int which) {
    __half_raw raw;
    raw.x = static_cast<unsigned short>(pair >> (16 * which));
    return __half2float(__half(raw));
}

void multiply_tiles(Lanes& lanes, Site) {
    float a[16][16], b[16][8];
    for (int i = 0; i < kLanes; ++i) {
        auto const* const own = static_cast<Tiles*>(lanes[i]);
        int const group = i / 4;
        for (int k = 0; k < 2; ++k) {
            int const element = 2 * (i % 4) + k;
            a[group][element] = half_of(own->a[0], k);
            a[group + 8][element] = half_of(own->a[1], k);
            a[group][element + 8] = half_of(own->a[2], k);
            a[group + 8][element + 8] = half_of(own->a[3], k);
            b[element][group] = half_of(own->b[0], k);
            b[element + 8][group] = half_of(own->b[1], k);
        }
    }
    for (int i = 0; i < kLanes; ++i) {
        auto const* const own = static_cast<Tiles*>(lanes[i]);
        for (int r = 0; r < 4; ++r)
            for (int k = 0; k < 16; ++k) own->sum[r] += a[i / 4 + r / 2 * 8][k] * b[k][2 * (i % 4) + r % 2];
    }
}

void perform(Copy const& copy) {
    if (copy.from)
        memcpy(copy.to, copy.from, 16);
    else
        memset(copy.to, 0, 16);
}

}  // namespace

int lane() { return current_thread().number % kLanes; }

void warp_barrier(unsigned mask, Site site) {
    meet({"__syncwarp", [](Lanes&, Site) {}, false}, &mask, mask, site);
}

Ballot vote(char const* name, unsigned mask, bool predicate, Site site) {
    Vote own{predicate, {}};
    meet({name, count_votes, false}, &own, mask, site);
    return own.ballot;
}

void shuffle(char const* name, unsigned mask, void* value, size_t bytes, int source, Site site) {
    Exchange own{0, 0, source};
    memcpy(&own.value, value, bytes);
    meet({name, exchange, false}, &own, mask, site);
    memcpy(value, &own.result, bytes);
}

void load_matrices(uint32_t (&out)[4], void const* row, bool transposed, Site site) {
    auto const* const name = transposed ? "load_matrices_transposed" : "load_matrices";
    check_shared(name, row, site);
    Rows own{out, row, transposed};
    meet({name, hand_out_matrices, true}, &own, kAll, site);
}

void multiply_add(float (&sum)[4], uint32_t const (&a)[4], uint32_t const (&b)[2], Site site) {
    Tiles own{sum, a, b};
    meet({"multiply_add", multiply_tiles, true}, &own, kAll, site);
}

void copy_16_bytes(void* shared, void const* global, bool wanted, Site site) {
    check_shared("copy_16_bytes", shared, site);
    if (wanted && reinterpret_cast<uintptr_t>(global) % 16 != 0)
        fail(site, "copy_16_bytes: the source %p is not 16-byte aligned", global);
    // A source outside of its array is best met here, where the kernel named it, and not where the copy happens.
    auto const* const source = static_cast<unsigned char const volatile*>(global);
    for (int i = 0; wanted && i < 16; ++i) (void)source[i];
    memset(shared, kPoison, 16);
    current_thread().open_group.push_back({shared, wanted ? global : nullptr});
}

void copies_commit() {
    auto& thread = current_thread();
    thread.groups.push_back(std::move(thread.open_group));
    thread.open_group.clear();
}

void copies_wait(size_t pending) {
    auto& groups = current_thread().groups;
    for (; groups.size() > pending; groups.erase(groups.begin()))
        for (auto const& copy : groups.front()) perform(copy);
}

}  // namespace simt
