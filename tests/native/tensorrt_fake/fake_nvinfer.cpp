// A TensorRT without a GPU, on the fake CUDA runtime: it has every function that the real one has, and those that
// libtweenrt may call do what the real ones do. Its plans are texts:
//
//     fake plan
//     in frame0 float 1 3 -1 -1 from 1 3 16 16 to 1 3 64 64
//     out frame_t float 1 3 -1 -1
//     blend
//
// "from 1 3 16 16 at 1 3 32 32 to 1 3 64 64" names the shape that it is tuned for too, which is the largest otherwise.
// More of these are further optimisation profiles; a context starts on the first one.
//
// What it computes is in0 + (in1 - in0) * t, where t is the last input; `mean` has no t. `encode` doubles its input,
// and `synthesis` blends half of its third and fourth. "fails 3" lets all runs but the first three fail.
#include <NvInferRuntime.h>
#include <cuda_fp16.h>
#include <dlfcn.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "fake_cuda.h"
#include "stand_ins.h"  // written by tests/support/native_tensorrt.py from the headers

using namespace nvinfer1;

namespace {

std::map<std::string, long> settings, counts;
ILogger* first_logger = nullptr;

void say(ILogger::Severity severity, char const* text) {
    if (first_logger != nullptr) first_logger->log(severity, text);
}

struct Tensor {
    bool is_input = false;
    DataType type = DataType::kFLOAT;
    Dims shape{};
    struct Span {
        Dims least{}, best{}, most{};
    };
    std::vector<Span> spans;  // of each profile; one of an input that is fixed

    Span const& span(int32_t profile) const { return spans[spans.size() > 1 ? static_cast<size_t>(profile) : 0]; }
};

struct Plan {
    std::vector<std::string> names;
    std::map<std::string, Tensor> tensors;
    std::string work;
    long runs = -1;

    int32_t profiles() const {
        size_t most = 1;
        for (auto const& [name, tensor] : tensors) most = std::max(most, tensor.spans.size());
        return static_cast<int32_t>(most);
    }
};

Dims read_dims(std::istringstream& line) {
    Dims dims{};
    for (long size; dims.nbDims < Dims::MAX_DIMS && line >> size;) dims.d[dims.nbDims++] = size;
    line.clear();
    return dims;
}

size_t count_of(Dims const& dims) {
    size_t count = 1;
    for (int32_t axis = 0; axis < dims.nbDims; ++axis) count *= static_cast<size_t>(dims.d[axis]);
    return count;
}

void read_tensor(std::istringstream& line, bool is_input, Plan& plan) {
    std::string name, type, word;
    line >> name >> type;
    Tensor tensor;
    tensor.is_input = is_input;
    tensor.type = type == "float"   ? DataType::kFLOAT
                  : type == "half"  ? DataType::kHALF
                  : type == "uint8" ? DataType::kUINT8
                                    : DataType::kINT64;
    tensor.shape = read_dims(line);
    while (line >> word) {
        Dims const dims = read_dims(line);
        if (word == "from")
            tensor.spans.push_back({dims, dims, dims});
        else if (word == "at")
            tensor.spans.back().best = dims;
        else
            tensor.spans.back().most = dims;
    }
    if (tensor.spans.empty()) tensor.spans.push_back({tensor.shape, tensor.shape, tensor.shape});
    for (auto& span : tensor.spans)
        if (count_of(span.best) == count_of(span.least)) span.best = span.most;
    plan.names.push_back(name);
    plan.tensors[name] = tensor;
}

std::unique_ptr<Plan> read_plan(std::string const& text) {
    std::istringstream lines(text);
    std::string line;
    if (!std::getline(lines, line) || line != "fake plan") return nullptr;
    auto plan = std::make_unique<Plan>();
    while (std::getline(lines, line)) {
        std::istringstream words(line);
        std::string word;
        words >> word;
        if (word == "in" || word == "out")
            read_tensor(words, word == "in", *plan);
        else if (word == "fails")
            words >> plan->runs;
        else
            plan->work = word;
    }
    return plan;
}

size_t bytes_of(DataType type) { return type == DataType::kUINT8 ? 1 : type == DataType::kHALF ? 2 : 4; }

// Where a run finds a tensor.
struct Bound {
    DataType type;
    void* data;
    size_t count;

