#include "session.h"

#include <cctype>
#include <cstdlib>

namespace tweenrt::native {
namespace {

constexpr size_t kAlignment = 64;

ONNXTensorElementDataType type_of(Element element) {
    switch (element) {
        case Element::kUint8:
            return ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8;
        case Element::kHalf:
            return ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16;
        case Element::kFloat:
            break;
    }
    return ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT;
}

Element element_of(ONNXTensorElementDataType type, std::string const& where) {
    for (Element element : {Element::kUint8, Element::kHalf, Element::kFloat})
        if (type == type_of(element)) return element;
    throw Fault(TWEENRT_STATUS_UNSUPPORTED,
                where + ": expected elements of uint8, float16 or float32, got ONNX type " + std::to_string(type));
}

size_t bytes_of(Element element, Shape const& shape) {
    size_t bytes = element_bytes(element);
    for (int32_t i = 0; i < shape.rank; ++i) bytes *= static_cast<size_t>(shape.sizes[i]);
    return bytes;
}

}  // namespace

OnnxTensor::OnnxTensor(OnnxRuntime const& library, OrtMemoryInfo const* memory, Element kind, Shape const& extent)
    : value_(nullptr, {library.operator->()}) {
    element = kind;
    shape = extent;
    bytes = bytes_of(kind, extent);
    memory_.reset(std::aligned_alloc(kAlignment, (bytes + kAlignment) / kAlignment * kAlignment));
    if (memory_ == nullptr) throw std::bad_alloc();
    data = memory_.get();
    OrtValue* value = nullptr;
    library.check(
        library->CreateTensorWithDataAsOrtValue(memory, data, bytes, shape.sizes, shape.rank, type_of(kind), &value),
        "a tensor of " + std::to_string(bytes) + " bytes");
    value_.reset(value);
}

void OnnxTensor::Free::operator()(void* data) const { std::free(data); }

OnnxSession::OnnxSession(OnnxRuntime const& library, SessionPtr session, std::string path)
    : library_(library), session_(std::move(session)), path_(std::move(path)) {
    inputs_ = ports(true);
    outputs_ = ports(false);
    for (NamedPort const& port : inputs_) input_names_.push_back(port.name.c_str());
    for (NamedPort const& port : outputs_) output_names_.push_back(port.name.c_str());
    from_.resize(inputs_.size());
    to_.resize(outputs_.size());
    output_shapes_.resize(outputs_.size());
    read_metadata();
}

char const* OnnxSession::metadata(char const* key) const noexcept {
    auto const found = metadata_.find(key);
    return found == metadata_.end() ? nullptr : found->second.c_str();
}

tweenrt_status OnnxSession::set_shapes(Shape const* inputs, Report& report) noexcept {
    return guarded(report, [&] {
        Letters const letters = letters_of(inputs);
        for (size_t i = 0; i < outputs_.size(); ++i) {
            NamedPort const& port = outputs_[i];
            Shape shape = port.shape;
            for (int32_t axis = 0; axis < shape.rank; ++axis)
                if (shape.sizes[axis] < 0) shape.sizes[axis] = size_of(port.sizes[axis], letters);
            for (int32_t axis = 0; axis < shape.rank; ++axis)
                if (shape.sizes[axis] < 0)
                    throw Fault(TWEENRT_STATUS_UNSUPPORTED,
                                path_ + ": the size of its output " + port.name + " along axis " +
                                    std::to_string(axis) + " ('" + port.sizes[axis] +
                                    "') does not follow from its inputs; export it with --size");
            output_shapes_[i] = shape;
        }
    });
}

tweenrt_status OnnxSession::run(Tensor* const* inputs, Tensor* const* outputs, Report& report) noexcept {
    for (size_t i = 0; i < from_.size(); ++i) from_[i] = static_cast<OnnxTensor*>(inputs[i])->value();
    for (size_t i = 0; i < to_.size(); ++i) to_[i] = static_cast<OnnxTensor*>(outputs[i])->value();
    OrtStatus* const status = library_->Run(session_.get(), nullptr, input_names_.data(), from_.data(), from_.size(),
                                            output_names_.data(), to_.size(), to_.data());
    if (status == nullptr) return TWEENRT_STATUS_OK;
    return guarded(report, [&] { library_.check(status, path_); });
}

std::vector<NamedPort> OnnxSession::ports(bool input) {
    size_t count = 0;
    library_.check(input ? library_->SessionGetInputCount(session_.get(), &count)
                         : library_->SessionGetOutputCount(session_.get(), &count),
                   path_);
    std::vector<NamedPort> found;
    for (size_t i = 0; i < count; ++i) found.push_back(described(input, i));
    return found;
}

NamedPort OnnxSession::described(bool input, size_t index) {
    NamedPort port;
    OrtAllocator* allocator = nullptr;
    library_.check(library_->GetAllocatorWithDefaultOptions(&allocator), path_);
    char* name = nullptr;
    library_.check(input ? library_->SessionGetInputName(session_.get(), index, allocator, &name)
                         : library_->SessionGetOutputName(session_.get(), index, allocator, &name),
                   path_);
    port.name = name;
    allocator->Free(allocator, name);
    OrtTypeInfo* type = nullptr;
    library_.check(input ? library_->SessionGetInputTypeInfo(session_.get(), index, &type)
                         : library_->SessionGetOutputTypeInfo(session_.get(), index, &type),
                   path_);
    TypeInfoPtr const owned(type, {library_.operator->()});
    OrtTensorTypeAndShapeInfo const* tensor = nullptr;
    library_.check(library_->CastTypeInfoToTensorInfo(type, &tensor), path_);
    std::string const where = path_ + ": " + port.name;
    if (tensor == nullptr) throw Fault(TWEENRT_STATUS_UNSUPPORTED, where + ": expected a tensor");
    ONNXTensorElementDataType element = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
    library_.check(library_->GetTensorElementType(tensor, &element), where);
    port.element = element_of(element, where);
    size_t rank = 0;
    library_.check(library_->GetDimensionsCount(tensor, &rank), where);
    if (rank > kMostDimensions)
        throw Fault(TWEENRT_STATUS_UNSUPPORTED, where + ": it has " + std::to_string(rank) + " axes");
    port.shape.rank = static_cast<int32_t>(rank);
    library_.check(library_->GetDimensions(tensor, port.shape.sizes, rank), where);
    char const* names[kMostDimensions] = {};
    library_.check(library_->GetSymbolicDimensions(tensor, names, rank), where);
    for (size_t axis = 0; axis < rank; ++axis) port.sizes.emplace_back(names[axis] == nullptr ? "" : names[axis]);
    return port;
}

void OnnxSession::read_metadata() {
    OrtModelMetadata* found = nullptr;
    library_.check(library_->SessionGetModelMetadata(session_.get(), &found), path_);
    ModelMetadataPtr const owned(found, {library_.operator->()});
    OrtAllocator* allocator = nullptr;
    library_.check(library_->GetAllocatorWithDefaultOptions(&allocator), path_);
    char** keys = nullptr;
    int64_t count = 0;
    library_.check(library_->ModelMetadataGetCustomMetadataMapKeys(found, allocator, &keys, &count), path_);
    for (int64_t i = 0; i < count; ++i) {
        char* value = nullptr;
        library_.check(library_->ModelMetadataLookupCustomMetadataMap(found, allocator, keys[i], &value), path_);
        metadata_[keys[i]] = value == nullptr ? "" : value;
        if (value != nullptr) allocator->Free(allocator, value);
        allocator->Free(allocator, keys[i]);
    }
    if (keys != nullptr) allocator->Free(allocator, keys);
}

Letters OnnxSession::letters_of(Shape const* inputs) const {
    Letters letters;
    for (size_t i = 0; i < inputs_.size(); ++i) {
        NamedPort const& port = inputs_[i];
        bool fits = inputs[i].rank == port.shape.rank;
        for (int32_t axis = 0; fits && axis < port.shape.rank; ++axis) {
            int64_t const wanted = port.shape.sizes[axis], got = inputs[i].sizes[axis];
            fits = wanted < 0 || wanted == got;
            if (wanted < 0) letters.emplace(port.sizes[axis], got);
        }
        if (!fits)
            throw Fault(TWEENRT_STATUS_UNSUPPORTED, path_ + ": its input " + port.name +
                                                        " does not take frames of this size; export it with "
                                                        "another --size, or with --dynamic");
    }
    return letters;
}

int64_t size_of(std::string const& text, Letters const& letters) {
    size_t end = 0;
    while (end < text.size() && std::isupper(static_cast<unsigned char>(text[end]))) ++end;
    auto const found = letters.find(text.substr(0, end));
    if (end == 0 || found == letters.end()) return -1;
    int64_t size = found->second;
    int64_t divisor = 1;
    while (end < text.size()) {
        char const sign = text[end];
        size_t const start = ++end;
        while (end < text.size() && std::isdigit(static_cast<unsigned char>(text[end]))) ++end;
        if (end == start || end - start > 6 || (sign != '*' && sign != '/')) return -1;
        int64_t const number = std::stoll(text.substr(start, end - start));
        (sign == '*' ? size : divisor) *= number;
    }
    return divisor > 0 && size % divisor == 0 ? size / divisor : -1;
}

}  // namespace tweenrt::native
