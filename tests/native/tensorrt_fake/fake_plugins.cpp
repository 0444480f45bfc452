// A plugin library with one op, for a registry that only looks at names.
#include <NvInferRuntime.h>

namespace {

class Creator final : public nvinfer1::IPluginCreatorV3One {
  public:
    char const* getPluginName() const noexcept override { return "BackwardWarp"; }
    char const* getPluginVersion() const noexcept override { return "1"; }
    char const* getPluginNamespace() const noexcept override { return ""; }
    nvinfer1::PluginFieldCollection const* getFieldNames() noexcept override { return nullptr; }
    nvinfer1::IPluginV3* createPlugin(char const*, nvinfer1::PluginFieldCollection const*,
                                      nvinfer1::TensorRTPhase) noexcept override {
        return nullptr;
    }
};

}  // namespace

extern "C" nvinfer1::IPluginCreatorInterface* const* getCreators(int32_t& count) {
    static Creator creator;
    static nvinfer1::IPluginCreatorInterface* const creators[] = {&creator};
    count = 1;
    return creators;
}
