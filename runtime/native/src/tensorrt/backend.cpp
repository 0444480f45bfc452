// What a module exports: a Backend on one lane.
#include "../backend.h"

#include <dlfcn.h>

#include <memory>
#include <string>

#include "convert.cuh"
#include "flavour.h"
#include "session.h"
#include "staging.h"

namespace tweenrt::native {
namespace {

class DeviceTensor final : public Tensor {
  public:
    DeviceTensor(Lane& lane, Element of, Shape const& sizes)
        : count_(count(sizes)), memory_(lane, Place::kDevice, count_ * element_bytes(of)) {
        element = of;
        shape = sizes;
        bytes = count_ * element_bytes(of);
        data = memory_.data();
    }

  private:
    static size_t count(Shape const& shape) {
        size_t count = 1;
        for (int32_t axis = 0; axis < shape.rank; ++axis) count *= static_cast<size_t>(shape.sizes[axis]);
        return count;
    }

    size_t count_;
    Memory memory_;
};

class TensorRtBackend final : public Backend {
  public:
    explicit TensorRtBackend(BackendOptions const& options)
        : plugin_library_(options.plugin_library == nullptr ? "" : options.plugin_library),
          log_(options.log, options.log_user),
          lane_(options.gpu, options.stream),
          library_(options.backend_library, lane_, log_) {}

    char const* name() const noexcept override { return kFlavour; }
    char const* version() const noexcept override { return library_.version().c_str(); }
    bool takes_device_frames() const noexcept override { return true; }

    tweenrt_status load(Source const& source, Session** session, Report& report) noexcept override {
        return lane_.call(report, [&] {
            char const* const plugins = plugin_library_.empty() ? nullptr : plugin_library_.c_str();
            *session = std::make_unique<EngineSession>(source, plugins, library_, lane_, log_).release();
        });
    }

    tweenrt_status make_tensor(Element element, Shape const& shape, Tensor** tensor, Report& report) noexcept override {
        return lane_.call(report, [&] { *tensor = std::make_unique<DeviceTensor>(lane_, element, shape).release(); });
    }

    tweenrt_status set_geometry(Geometry const& geometry, Report& report) noexcept override {
        return lane_.call(report, [&] {
            staging_.reset();
            geometry_ = geometry;
            staging_ = std::make_unique<Staging>(lane_, geometry.format);
        });
    }

    tweenrt_status fill(Tensor& tensor, float value, Report& report) noexcept override {
        return lane_.call(report, [&] {
            auto const count = static_cast<int64_t>(tensor.bytes / element_bytes(tensor.element));
            fill_on_gpu(lane_.stream(), tensor.element, tensor.data, count, value);
        });
    }

    tweenrt_status pack(tweenrt_frame const& frame, Tensor& target, Report& report) noexcept override {
        return lane_.call(report, [&] {
            bool const on_host = frame.memory == TWEENRT_MEMORY_HOST;
            pack_on_gpu(lane_.stream(), geometry_, on_host ? staging_->upload(frame) : frame, target.data);
        });
    }

    tweenrt_status unpack(Tensor const& drawn, tweenrt_frame const& frame, Report& report) noexcept override {
        return lane_.call(report, [&] {
            bool const on_host = frame.memory == TWEENRT_MEMORY_HOST;
            unpack_on_gpu(lane_.stream(), geometry_, drawn.data, on_host ? staging_->landing() : frame);
            if (on_host) staging_->download(frame);
        });
    }

    tweenrt_status requantise(Tensor const& drawn, Tensor& target, Report& report) noexcept override {
        return lane_.call(report, [&] { requantise_on_gpu(lane_.stream(), geometry_, drawn.data, target.data); });
    }

    tweenrt_status finish(Report& report) noexcept override {
        return lane_.call(report, [&] {
            if (staging_ != nullptr) staging_->finish();
        });
    }

    tweenrt_status synchronize(Report& report) noexcept override {
        return lane_.call(report, [&] { lane_.synchronize(); });
    }

  private:
    std::string plugin_library_;
    Log log_;
    Lane lane_;
    Library library_;
    Geometry geometry_{};
    std::unique_ptr<Staging> staging_;
};

// TensorRT keeps our logger as long as the process lives, so this module has to stay where it is.
void stay_loaded() {
    Dl_info info{};
    if (dladdr(reinterpret_cast<void const*>(&stay_loaded), &info) != 0)
        dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
}

}  // namespace
}  // namespace tweenrt::native

extern "C" {

TWEENRT_EXPORT uint32_t tweenrt_module_interface(void) { return tweenrt::native::kInterface; }

TWEENRT_EXPORT tweenrt_status tweenrt_module_open(tweenrt::native::BackendOptions const* options,
                                                  tweenrt::native::Backend** backend, tweenrt::native::Report* report) {
    return tweenrt::native::guarded(*report, [&] {
        tweenrt::native::stay_loaded();
        *backend = std::make_unique<tweenrt::native::TensorRtBackend>(*options).release();
    });
}
}
