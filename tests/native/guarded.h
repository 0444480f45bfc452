// Memory that ends where the process may not go on: a kernel that leaves it by a byte is stopped.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <vector>

namespace simt {

// Under the address sanitizer plain allocations, which it guards to the byte. Otherwise pages between forbidden ones:
// the memory lies against the forbidden pages behind it, as far as its alignment lets it, or against those before it.
class Guarded {
  public:
    static void* allocate(size_t bytes, size_t alignment, bool at_end) {
#ifdef __SANITIZE_ADDRESS__
        (void)at_end;
        void* memory = nullptr;
        if (posix_memalign(&memory, alignment, bytes) != 0) throw std::bad_alloc();
        return memory;
#else
        size_t const page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
        size_t const inside = round_up(bytes, page);
        size_t const mapped = inside + 2 * kForbidden;
        void* const at = mmap(nullptr, mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (at == MAP_FAILED) throw std::bad_alloc();
        auto* const first = static_cast<unsigned char*>(at) + kForbidden;
        mprotect(first, inside, PROT_READ | PROT_WRITE);
        auto* const memory = at_end ? first + inside - round_up(bytes, alignment) : first;
        regions().push_back({static_cast<unsigned char*>(at), mapped, memory, bytes});
        return memory;
#endif
    }

    static void release(void* memory) {
#ifdef __SANITIZE_ADDRESS__
        free(memory);
#else
        auto& all = regions();
        for (auto region = all.begin(); region != all.end(); ++region) {
            if (region->memory != memory) continue;
            munmap(region->mapping, region->mapped);
            all.erase(region);
            return;
        }
#endif
    }

    // How much of an allocation of `bytes` can be touched unnoticed: the last part is there for the alignment's sake.
    static size_t usable(size_t bytes, size_t alignment) {
#ifdef __SANITIZE_ADDRESS__
        (void)alignment;
        return bytes;
#else
        return round_up(bytes, alignment);
#endif
    }

    // Says in `text` where an address lies.
    static void describe(void const* address, char (&text)[100]) {
        auto const at = static_cast<unsigned char const*>(address);
        snprintf(text, sizeof text, "%p, far from every array", address);
        for (auto const& region : regions())
            if (at >= region.mapping && at < region.mapping + region.mapped)
                snprintf(text, sizeof text, "byte %td of an array of %zu bytes", at - region.memory, region.bytes);
    }

  private:
    static constexpr size_t kForbidden = 1 << 20;

    struct Region {
        unsigned char* mapping;
        size_t mapped;
        unsigned char* memory;
        size_t bytes;
    };

    static size_t round_up(size_t bytes, size_t step) { return (bytes + step - 1) / step * step; }

    static std::vector<Region>& regions() {
        static std::vector<Region> all;
        return all;
    }
};

}  // namespace simt
