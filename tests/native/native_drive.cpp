// Draws frames of a video that never ends: native_drive GRAPH BACKEND_LIBRARY PIXELS HEIGHT WIDTH FRAMES. Prints the
// allocations that native_probe.cpp counts after the first frames and one of its own, and kilobytes of memory then and
// at the end.
#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <tweenrt/tweenrt.hpp>

namespace {

constexpr int kWarmUp = 100;

long resident_kilobytes() {
    long pages = 0;
    FILE* file = std::fopen("/proc/self/statm", "r");
    if (file == nullptr || std::fscanf(file, "%*s %ld", &pages) != 1) std::abort();
    std::fclose(file);
    return pages * 4;
}

template <class Function>
Function probe(char const* name) {
    return reinterpret_cast<Function>(dlsym(RTLD_DEFAULT, name));
}

tweenrt_frame frame_of(int pixels, std::vector<unsigned char>& bytes, int height, int width) {
    if (pixels == TWEENRT_PIXELS_NV12) return tweenrt::nv12(bytes.data(), bytes.data() + height * width);
    if (pixels == TWEENRT_PIXELS_RGB_F32) return tweenrt::planar(bytes.data(), width, height, 4);
    return tweenrt::packed(bytes.data());
}

}  // namespace

int main(int, char** words) {
    int const pixels = std::atoi(words[3]), height = std::atoi(words[4]), width = std::atoi(words[5]);
    long const frames = std::atol(words[6]);
    tweenrt::Params params{words[1]};
    params->backend_library = words[2];
    params->threads = 1;
    tweenrt::Interpolator interpolator{params};
    interpolator.set_format({width, height, pixels, TWEENRT_MATRIX_BT709, TWEENRT_RANGE_LIMITED});
    std::vector<unsigned char> source(12 * static_cast<size_t>(height) * width, 60), drawn(source), more(source);
    std::vector<tweenrt_frame> const outputs{frame_of(pixels, drawn, height, width),
                                             frame_of(pixels, more, height, width)};
    std::vector<double> const times{0.25, 0.5};
    auto const count = probe<void (*)(bool)>("probe_count");
    long start = 0;
    for (long k = 0; k < frames; ++k) {
        if (k == kWarmUp) {
            start = resident_kilobytes();
            if (count != nullptr) count(true);
        }
        interpolator.prepare(static_cast<int32_t>(k % 2), frame_of(pixels, source, height, width));
        if (k > 0)
            interpolator.draw(tweenrt::between(static_cast<int32_t>((k - 1) % 2), static_cast<int32_t>(k % 2)), times,
                              outputs);
    }
    operator delete(operator new(1));  // one that is counted, or the counting does not work
    if (count != nullptr) count(false);
    long const end = resident_kilobytes();
    auto const allocations = probe<long (*)()>("probe_allocations");
    auto const runs = probe<long (*)()>("probe_runs");
    std::printf("%ld %ld %ld %ld %llu\n", allocations == nullptr ? -1 : allocations(), runs == nullptr ? -1 : runs(),
                start, end, static_cast<unsigned long long>(interpolator.statistics().drawn));
}