    float at(size_t k) const {
        k %= count;
        if (type == DataType::kUINT8) return static_cast<uint8_t const*>(data)[k];
        return type == DataType::kHALF ? __half2float(static_cast<__half const*>(data)[k])
                                       : static_cast<float const*>(data)[k];
    }
    void put(size_t k, float value) const {
        if (type == DataType::kUINT8)
            static_cast<uint8_t*>(data)[k] = static_cast<uint8_t>(std::lrint(value));
        else if (type == DataType::kHALF)
            static_cast<__half*>(data)[k] = __float2half_rn(value);
        else
            static_cast<float*>(data)[k] = value;
    }
};

// `first` and later inputs are blended.
float blended(std::vector<Bound> const& inputs, size_t first, float scale, size_t k) {
    float const a = inputs[first].at(k) * scale, b = inputs[first + 1].at(k) * scale;
    return a + (b - a) * inputs.back().at(0);
}

void compute(std::string const& work, std::vector<Bound> const& inputs, Bound const& out) {
    for (size_t k = 0; k < out.count; ++k) {
        if (work == "blend") out.put(k, blended(inputs, 0, 1.0f, k));
        if (work == "mean") out.put(k, (inputs[0].at(k) + inputs[1].at(k)) * 0.5f);
        if (work == "encode") out.put(k, inputs[0].at(k) + inputs[0].at(k));
        if (work == "synthesis") out.put(k, blended(inputs, 2, 0.5f, k));
    }
}

class Context final : public IExecutionContext, private StandInVExecutionContext {
  public:
    explicit Context(Plan const& plan) : plan_(plan) {
        mImpl = this;
        ++counts["contexts"];
        for (auto const& [name, tensor] : plan.tensors) shapes_[name] = tensor.shape;
    }
    ~Context() noexcept override {
        --counts["contexts"];
        if (fake_cuda_get("pending") != 0) fake_cuda_fault("a context was destroyed while work was queued");
    }

  private:
    IExecutionContext* getPImpl() noexcept override { return this; }
    bool setOptimizationProfileAsync(int32_t profile, cudaStream_t) noexcept override {
        ++counts["profiles"];
        if (profile < 0 || profile >= plan_.profiles()) return false;
        profile_ = profile;
        for (auto const& [name, tensor] : plan_.tensors) shapes_[name] = tensor.shape;
        return true;
    }
    bool setInputShape(char const* name, Dims const& dims) noexcept override {
        Tensor const& tensor = plan_.tensors.at(name);
        Tensor::Span const& span = tensor.span(profile_);
        bool fits = dims.nbDims == tensor.shape.nbDims;
        for (int32_t axis = 0; fits && axis < dims.nbDims; ++axis)
            fits = span.least.d[axis] <= dims.d[axis] && dims.d[axis] <= span.most.d[axis];
        if (fits)
            shapes_[name] = dims;
        else
            say(ILogger::Severity::kERROR, "the shape is out of range");
        return fits;
    }
    // Of an output: what is open is as in the first input.
    Dims getTensorShape(char const* name) const noexcept override {
        Dims shape = shapes_.at(name);
        Dims const& first = shapes_.at(plan_.names[0]);
        for (int32_t axis = 0; axis < shape.nbDims; ++axis)
            if (shape.d[axis] == -1 && axis < first.nbDims) shape.d[axis] = first.d[axis];
        return shape;
    }
    bool setTensorAddress(char const* name, void* data) noexcept override {
        addresses_[name] = data;
        return fake_cuda_on_device(data, 1);
    }
    bool enqueueV3(cudaStream_t stream) noexcept override {
        ++counts["enqueues"];
        if (plan_.runs >= 0 && runs_++ >= plan_.runs) {
            say(ILogger::Severity::kERROR, "a layer gave up\nmore");
            return false;
        }
        std::vector<Bound> inputs, outputs;
        for (auto const& name : plan_.names) {
            Tensor const& tensor = plan_.tensors.at(name);
            Bound const bound{tensor.type, addresses_[name], count_of(getTensorShape(name.c_str()))};
            if (!fake_cuda_on_device(bound.data, bound.count * bytes_of(bound.type)))
                fake_cuda_fault("an engine ran on memory that is none, or too little");
            (tensor.is_input ? inputs : outputs).push_back(bound);
        }
        fake_cuda_enqueue(stream, [work = plan_.work, inputs, outputs] {
            for (Bound const& out : outputs) compute(work, inputs, out);
        });
        return true;
    }

    Plan const& plan_;
    std::map<std::string, Dims> shapes_;
    std::map<std::string, void*> addresses_;
    int32_t profile_ = 0;
    long runs_ = 0;
};

#ifdef TRT_MAJOR_RTX
#include "fake_runtime_cache.h"
#endif

class Engine final : public ICudaEngine, private StandInVCudaEngine {
  public:
    explicit Engine(std::unique_ptr<Plan> plan) : plan_(std::move(plan)) {
        mImpl = this;
        ++counts["engines"];
    }
    ~Engine() noexcept override { --counts["engines"]; }

