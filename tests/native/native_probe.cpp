// Stands between libtweenrt and ONNX Runtime, and between both and malloc: counts what is allocated outside of ONNX
// Runtime's own runs. Preload it, name it as the backend's library, and let TWEENRT_PROBE name the real one.
#include <dlfcn.h>
#include <onnxruntime_c_api.h>

#include <cerrno>
#include <cstdlib>

extern "C" {
void* __libc_malloc(size_t bytes);
void* __libc_calloc(size_t count, size_t bytes);
void* __libc_realloc(void* block, size_t bytes);
void* __libc_memalign(size_t alignment, size_t bytes);
}

namespace {

__thread bool counting = false;
__thread bool inside = false;
__thread long allocations = 0;
__thread long runs = 0;

void count() {
    if (counting && !inside) ++allocations;
}

OrtApi api;
OrtApiBase base;
OrtApiBase const* real = nullptr;
decltype(OrtApi::Run) real_run = nullptr;

OrtStatusPtr ORT_API_CALL run(OrtSession* session, OrtRunOptions const* options, char const* const* input_names,
                              OrtValue const* const* inputs, size_t input_count, char const* const* output_names,
                              size_t output_count, OrtValue** outputs) noexcept {
    inside = true;
    OrtStatusPtr const status =
        real_run(session, options, input_names, inputs, input_count, output_names, output_count, outputs);
    inside = false;
    ++runs;
    return status;
}

OrtApi const* ORT_API_CALL get_api(uint32_t version) noexcept {
    OrtApi const* const found = real->GetApi(version);
    if (found == nullptr) return nullptr;
    api = *found;
    real_run = api.Run;
    api.Run = run;
    return &api;
}

}  // namespace

extern "C" {

void* malloc(size_t bytes) {
    count();
    return __libc_malloc(bytes);
}

void* calloc(size_t number, size_t bytes) {
    count();
    return __libc_calloc(number, bytes);
}

void* realloc(void* block, size_t bytes) {
    count();
    return __libc_realloc(block, bytes);
}

void* memalign(size_t alignment, size_t bytes) {
    count();
    return __libc_memalign(alignment, bytes);
}

void* aligned_alloc(size_t alignment, size_t bytes) { return memalign(alignment, bytes); }

int posix_memalign(void** block, size_t alignment, size_t bytes) {
    *block = memalign(alignment, bytes);
    return *block == nullptr ? ENOMEM : 0;
}

// Count from now on, or no longer, in this thread.
void probe_count(bool on) { counting = on; }
long probe_allocations() { return allocations; }
long probe_runs() { return runs; }

OrtApiBase const* OrtGetApiBase() {
    void* const library = dlopen(getenv("TWEENRT_PROBE"), RTLD_NOW | RTLD_LOCAL);
    real = reinterpret_cast<OrtApiBase const* (*)()>(dlsym(library, "OrtGetApiBase"))();
    base = {get_api, real->GetVersionString};
    return &base;
}
}
