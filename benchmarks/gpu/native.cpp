// native GRAPH FRAMES DRAWN HEIGHT WIDTH rgb8|nv12 host|device WARM_UP RUNS [LIBRARY]
//
// The time of one new frame through libtweenrt, for native.py.
//
// FRAMES holds two frames or more, raw, one after the other; they come in in turns, and the middle of the last two is
// drawn. DRAWN gets the middle of the first two, drawn before and after everything that is timed. LIBRARY is the file
// of the backend's library. Prints JSON: what ran, "ms" of every run until its frame is complete, and "frames_per_s"
// where nobody waits for a frame before the next one is handed over.
#include <dlfcn.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <memory>
#include <tweenrt/tweenrt.hpp>

namespace {

using Bytes = std::vector<char>;

double milliseconds() {
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Memory of the first GPU, asked of the driver: its primary context is the one that the CUDA runtime works in.
class Driver {
  public:
    Driver() {
        void* context = nullptr;
        int device = 0;
        call<unsigned>("cuInit", 0u);
        call<int*, int>("cuDeviceGet", &device, 0);
        call<void**, int>("cuDevicePrimaryCtxRetain", &context, device);
        call<void*>("cuCtxSetCurrent", context);
    }
    void* allocate(size_t bytes) {
        Address address = 0;
        call<Address*, size_t>("cuMemAlloc_v2", &address, bytes);
        return reinterpret_cast<void*>(address);
    }
    void upload(void* to, Bytes const& from) {
        call<Address, void const*, size_t>("cuMemcpyHtoD_v2", reinterpret_cast<Address>(to), from.data(), from.size());
        call<>("cuCtxSynchronize");  // no other stream waits for a copy from pageable memory
    }
    void download(Bytes& to, void* from) {
        call<void*, Address, size_t>("cuMemcpyDtoH_v2", to.data(), reinterpret_cast<Address>(from), to.size());
    }

  private:
    using Address = std::uintptr_t;

    template <class... Types>
    void call(char const* name, Types... arguments) {
        auto* const function = library_ == nullptr ? nullptr : dlsym(library_, name);
        if (function == nullptr) throw std::runtime_error(std::string("no NVIDIA driver with ") + name);
        int const status = reinterpret_cast<int (*)(Types...)>(function)(arguments...);
        if (status != 0) throw std::runtime_error(std::string(name) + " returned " + std::to_string(status));
    }

    void* library_ = dlopen("libcuda.so.1", RTLD_NOW);
};

// A frame's bytes where the interpolator shall find them, until the process ends.
class Picture {
  public:
    Picture(Bytes bytes, Driver* driver) : bytes_(std::move(bytes)), driver_(driver) {
        if (driver_ == nullptr) return;
        there_ = driver_->allocate(bytes_.size());
        driver_->upload(there_, bytes_);
    }

    tweenrt_frame frame(tweenrt_format const& format) {
        auto* const start = driver_ == nullptr ? bytes_.data() : static_cast<char*>(there_);
        auto const frame = format.pixels == TWEENRT_PIXELS_NV12
                               ? tweenrt::nv12(start, start + size_t(format.width) * format.height)
                               : tweenrt::packed(start);
        return driver_ == nullptr ? frame : tweenrt::on_device(frame);
    }
    Bytes const& bytes() {
        if (driver_ != nullptr) driver_->download(bytes_, there_);
        return bytes_;
    }

  private:
    Bytes bytes_;
    Driver* driver_;
    void* there_ = nullptr;
};

struct Request {
    explicit Request(int count, char** words)
        : graph(words[1]),
          frames(words[2]),
          drawn(words[3]),
          on_device(std::string(words[7]) == "device"),
          warm_up(std::atoi(words[8])),
          runs(std::atoi(words[9])),
          library(count > 10 ? words[10] : nullptr) {
        bool const nv12 = std::string(words[6]) == "nv12";
        format = {std::atoi(words[5]), std::atoi(words[4]), nv12 ? TWEENRT_PIXELS_NV12 : TWEENRT_PIXELS_RGB8,
                  TWEENRT_MATRIX_BT709, TWEENRT_RANGE_LIMITED};
        size_t const pixels = size_t(format.width) * format.height;
        frame_bytes = nv12 ? pixels * 3 / 2 : pixels * 3;
    }
    tweenrt::Params params() const {
        tweenrt::Params params(graph);
        params->backend_library = library;
        params->log = [](void*, tweenrt_log_level level, char const* text) {
            if (level <= TWEENRT_LOG_WARNING) std::fprintf(stderr, "%s\n", text);
        };
        return params;
    }

    char const *graph, *frames, *drawn;
    bool on_device;
    int warm_up, runs;
    char const* library;
    tweenrt_format format{};
    size_t frame_bytes;
};

class Clip {
  public:
    Clip(Request const& request, Driver* driver)
        : format_(request.format),
          interpolator_(request.params()),
          drawn_(Bytes(request.frame_bytes), driver),
          out_(request.drawn, std::ios::binary) {
        std::ifstream file(request.frames, std::ios::binary);
        Bytes const all{std::istreambuf_iterator<char>(file), {}};
        for (size_t at = 0; at + request.frame_bytes <= all.size(); at += request.frame_bytes)
            pictures_.push_back(
                std::make_unique<Picture>(Bytes(all.begin() + at, all.begin() + at + request.frame_bytes), driver));
        if (pictures_.size() < 2) throw std::runtime_error(std::string(request.frames) + ": expected two frames");
        interpolator_.set_format(format_);
    }

    // Writes the middle of the first two frames.
    void show() {
        count_ = 0;
        next();
        step();
        interpolator_.synchronize();
        Bytes const& bytes = drawn_.bytes();
        if (!out_.write(bytes.data(), bytes.size()).flush()) throw std::runtime_error("DRAWN cannot be written");
    }
    // Takes the next frame, and draws between it and the one before.
    void step() {
        next();
        interpolator_.draw(tweenrt::between(count_ % 2, (count_ + 1) % 2), 0.5, drawn_.frame(format_));
    }
    double timed() {
        double const start = milliseconds();
        step();
        interpolator_.synchronize();
        return milliseconds() - start;
    }
    double together(int runs) {
        double const start = milliseconds();
        for (int k = 0; k < runs; ++k) step();
        interpolator_.synchronize();
        return milliseconds() - start;
    }
    tweenrt_info info() const { return interpolator_.info(); }

  private:
    void next() {
        interpolator_.prepare(count_ % 2, pictures_[count_ % pictures_.size()]->frame(format_));
        ++count_;
    }

    tweenrt_format format_;
    tweenrt::Interpolator interpolator_;
    Picture drawn_;
    std::vector<std::unique_ptr<Picture>> pictures_;
    std::ofstream out_;
    int count_ = 0;
};

void measure(Request const& request) {
    std::unique_ptr<Driver> const driver(request.on_device ? new Driver : nullptr);
    Clip clip(request, driver.get());
    clip.show();
    for (int k = 0; k < request.warm_up; ++k) clip.step();
    tweenrt_info const info = clip.info();
    std::printf("{\"backend\": \"%s\", \"version\": \"%s\", \"ms\": [", info.backend, info.backend_version);
    for (int k = 0; k < request.runs; ++k) std::printf(k == 0 ? "%.4f" : ", %.4f", clip.timed());
    std::printf("], \"frames_per_s\": %.3f}\n", 1000 * request.runs / clip.together(request.runs));
    clip.show();
}

}  // namespace

int main(int count, char** words) {
    try {
        if (count < 10) throw std::runtime_error("expected nine words or ten; see the head of native.cpp");
        measure(Request(count, words));
        return 0;
    } catch (std::exception const& error) {
        std::fprintf(stderr, "native: %s\n", error.what());
        return 1;
    }
}
