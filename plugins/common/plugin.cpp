#include "plugin.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <new>
#include <utility>

#include "log.h"

namespace tweenrt {
namespace {

using nvinfer1::DataType;
using nvinfer1::DimsExprs;
using nvinfer1::DynamicPluginTensorDesc;
using nvinfer1::IExprBuilder;
using nvinfer1::PluginField;
using nvinfer1::PluginFieldCollection;
using nvinfer1::PluginFieldType;
using nvinfer1::PluginTensorDesc;
using nvinfer1::TensorFormat;

DataType type_of(Format format) {
    switch (format) {
        case Format::kFloat: return DataType::kFLOAT;
        case Format::kInt32: return DataType::kINT32;
        default: return DataType::kHALF;
    }
}

TensorFormat layout_of(Format format) {
    return format == Format::kHalfHwc8 ? TensorFormat::kHWC8 : TensorFormat::kLINEAR;
}

bool is(PluginTensorDesc const& tensor, Format format) {
    return tensor.type == type_of(format) && tensor.format == layout_of(format);
}

char const* name_of(DataType type) {
    switch (type) {
        case DataType::kFLOAT: return "float32";
        case DataType::kHALF: return "float16";
        case DataType::kBF16: return "bfloat16";
        case DataType::kINT8: return "int8";
        case DataType::kINT32: return "int32";
        case DataType::kINT64: return "int64";
        case DataType::kBOOL: return "bool";
        case DataType::kUINT8: return "uint8";
        default: return "another type";
    }
}

std::string text_of(Dims const& dims) {
    std::string out = "[";
    for (auto const size : dims) out += (out.size() > 1 ? "," : "") + (size < 0 ? "?" : std::to_string(size));
    return out + "]";
}

std::string text_of(Tensor const& tensor) {
    std::string out = "[";
    for (size_t axis = 0; tensor.shape[axis]; ++axis) {
        std::string const letter(1, tensor.shape[axis]);
        out += axis == 0 ? "" : ",";
        out += tensor.counts_tiles(axis) ? "ceil(" + letter + "/" + std::to_string(tensor.tile) + ")" : letter;
    }
    return out + "]";
}

Dims dims_of(PluginTensorDesc const& tensor) { return {tensor.dims.d, tensor.dims.d + tensor.dims.nbDims}; }

Dims dims_of(DimsExprs const& dims) {
    Dims out;
    for (int i = 0; i < dims.nbDims; ++i)
        out.push_back(dims.d[i]->isConstant() ? dims.d[i]->getConstantValue() : kUnknown);
    return out;
}

// Gives every letter of `shape` its size in `dims`; says what does not fit.
std::string bind(Tensor const& tensor, Dims const& dims, Letters& letters) {
    if (!tensor.shape) return {};
    auto const wrong = [&] {
        return std::string(tensor.name) + " must be " + text_of(tensor) + ", got " + text_of(dims);
    };
    if (dims.size() != std::strlen(tensor.shape)) return wrong();
    for (size_t axis = 0; axis < dims.size(); ++axis) {
        char const letter = tensor.shape[axis];
        if (dims[axis] == kUnknown) continue;
        if (letter >= '0' && letter <= '9') {
            if (dims[axis] != letter - '0') return wrong();
            continue;
        }
        auto& known = letters.size[static_cast<unsigned char>(letter)];
        bool const tiled = tensor.counts_tiles(axis);
        if (known != kUnknown && dims[axis] != (tiled ? ceil_div(static_cast<int>(known), tensor.tile) : known))
            return wrong() + " where the inputs before it say " + letter + " = " + std::to_string(known);
        if (!tiled) known = dims[axis];
    }
    return {};
}

// The attributes of a node, from what the parser or a plan hands over; says what is wrong with them.
std::string read(Attribute const& attribute, PluginField const& field, int32_t& value) {
    std::string const name = attribute.name;
    if (field.type == PluginFieldType::kCHAR && attribute.words[0]) {
        std::string word(static_cast<char const*>(field.data), std::max(field.length, 0));
        word.resize(std::strlen(word.c_str()));  // some parsers count the terminating zero
        for (value = 0; value < static_cast<int32_t>(attribute.words.size()); ++value)
            if (word == attribute.words[value]) return {};
        return name + " must be \"" + attribute.words[0] + "\" or \"" + attribute.words[1] + "\", got \"" + word + "\"";
    }
    if (field.length != 1 || (field.type != PluginFieldType::kINT32 && field.type != PluginFieldType::kINT64))
        return name + " must be " + (attribute.words[0] ? "a word" : "one integer");
    int64_t number = 0;
    if (field.type == PluginFieldType::kINT64)
        std::memcpy(&number, field.data, sizeof number);
    else
        number = *static_cast<int32_t const*>(field.data);
    int64_t const most = attribute.words[0] ? attribute.words.size() - 1 : attribute.most;
    if (number < attribute.least || number > most)
        return name + " must lie in " + std::to_string(attribute.least) + ".." + std::to_string(most) + ", got " +
               std::to_string(number);
    value = static_cast<int32_t>(number);
    return {};
}

std::string read(std::vector<Attribute> const& attributes, PluginFieldCollection const* fields,
                 std::vector<int32_t>& values) {
    values.clear();
    for (auto const& attribute : attributes) {
        values.push_back(attribute.fallback);
        for (int32_t i = 0; fields && i < fields->nbFields; ++i) {
            auto const& field = fields->fields[i];
            if (!field.data || std::strcmp(field.name, attribute.name) != 0) continue;
            if (auto const wrong = read(attribute, field, values.back()); !wrong.empty()) return wrong;
        }
        if (values.back() == Attribute::kRequired) return std::string("the attribute ") + attribute.name + " is missing";
    }
    return {};
}

class Plugin final : public nvinfer1::IPluginV3,
                     public nvinfer1::IPluginV3OneCore,
                     public nvinfer1::IPluginV3OneBuild,
                     public nvinfer1::IPluginV3OneRuntime {
  public:
    Plugin(Description const& op, std::vector<int32_t> attributes) : op_{op}, attributes_{std::move(attributes)} {}
    Plugin(Plugin const& other) : Plugin(other.op_, other.attributes_) {}

    nvinfer1::IPluginCapability* getCapabilityInterface(nvinfer1::PluginCapabilityType type) noexcept override {
        switch (type) {
            case nvinfer1::PluginCapabilityType::kCORE: return static_cast<IPluginV3OneCore*>(this);
            case nvinfer1::PluginCapabilityType::kBUILD: return static_cast<IPluginV3OneBuild*>(this);
            case nvinfer1::PluginCapabilityType::kRUNTIME: return static_cast<IPluginV3OneRuntime*>(this);
        }
        return nullptr;
    }
    IPluginV3* clone() noexcept override { return new (std::nothrow) Plugin(*this); }
    IPluginV3* attachToContext(nvinfer1::IPluginResourceContext*) noexcept override { return clone(); }
    char const* getPluginName() const noexcept override { return op_.name; }
    char const* getPluginVersion() const noexcept override { return "1"; }
    char const* getPluginNamespace() const noexcept override { return ""; }
    int32_t getNbOutputs() const noexcept override { return static_cast<int32_t>(op_.outputs.size()); }

    int32_t getOutputDataTypes(DataType* out, int32_t, DataType const* in, int32_t inputs) const noexcept override {
        if (inputs != count(op_.inputs)) return fail(wrong_count(inputs));
        for (auto const& combination : op_.combinations) {
            auto const fits = [in, i = 0](Format format) mutable { return type_of(format) == in[i++]; };
            if (!std::all_of(combination.begin(), combination.begin() + inputs, fits)) continue;
            std::transform(combination.begin() + inputs, combination.end(), out, type_of);
            return 0;
        }
        return fail(wrong_types(in));
    }

    int32_t getOutputShapes(DimsExprs const* in, int32_t inputs, DimsExprs const*, int32_t, DimsExprs* out, int32_t,
                            IExprBuilder& expressions) noexcept override {
        if (inputs != count(op_.inputs)) return fail(wrong_count(inputs));
        std::vector<Dims> shapes;
        for (int32_t i = 0; i < inputs; ++i) shapes.push_back(dims_of(in[i]));
        Letters letters;
        if (auto const wrong = bind(shapes, letters); !wrong.empty()) return fail(wrong);
        for (auto const& output : op_.outputs) {
            out->nbDims = static_cast<int32_t>(std::strlen(output.shape));
            for (int32_t axis = 0; axis < out->nbDims; ++axis)
                out->d[axis] = expression(output, axis, in, letters, expressions);
            ++out;
        }
        return 0;
    }

    bool supportsFormatCombination(int32_t pos, DynamicPluginTensorDesc const* io, int32_t, int32_t) noexcept override {
        return std::any_of(op_.combinations.begin(), op_.combinations.end(), [=](auto const& combination) {
            for (int32_t i = 0; i <= pos; ++i)
                if (!is(io[i].desc, combination[i])) return false;
            return true;
        });
    }

    int32_t configurePlugin(DynamicPluginTensorDesc const* in, int32_t, DynamicPluginTensorDesc const*,
                            int32_t) noexcept override {
        std::vector<Dims> shapes;
        for (size_t i = 0; i < op_.inputs.size(); ++i) shapes.push_back(dims_of(in[i].desc));
        Letters letters;
        auto const wrong = bind(shapes, letters);
        return wrong.empty() ? 0 : fail(wrong);
    }

    size_t getWorkspaceSize(DynamicPluginTensorDesc const* in, int32_t inputs, DynamicPluginTensorDesc const* out,
                            int32_t outputs) const noexcept override {
        std::vector<PluginTensorDesc> at_most;
        for (auto const* tensors : {in, out})
            for (int32_t i = 0; i < (tensors == in ? inputs : outputs); ++i) {
                at_most.push_back(tensors[i].desc);
                at_most.back().dims = tensors[i].max;
            }
        Call call;
        describe_call(at_most.data(), at_most.data() + inputs, call);
        return op_.workspace(call);
    }

    int32_t onShapeChange(PluginTensorDesc const* in, int32_t, PluginTensorDesc const* out, int32_t) noexcept override {
        auto const wrong = describe_call(in, out, call_);
        return wrong.empty() ? 0 : fail(wrong);
    }

    int32_t enqueue(PluginTensorDesc const*, PluginTensorDesc const*, void const* const* inputs, void* const* outputs,
                    void* workspace, cudaStream_t stream) noexcept override {
        call_.inputs = inputs;
        call_.outputs = outputs;
        auto const error = op_.run(call_, workspace, stream);
        return error == cudaSuccess ? 0 : fail(cudaGetErrorString(error));
    }

    PluginFieldCollection const* getFieldsToSerialize() noexcept override {
        fields_.clear();
        for (size_t i = 0; i < attributes_.size(); ++i)
            fields_.emplace_back(op_.attributes[i].name, &attributes_[i], PluginFieldType::kINT32, 1);
        collection_ = {static_cast<int32_t>(fields_.size()), fields_.data()};
        return &collection_;
    }

  private:
    template <class Table>
    static int32_t count(Table const& table) {
        return static_cast<int32_t>(table.size());
    }

    int32_t fail(std::string const& what) const noexcept {
        log_error(std::string("tweenrt ") + op_.name + ": " + what);
        return -1;
    }

    std::string wrong_count(int32_t inputs) const {
        std::string names;
        for (auto const& input : op_.inputs) names += (names.empty() ? "" : ", ") + std::string(input.name);
        return "expected the inputs " + names + ", got " + std::to_string(inputs);
    }

    std::string wrong_types(DataType const* in) const {
        std::string got, known;
        for (size_t i = 0; i < op_.inputs.size(); ++i)
            got += (i ? ", " : "") + std::string(op_.inputs[i].name) + " " + name_of(in[i]);
        for (auto const& combination : op_.combinations) {
            std::string types;
            for (size_t i = 0; i < op_.inputs.size(); ++i)
                types += (i ? ", " : "(") + std::string(name_of(type_of(combination[i])));
            if (known.find(types) == std::string::npos) known += (known.empty() ? "" : " or ") + types + ")";
        }
        return "got " + got + "; it takes " + known + ". Cast the inputs in the graph";
    }

    std::string bind(std::vector<Dims> const& shapes, Letters& letters) const {
        for (size_t i = 0; i < shapes.size(); ++i)
            if (auto wrong = tweenrt::bind(op_.inputs[i], shapes[i], letters); !wrong.empty()) return wrong;
        return op_.check(attributes_.data(), letters, shapes);
    }

    nvinfer1::IDimensionExpr const* expression(Tensor const& output, int axis, DimsExprs const* in,
                                               Letters const& letters, IExprBuilder& expressions) const {
        auto const* const size = expression(output.shape[axis], in, letters, expressions);
        if (!output.counts_tiles(axis)) return size;
        int const tile = output.tile == kTileOfOp ? op_.tile(attributes_.data()) : output.tile;
        return expressions.operation(nvinfer1::DimensionOperation::kCEIL_DIV, *size, *expressions.constant(tile));
    }

    nvinfer1::IDimensionExpr const* expression(char letter, DimsExprs const* in, Letters const& letters,
                                               IExprBuilder& expressions) const {
        if (letter == '*') return expressions.constant(op_.channels(attributes_.data(), letters));
        if (letter >= '0' && letter <= '9') return expressions.constant(letter - '0');
        for (size_t i = 0; i < op_.inputs.size(); ++i)
            if (char const* at = op_.inputs[i].shape ? std::strchr(op_.inputs[i].shape, letter) : nullptr)
                return in[i].d[at - op_.inputs[i].shape];
        return nullptr;
    }

    std::string describe_call(PluginTensorDesc const* in, PluginTensorDesc const* out, Call& call) const {
        call = {};
        call.attributes = attributes_.data();
        for (size_t i = 0; i < op_.inputs.size(); ++i) call.shapes.push_back(dims_of(in[i]));
        auto const wrong = bind(call.shapes, call.letters);
        for (auto const& combination : op_.combinations) {
            auto const fits = [&, i = size_t{0}](Format format) mutable {
                auto const& tensor = i < op_.inputs.size() ? in[i] : out[i - op_.inputs.size()];
                return ++i, is(tensor, format);
            };
            if (std::all_of(combination.begin(), combination.end(), fits)) {
                call.formats = combination;
                return wrong;
            }
        }
        return wrong.empty() ? "no kernel for these types and layouts" : wrong;
    }

    Description const& op_;  // the creator's
    std::vector<int32_t> attributes_;
    Call call_{};
    std::vector<PluginField> fields_;
    PluginFieldCollection collection_{};
};

class Creator final : public nvinfer1::IPluginCreatorV3One {
  public:
    explicit Creator(Description description) : op_{std::move(description)} {
        for (auto const& attribute : op_.attributes)
            fields_.emplace_back(attribute.name, nullptr,
                                 attribute.words[0] ? PluginFieldType::kCHAR : PluginFieldType::kINT32, 1);
        collection_ = {static_cast<int32_t>(fields_.size()), fields_.data()};
    }
    char const* getPluginName() const noexcept override { return op_.name; }
    char const* getPluginVersion() const noexcept override { return "1"; }
    char const* getPluginNamespace() const noexcept override { return ""; }
    PluginFieldCollection const* getFieldNames() noexcept override { return &collection_; }
    nvinfer1::IPluginV3* createPlugin(char const* layer, PluginFieldCollection const* fields,
                                      nvinfer1::TensorRTPhase) noexcept override {
        std::vector<int32_t> values;
        auto const wrong = read(op_.attributes, fields, values);
        if (wrong.empty()) return new (std::nothrow) Plugin(op_, std::move(values));
        log_error(std::string("tweenrt ") + op_.name + " (node " + (layer ? layer : "?") + "): " + wrong);
        return nullptr;
    }

  private:
    Description op_;
    std::vector<PluginField> fields_;
    PluginFieldCollection collection_{};
};

}  // namespace

bool Tensor::counts_tiles(size_t axis) const { return tile != 1 && axis + 2 >= std::strlen(shape); }

bool Letters::known(char const* letters) const {
    for (; *letters; ++letters)
        if ((*this)[*letters] == kUnknown) return false;
    return true;
}

nvinfer1::IPluginCreatorInterface* make_creator(Description description) { return new Creator(std::move(description)); }

}  // namespace tweenrt