  private:
    ICudaEngine* getPImpl() noexcept override { return this; }
    int32_t getNbIOTensors() const noexcept override { return static_cast<int32_t>(plan_->names.size()); }
    char const* getIOTensorName(int32_t index) const noexcept override {
        return plan_->names[static_cast<size_t>(index)].c_str();
    }
    TensorIOMode getTensorIOMode(char const* name) const noexcept override {
        return plan_->tensors.at(name).is_input ? TensorIOMode::kINPUT : TensorIOMode::kOUTPUT;
    }
    Dims getTensorShape(char const* name) const noexcept override { return plan_->tensors.at(name).shape; }
    DataType getTensorDataType(char const* name) const noexcept override { return plan_->tensors.at(name).type; }
    int32_t getNbOptimizationProfiles() const noexcept override { return plan_->profiles(); }
    Dims getProfileShape(char const* name, int32_t profile, OptProfileSelector select) const noexcept override {
        if (profile < 0 || profile >= plan_->profiles()) fake_cuda_fault("a profile that is not there");
        Tensor::Span const& span = plan_->tensors.at(name).span(profile);
        return select == OptProfileSelector::kMIN   ? span.least
               : select == OptProfileSelector::kOPT ? span.best
                                                    : span.most;
    }
    IExecutionContext* createExecutionContext(ExecutionContextAllocationStrategy) noexcept override {
        return new Context(*plan_);
    }
#ifdef TRT_MAJOR_RTX
    IRuntimeConfig* createRuntimeConfig() noexcept override { return new Config; }
    IExecutionContext* createExecutionContextWithRuntimeConfig(IRuntimeConfig* config) noexcept override {
        static_cast<Config*>(config)->check();
        return new Context(*plan_);
    }
#endif

    std::unique_ptr<Plan> plan_;
};

class Runtime final : public IRuntime, private StandInVRuntime {
  public:
    Runtime() {
        mImpl = this;
        ++counts["runtimes"];
    }
    ~Runtime() noexcept override { --counts["runtimes"]; }

  private:
    IRuntime* getPImpl() noexcept override { return this; }
    ICudaEngine* deserializeCudaEngine(void const* blob, std::size_t size) noexcept override {
        say(ILogger::Severity::kVERBOSE, "a plan comes");
        auto plan = read_plan({static_cast<char const*>(blob), size});
        if (plan == nullptr) say(ILogger::Severity::kERROR, "the plan is not for this GPU\nmore");
        return plan == nullptr ? nullptr : new Engine(std::move(plan));
    }
};

class Registry final : public StandInIPluginRegistry {
  public:
    IPluginCreatorInterface* const* getAllCreators(int32_t* count) const noexcept override {
        *count = static_cast<int32_t>(creators_.size());
        return creators_.data();
    }
    PluginLibraryHandle loadLibrary(AsciiChar const* path) noexcept override {
        using GetCreators = IPluginCreatorInterface* const* (*)(int32_t&);
        ++counts["libraries"];
        void* const library = dlopen(path, RTLD_NOW);
        if (library == nullptr || settings["refuse_plugins"] != 0) return library;
        int32_t count = 0;
        auto const* const creators = reinterpret_cast<GetCreators>(dlsym(library, "getCreators"))(count);
        creators_.insert(creators_.end(), creators, creators + count);
        return library;
    }
    void forget() { creators_.clear(); }

  private:
    std::vector<IPluginCreatorInterface*> creators_;
};

Registry registry;

}  // namespace

extern "C" {

// Settings: "version", "refuse_plugins", "no_runtime". Counts: "contexts", "engines", "runtimes" (that are there),
// "enqueues", "libraries", "profiles" (changes of the profile), "kernels" (that were handed over), since the reset.
void fake_nvinfer_set(char const* name, long value) { settings[name] = value; }
long fake_nvinfer_get(char const* name) { return counts[name]; }
void fake_nvinfer_reset() {
    settings = {{"version", NV_TENSORRT_VERSION}};
    counts["enqueues"] = counts["libraries"] = counts["profiles"] = counts["kernels"] = 0;
    registry.forget();
}

int32_t getInferLibVersion() noexcept { return static_cast<int32_t>(settings["version"]); }

void* createInferRuntime_INTERNAL(void* logger, int32_t version) noexcept {
    if (first_logger == nullptr) first_logger = static_cast<ILogger*>(logger);
    if (version != NV_TENSORRT_VERSION || settings["no_runtime"] != 0) return nullptr;
    return static_cast<IRuntime*>(new Runtime);
}

nvinfer1::IPluginRegistry* getPluginRegistry() noexcept { return &registry; }
}
