#include "session.h"

namespace tweenrt::native {
namespace {

using nvinfer1::Dims;
using nvinfer1::TensorIOMode;

Dims dims_of(Shape const& shape) {
    Dims dims{};
    dims.nbDims = shape.rank;
    for (int32_t axis = 0; axis < shape.rank; ++axis) dims.d[axis] = shape.sizes[axis];
    return dims;
}

Element element_of(nvinfer1::DataType type, std::string const& name, std::string const& path) {
    switch (type) {
        case nvinfer1::DataType::kFLOAT:
            return Element::kFloat;
        case nvinfer1::DataType::kHALF:
            return Element::kHalf;
        case nvinfer1::DataType::kUINT8:
            return Element::kUint8;
        default:
            throw Fault(TWEENRT_STATUS_UNSUPPORTED, path + ": expected floats, halves or bytes in " + name +
                                                        ", it has TensorRT's type " +
                                                        std::to_string(static_cast<int32_t>(type)));
    }
}

}  // namespace

EngineSession::EngineSession(Source const& source, char const* plugin_library, Library& library, Lane& lane, Log& log)
    : path_(source.path), library_(library), lane_(lane), log_(log) {
    Listening const listening(log);
    engine_ = load_engine(source, plugin_library, library, lane, log);
    context_ = std::make_unique<Context>(*engine_, source.engine->file_sha256);
    if (context_->get() == nullptr)
        throw Fault(TWEENRT_STATUS_BACKEND_FAILED, path_ + ": " + library.title() + " cannot load it: " + log.error());
    add_ports(TensorIOMode::kINPUT);
    inputs_ = static_cast<int32_t>(ports_.size());
    add_ports(TensorIOMode::kOUTPUT);
    addresses_.resize(ports_.size());
    graphs_ = std::make_unique<Graphs>(lane, ports_.size());
}

// Nothing of TensorRT's may go while it works.
EngineSession::~EngineSession() {
    Report ignored;
    lane_.call(ignored, [&] { lane_.synchronize(); });
    lane_.call(ignored, [&] {
        Listening const listening(log_);
        graphs_.reset();
        context_.reset();
        engine_.reset();
    });
}

void EngineSession::add_ports(TensorIOMode mode) {
    for (int32_t k = 0; k < engine_->getNbIOTensors(); ++k) {
        char const* const name = engine_->getIOTensorName(k);
        if (engine_->getTensorIOMode(name) != mode) continue;
        Shape const shape = shape_of(engine_->getTensorShape(name));
        ports_.push_back({name, element_of(engine_->getTensorDataType(name), name, path_), shape, shape});
    }
}

tweenrt_status EngineSession::set_shapes(Shape const* inputs, Report& report) noexcept {
    return lane_.call(report, [&] {
        Listening const listening(log_);
        graphs_->clear();  // they belong to the shapes that they were captured with
        set_profile(inputs);
        for (int32_t k = 0; k < inputs_; ++k) set_shape(ports_[k], inputs[k]);
        for (size_t k = inputs_; k < ports_.size(); ++k) {
            ports_[k].now = shape_of(context_->get()->getTensorShape(ports_[k].name.c_str()));
            if (is_open(ports_[k].now))
                throw Fault(TWEENRT_STATUS_UNSUPPORTED, path_ + ": the size of " + ports_[k].name + ", " +
                                                            text_of(ports_[k].now) +
                                                            ", does not follow from the sizes of the inputs");
        }
    });
}

// A context starts on the first profile. One context is enough, and takes the memory of one: frames of a handle have
// one size at a time, and the graphs of another size would not be valid any more in any case.
void EngineSession::set_profile(Shape const* inputs) {
    std::vector<Wanted> wanted;
    for (int32_t k = 0; k < inputs_; ++k) wanted.push_back({ports_[k].name.c_str(), &inputs[k]});
    int32_t const profile = profile_for(*engine_, wanted.data(), inputs_);
    if (profile < 0) {
        int32_t k = 0;
        while (k + 1 < inputs_ && is_taken(*engine_, wanted[k])) ++k;
        refuse(ports_[k], inputs[k]);
    }
    if (profile == profile_) return;
    if (!context_->get()->setOptimizationProfileAsync(profile, lane_.stream()))
        throw Fault(TWEENRT_STATUS_BACKEND_FAILED, path_ + ": " + library_.title() + " does not take the profile " +
                                                       std::to_string(profile) + ": " + log_.error());
    profile_ = profile;
}

void EngineSession::set_shape(Named& input, Shape const& shape) {
    if (!context_->get()->setInputShape(input.name.c_str(), dims_of(shape))) refuse(input, shape);
    input.now = shape;
}

void EngineSession::refuse(Named const& input, Shape const& shape) const {
    throw Fault(TWEENRT_STATUS_UNSUPPORTED, path_ + ": not built for " + input.name + " of " + text_of(shape) +
                                                ", only for " + ranges(*engine_, input.name.c_str()) +
                                                "; build an engine for this size");
}

tweenrt_status EngineSession::run(Tensor* const* inputs, Tensor* const* outputs, Report& report) noexcept {
    return lane_.call(report, [&] {
        for (size_t k = 0; k < ports_.size(); ++k) {
            bool const in = k < static_cast<size_t>(inputs_);
            addresses_[k] = in ? inputs[k]->data : outputs[k - inputs_]->data;
        }
        bool const again = graphs_->note(addresses_);
        if (graphs_->graph() == nullptr) bind();
        if (graphs_->graph() == nullptr && again && captures_) capture();
        if (graphs_->graph() == nullptr)
            enqueue();
        else
            check(cudaGraphLaunch(graphs_->graph(), lane_.stream()), "cudaGraphLaunch");
    });
}

void EngineSession::bind() {
    for (size_t k = 0; k < ports_.size(); ++k)
        if (!context_->get()->setTensorAddress(ports_[k].name.c_str(), addresses_[k]))
            throw Fault(TWEENRT_STATUS_BACKEND_FAILED,
                        path_ + ": " + library_.title() + " does not take an address for " + ports_[k].name);
}

void EngineSession::capture() {
    try {
        graphs_->keep(captured(lane_, [&] { enqueue(); }));
    } catch (Fault const& fault) {
        captures_ = false;
        log_.say(TWEENRT_LOG_WARNING, (path_ + ": runs are not captured as CUDA graphs: " + fault.what()).c_str());
    }
}

void EngineSession::enqueue() {
    Listening const listening(log_);
    if (!context_->get()->enqueueV3(lane_.stream()))
        throw Fault(TWEENRT_STATUS_BACKEND_FAILED, path_ + ": " + library_.title() + " failed: " + log_.error());
}

}  // namespace tweenrt::native
