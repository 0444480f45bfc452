// The backend for ONNX Runtime on the CPU. Frames and tensors lie in ordinary memory.
#include <algorithm>
#include <cstdio>

#include "../convert.h"
#include "../half.h"
#include "session.h"

namespace tweenrt::native {
namespace {

void ORT_API_CALL forward_log(void* options, OrtLoggingLevel severity, char const*, char const*, char const* where,
                              char const* text) {
    auto const& wanted = *static_cast<BackendOptions const*>(options);
    char line[512];
    std::snprintf(line, sizeof line, "ONNX Runtime: %s (%s)", text, where);
    wanted.log(wanted.log_user, severity >= ORT_LOGGING_LEVEL_ERROR ? TWEENRT_LOG_ERROR : TWEENRT_LOG_WARNING, line);
}

class OnnxBackend : public Backend {
  public:
    explicit OnnxBackend(BackendOptions const& options)
        : options_(options), library_(options.backend_library), env_(nullptr, {api()}), memory_(nullptr, {api()}) {
        OrtEnv* env = nullptr;
        library_.check(library_->CreateEnv(ORT_LOGGING_LEVEL_ERROR, "tweenrt", &env), "its environment");
        env_.reset(env);
        OrtMemoryInfo* memory = nullptr;
        library_.check(library_->CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &memory), "its memory");
        memory_.reset(memory);
    }

    char const* name() const noexcept override { return "onnxruntime"; }
    char const* version() const noexcept override { return library_.version().c_str(); }
    bool takes_device_frames() const noexcept override { return false; }

    tweenrt_status load(Source const& source, Session** session, Report& report) noexcept override {
        return guarded(report, [&] {
            if (source.engine != nullptr)
                throw Fault(TWEENRT_STATUS_MISMATCH, std::string(source.path) + ": ONNX Runtime runs no engines");
            *session = new OnnxSession(library_, opened(source.path), source.path);
        });
    }

    tweenrt_status make_tensor(Element element, Shape const& shape, Tensor** tensor, Report& report) noexcept override {
        return guarded(report, [&] { *tensor = new OnnxTensor(library_, memory_.get(), element, shape); });
    }

    tweenrt_status set_geometry(Geometry const& geometry, Report&) noexcept override {
        geometry_ = geometry;
        return TWEENRT_STATUS_OK;
    }

    tweenrt_status fill(Tensor& tensor, float value, Report&) noexcept override {
        size_t const count = tensor.bytes / element_bytes(tensor.element);
        if (tensor.element == Element::kHalf)
            std::fill_n(static_cast<Half*>(tensor.data), count, to_half(value));
        else
            std::fill_n(static_cast<float*>(tensor.data), count, value);
        return TWEENRT_STATUS_OK;
    }

    tweenrt_status pack(tweenrt_frame const& frame, Tensor& target, Report&) noexcept override {
        pack_frame(geometry_, frame, target.data);
        return TWEENRT_STATUS_OK;
    }

    tweenrt_status unpack(Tensor const& drawn, tweenrt_frame const& frame, Report&) noexcept override {
        unpack_frame(geometry_, drawn.data, frame);
        return TWEENRT_STATUS_OK;
    }

    tweenrt_status requantise(Tensor const& drawn, Tensor& target, Report&) noexcept override {
        requantise_frame(geometry_, drawn.data, target.data);
        return TWEENRT_STATUS_OK;
    }

    tweenrt_status finish(Report&) noexcept override { return TWEENRT_STATUS_OK; }
    tweenrt_status synchronize(Report&) noexcept override { return TWEENRT_STATUS_OK; }

  private:
    OrtApi const* api() const { return library_.operator->(); }

    // The same options as runtime/onnxruntime_session.py sets, so that both draw the same bits.
    SessionOptionsPtr session_options() {
        OrtSessionOptions* made = nullptr;
        library_.check(library_->CreateSessionOptions(&made), "its options");
        SessionOptionsPtr options(made, {api()});
        library_.check(library_->SetSessionLogSeverityLevel(made, ORT_LOGGING_LEVEL_ERROR), "its options");
        if (options_.threads > 0) library_.check(library_->SetIntraOpNumThreads(made, options_.threads), "its options");
        library_.check(library_->AddSessionConfigEntry(made, "session.intra_op.allow_spinning", "0"), "its options");
        if (options_.log != nullptr)
            library_.check(library_->SetUserLoggingFunction(made, forward_log, &options_), "its options");
        return options;
    }

    SessionPtr opened(char const* path) {
        SessionOptionsPtr const options = session_options();
        OrtSession* session = nullptr;
        if (OrtStatus* const status = library_->CreateSession(env_.get(), path, options.get(), &session))
            throw Fault(TWEENRT_STATUS_DAMAGED, std::string(path) +
                                                    ": expected an ONNX file that ONNX Runtime can load, it said: " +
                                                    library_.text_of(status) + "; export the graph again");
        return SessionPtr(session, {api()});
    }

    BackendOptions options_;
    OnnxRuntime library_;
    EnvPtr env_;
    MemoryInfoPtr memory_;
    Geometry geometry_{};
};

}  // namespace
}  // namespace tweenrt::native

extern "C" TWEENRT_EXPORT uint32_t tweenrt_module_interface() { return tweenrt::native::kInterface; }

extern "C" TWEENRT_EXPORT tweenrt_status tweenrt_module_open(tweenrt::native::BackendOptions const* options,
                                                             tweenrt::native::Backend** backend,
                                                             tweenrt::native::Report* report) {
    using namespace tweenrt::native;
    return guarded(*report, [&] { *backend = new OnnxBackend(*options); });
}
