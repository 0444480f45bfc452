// What TensorRT-RTX has beside TensorRT, for fake_nvinfer.cpp: kernels that were compiled for a GPU.
class Compiled final : public IHostMemory, private StandInVHostMemory {
  public:
    Compiled() { mImpl = this; }

  private:
    void* data() const noexcept override { return const_cast<char*>(kText); }
    std::size_t size() const noexcept override { return sizeof kText - 1; }
    DataType type() const noexcept override { return DataType::kINT8; }
    static constexpr char kText[] = "compiled kernels";
};

class Kernels final : public IRuntimeCache {
  public:
    bool deserialize(void const* blob, size_t size) noexcept override {
        bool const known = std::string(static_cast<char const*>(blob), size) == "compiled kernels";
        counts["kernels"] += known ? 1 : 1000;
        return known;
    }
    IHostMemory* serialize() const noexcept override { return new Compiled; }
};

class Config final : public IRuntimeConfig {
  public:
    void setDynamicShapesKernelSpecializationStrategy(
        DynamicShapesKernelSpecializationStrategy strategy) noexcept override {
        eager_ = strategy == DynamicShapesKernelSpecializationStrategy::kEAGER;
    }
    IRuntimeCache* createRuntimeCache() const noexcept override { return new Kernels; }
    bool setRuntimeCache(IRuntimeCache const&) noexcept override { return has_cache_ = true; }
    void check() const {
        if (!eager_ || !has_cache_) fake_cuda_fault("a context without eager kernels or without a cache for them");
    }

  private:
    bool eager_ = false, has_cache_ = false;
};
