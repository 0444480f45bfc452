// native_overhead GRAPH ONNXRUNTIME HEIGHT WIDTH ROUNDS: a frame drawn by ONNX Runtime's own C functions, and by
// libtweenrt, in turns. Prints a line for each, name and microseconds of processor time: quartile, median, quartile.
#include <dlfcn.h>
#include <onnxruntime_c_api.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <tweenrt/tweenrt.hpp>

namespace {

double microseconds() {
    timespec now{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return 1e6 * static_cast<double>(now.tv_sec) + 1e-3 * static_cast<double>(now.tv_nsec);
}

OrtApi const* api = nullptr;

void check(OrtStatus* status) {
    if (status == nullptr) return;
    std::fprintf(stderr, "%s\n", api->GetErrorMessage(status));
    std::exit(1);
}

// The graph in ONNX Runtime's hands, with tensors of our own.
class Direct {
  public:
    Direct(char const* graph, char const* library, int64_t height, int64_t width) {
        void* const handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
        if (handle == nullptr) std::exit((std::fprintf(stderr, "%s\n", dlerror()), 1));
        api = reinterpret_cast<OrtApiBase const* (*)()>(dlsym(handle, "OrtGetApiBase"))()->GetApi(17);
        OrtEnv* env = nullptr;
        check(api->CreateEnv(ORT_LOGGING_LEVEL_ERROR, "direct", &env));
        OrtSessionOptions* options = nullptr;
        check(api->CreateSessionOptions(&options));
        check(api->SetIntraOpNumThreads(options, 1));
        check(api->CreateSession(env, graph, options, &session_));
        check(api->CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &memory_));
        frame0_ = tensor({1, 3, height, width});
        frame1_ = tensor({1, 3, height, width});
        time_ = tensor({1, 1, 1, 1});
        drawn_ = tensor({1, 3, height, width});
    }
    void run() {
        char const* const names[] = {"frame0", "frame1", "t"};
        char const* const result = "frame_t";
        OrtValue const* const inputs[] = {frame0_, frame1_, time_};
        check(api->Run(session_, nullptr, names, inputs, 3, &result, 1, &drawn_));
    }

  private:
    OrtValue* tensor(std::vector<int64_t> const& shape) {
        size_t count = 1;
        for (int64_t size : shape) count *= static_cast<size_t>(size);
        auto* const data = static_cast<float*>(std::aligned_alloc(64, (4 * count + 63) / 64 * 64));
        std::fill_n(data, count, 0.5f);
        OrtValue* value = nullptr;
        check(api->CreateTensorWithDataAsOrtValue(memory_, data, 4 * count, shape.data(), shape.size(),
                                                  ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, &value));
        return value;
    }
    OrtSession* session_ = nullptr;
    OrtMemoryInfo* memory_ = nullptr;
    OrtValue *frame0_ = nullptr, *frame1_ = nullptr, *time_ = nullptr, *drawn_ = nullptr;
};

// The same with libtweenrt, for frames of some kind.
class Native {
  public:
    Native(char const* graph, char const* library, int32_t height, int32_t width, tweenrt_pixels pixels)
        : interpolator_(params(graph, library)), source_(size_t{12} * height * width), drawn_(source_) {
        bool const floats = pixels == TWEENRT_PIXELS_RGB_F32;
        from_ = floats ? tweenrt::planar(source_.data(), width, height, 4) : tweenrt::packed(source_.data());
        to_ = floats ? tweenrt::planar(drawn_.data(), width, height, 4) : tweenrt::packed(drawn_.data());
        interpolator_.set_format({width, height, pixels, 0, 0});
        prepare();
        interpolator_.prepare(1, from_);
    }
    void prepare() { interpolator_.prepare(0, from_); }
    void draw() { interpolator_.draw(tweenrt::between(0, 1), 0.5, to_); }

  private:
    static tweenrt::Params params(char const* graph, char const* library) {
        tweenrt::Params params{graph};
        params->backend_library = library;
        params->threads = 1;
        return params;
    }
    tweenrt::Interpolator interpolator_;
    std::vector<unsigned char> source_, drawn_;
    tweenrt_frame from_{}, to_{};
};

}  // namespace

int main(int, char** words) {
    int32_t const height = std::atoi(words[3]), width = std::atoi(words[4]);
    Direct direct(words[1], words[2], height, width);
    Native floats(words[1], words[2], height, width, TWEENRT_PIXELS_RGB_F32);
    Native bytes(words[1], words[2], height, width, TWEENRT_PIXELS_RGB8);
    struct {
        char const* name;
        std::function<void()> work;
        std::vector<double> times;
    } contenders[] = {{"direct", [&] { direct.run(); }, {}},
                      {"draw_floats", [&] { floats.draw(); }, {}},
                      {"draw_bytes", [&] { bytes.draw(); }, {}},
                      {"prepare_floats", [&] { floats.prepare(); }, {}},
                      {"prepare_bytes", [&] { bytes.prepare(); }, {}}};
    int const rounds = std::atoi(words[5]);
    for (int round = -rounds / 10; round < rounds; ++round)
        for (auto& contender : contenders) {
            double const start = microseconds();
            contender.work();
            if (round >= 0) contender.times.push_back(microseconds() - start);
        }
    for (auto& [name, work, times] : contenders) {
        std::sort(times.begin(), times.end());
        std::printf("%s %.2f %.2f %.2f\n", name, times[times.size() / 4], times[times.size() / 2],
                    times[times.size() * 3 / 4]);
    }
}
