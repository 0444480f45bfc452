// The part of an interpolator that opens a network and allocates memory for a format.
#include <algorithm>
#include <cstring>

#include "convert.h"
#include "interpolator.h"
#include "report.h"

namespace tweenrt::native {
namespace {

constexpr int32_t kLargestSide = 32768;
constexpr int32_t kMostSlots = 64, kMostIterations = 16, kMostLevels = 10;

Fault invalid(std::string const& text) { return Fault(TWEENRT_STATUS_INVALID_ARGUMENT, text); }

void expect_range(int32_t value, int32_t least, int32_t most, char const* what) {
    if (value < least || value > most)
        throw invalid(std::string("expected ") + what + " in " + std::to_string(least) + ".." + std::to_string(most) +
                      ", got " + std::to_string(value));
}

void check(tweenrt_params const& params) {
    if (params.graph == nullptr || params.graph[0] == '\0')
        throw invalid("expected params.graph to name an ONNX file, an engine or a folder, got none");
    expect_range(params.backend, TWEENRT_BACKEND_AUTO, TWEENRT_BACKEND_TENSORRT_RTX, "params.backend");
    expect_range(params.threads, 0, 1024, "params.threads");
    expect_range(params.gpu, 0, 1024, "params.gpu");
    if (params.slots != 0) expect_range(params.slots, 2, kMostSlots, "params.slots");
    expect_range(params.iterations, 1, kMostIterations, "params.iterations");
    expect_range(params.midpoint_levels, 1, kMostLevels, "params.midpoint_levels");
}

void check(tweenrt_format const& format) {
    expect_range(format.width, 1, kLargestSide, "format.width");
    expect_range(format.height, 1, kLargestSide, "format.height");
    expect_range(format.pixels, TWEENRT_PIXELS_RGB8, TWEENRT_PIXELS_NV12, "format.pixels");
    if (format.pixels != TWEENRT_PIXELS_NV12) return;
    expect_range(format.matrix, TWEENRT_MATRIX_BT601, TWEENRT_MATRIX_BT2020, "format.matrix");
    expect_range(format.range, TWEENRT_RANGE_LIMITED, TWEENRT_RANGE_FULL, "format.range");
}

std::string size_text(int64_t height, int64_t width) { return std::to_string(height) + "x" + std::to_string(width); }

Geometry geometry_of(Contract const& contract, Element element, tweenrt_format const& format) {
    Geometry geometry{format, element, format.height, format.width, 0, 0, contract.padding.fill};
    if (contract.io == FrameIo::kUint8) return geometry;  // the graph pads by itself
    auto const [top, bottom] = contract.padding.amounts(format.height, contract.divisor);
    auto const [left, right] = contract.padding.amounts(format.width, contract.divisor);
    if (contract.padding.fill == Fill::kReflect &&
        (std::max(top, bottom) >= format.height || std::max(left, right) >= format.width))
        throw Fault(TWEENRT_STATUS_UNSUPPORTED, "frames of " + size_text(format.height, format.width) +
                                                    " are too small for this network, which mirrors the border out to "
                                                    "a multiple of " +
                                                    std::to_string(contract.divisor) +
                                                    "; scale the video up or choose another model");
    geometry.padded_height = top + format.height + bottom;
    geometry.padded_width = left + format.width + right;
    geometry.top = top;
    geometry.left = left;
    return geometry;
}

Shape frame_shape(Geometry const& g) {
    if (g.element == Element::kUint8) return {4, {1, g.format.height, g.format.width, 3}};
    return {4, {1, 3, g.padded_height, g.padded_width}};
}

bool same(Shape const& a, Shape const& b) { return a.rank == b.rank && std::equal(a.sizes, a.sizes + a.rank, b.sizes); }

// Refuses frames of a size that the graph was not exported for.
void check_size(Graph const& graph, Port const& frame, Geometry const& g) {
    if (frame.shape.rank != 4) return;
    int const rows = g.element == Element::kUint8 ? 1 : 2;
    int64_t const height = frame.shape.sizes[rows], width = frame.shape.sizes[rows + 1];
    if ((height < 0 || height == g.padded_height) && (width < 0 || width == g.padded_width)) return;
    throw Fault(TWEENRT_STATUS_UNSUPPORTED, graph.path + ": made for frames of " + size_text(height, width) +
                                                " pixels, got " + size_text(g.format.height, g.format.width) +
                                                " (padded " + size_text(g.padded_height, g.padded_width) +
                                                "); export it with --size " +
                                                size_text(g.padded_height, g.padded_width) + " or --dynamic");
}

}  // namespace

Interpolator::Interpolator(tweenrt_params const& params) : options_((check(params), params)) {
    std::vector<NetworkFile> const files = find_network(options_.graph);
    module_.emplace(backend_for(files, params.backend), options_);
    network_.emplace(files, module_->backend());
    if (network_->first != nullptr) first_.emplace(*network_->first, nullptr);
    drawing_.emplace(network_->drawing, network_->first.get());
    std::string const& path = network_->drawing.path;
    Port const result = Network::port(drawing_->outputs(), "frame_t", path);
    if (Network::port(drawing_->inputs(), "frame0", path).element != result.element)
        throw Fault(TWEENRT_STATUS_UNSUPPORTED, path + ": frame0 and frame_t differ in their type");
    element_ = result.element;
    while (std::strcmp(drawing_->outputs()[frame_output_].name, "frame_t") != 0) ++frame_output_;
    stats_.struct_size = sizeof stats_;
    slots_.resize(params.slots != 0 ? params.slots : contract().frames);
    log(TWEENRT_LOG_INFO, options_.graph + ": " + contract().model + " on " + module_->backend().name() + " " +
                              module_->backend().version());
}

Interpolator::~Interpolator() {
    Report report;
    module_->backend().synchronize(report);
}

void Interpolator::set_format(tweenrt_format const& format) {
    check(format);
    synchronize();
    free_memory();
    try {
        plan(format);
    } catch (...) {
        free_memory();
        throw;
    }
}

void Interpolator::free_memory() {
    geometry_.reset();
    for (Slot& slot : slots_) slot = Slot{};
    midpoints_.clear();
    shared_.clear();
    extras_.clear();
    for (uint64_t& serial : shared_from_) serial = 0;
    for (TensorPtr& result : results_) result.reset();
    time_.reset();
    reference_time_.reset();
    stats_.tensor_bytes = 0;
}

void Interpolator::plan(tweenrt_format const& format) {
    Geometry const geometry = geometry_of(contract(), element_, format);
    check_size(network_->drawing, Network::port(drawing_->inputs(), "frame0", network_->drawing.path), geometry);
    Report report;
    expect(module_->backend().set_geometry(geometry, report), report);
    if (first_) plan_first(geometry);
    for (Slot& slot : slots_) make_slot(slot, geometry);
    if (midpoints_only()) midpoints_.resize(options_.values.midpoint_levels - 1);
    for (Slot& slot : midpoints_) make_slot(slot, geometry);
    plan_drawing(geometry);
    geometry_ = geometry;
    log(TWEENRT_LOG_INFO, "frames of " + size_text(format.height, format.width) + ", padded " +
                              size_text(geometry.padded_height, geometry.padded_width) + ": " +
                              std::to_string(stats_.tensor_bytes) + " bytes");
}

void Interpolator::plan_first(Geometry const& geometry) {
    std::vector<Shape> shapes;
    for (size_t i = 0; i < first_->inputs().size(); ++i)
        shapes.push_back(shape_of(first_->inputs()[i], first_->feeds()[i], geometry));
    Report report;
    Session& session = *first_->graph().session;
    expect(session.set_shapes(shapes.data(), report), report);
    if (!shares_features()) return;
    for (size_t i = 0; i < first_->outputs().size(); ++i) {
        shared_.push_back(make(first_->outputs()[i].element, session.output_shape(static_cast<int32_t>(i))));
        first_->set_output(i, shared_.back().get());
    }
}

void Interpolator::make_slot(Slot& slot, Geometry const& geometry) {
    slot.frame = make(element_, frame_shape(geometry));
    if (!first_ || shares_features()) return;
    for (size_t i = 0; i < first_->outputs().size(); ++i)
        slot.features.push_back(
            make(first_->outputs()[i].element, first_->graph().session->output_shape(static_cast<int32_t>(i))));
}

void Interpolator::plan_drawing(Geometry const& geometry) {
    std::vector<Shape> shapes;
    for (size_t i = 0; i < drawing_->inputs().size(); ++i) {
        Port const& port = drawing_->inputs()[i];
        Feed const& feed = drawing_->feeds()[i];
        shapes.push_back(shape_of(port, feed, geometry));
        if (feed.role == Role::kTime) time_ = make(port.element, shapes.back());
        if (feed.role == Role::kReferenceTime) reference_time_ = make(port.element, shapes.back());
    }
    Report report;
    Session& session = *drawing_->graph().session;
    expect(session.set_shapes(shapes.data(), report), report);
    for (size_t i = 0; i < drawing_->outputs().size(); ++i) {
        if (i == frame_output_) continue;
        extras_.push_back(make(drawing_->outputs()[i].element, session.output_shape(static_cast<int32_t>(i))));
        drawing_->set_output(i, extras_.back().get());
    }
    if (!same(session.output_shape(static_cast<int32_t>(frame_output_)), frame_shape(geometry)))
        throw Fault(TWEENRT_STATUS_UNSUPPORTED,
                    network_->drawing.path + ": frame_t has another size than the frames it is drawn from");
    results_[0] = make(element_, frame_shape(geometry));
    if (drawing_->takes(Role::kReference)) results_[1] = make(element_, frame_shape(geometry));
}

Shape Interpolator::shape_of(Port const& port, Feed const& feed, Geometry const& g) const {
    bool const map = contract().time == TimeInput::kMap;
    switch (feed.role) {
        case Role::kFrame:
        case Role::kReference:
            return frame_shape(g);
        case Role::kTime:
        case Role::kReferenceTime:
            return map ? Shape{4, {1, 1, g.padded_height, g.padded_width}} : Shape{4, {1, 1, 1, 1}};
        case Role::kFeature:
        case Role::kShared:
            break;
    }
    if (first_->outputs()[feed.index].element != port.element)
        throw Fault(TWEENRT_STATUS_WRONG_KIND,
                    network_->drawing.path + ": its input " + port.name +
                        " has another type than the graph before it gives; export both together");
    return first_->graph().session->output_shape(feed.index);
}

TensorPtr Interpolator::make(Element element, Shape const& shape) {
    Tensor* tensor = nullptr;
    Report report;
    expect(module_->backend().make_tensor(element, shape, &tensor, report), report);
    stats_.tensor_bytes += tensor->bytes;
    return TensorPtr(tensor);
}

tweenrt_info Interpolator::info() const {
    Backend& backend = module_->backend();
    tweenrt_info info{};
    info.struct_size = sizeof info;
    info.model = contract().model.c_str();
    info.precision = contract().precision.c_str();
    info.backend = backend.name();
    info.backend_version = backend.version();
    info.time = midpoints_only() ? TWEENRT_TIME_MIDPOINT : TWEENRT_TIME_ANY;
    info.frames = contract().frames;
    info.slots = static_cast<int32_t>(slots_.size());
    info.reuses_features = first_.has_value();
    info.takes_device = backend.takes_device_frames();
    info.divisor = contract().divisor;
    return info;
}

void Interpolator::log(tweenrt_log_level level, std::string const& text) const {
    if (options_.values.log != nullptr) options_.values.log(options_.values.log_user, level, text.c_str());
}

}  // namespace tweenrt::native
