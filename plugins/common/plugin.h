// A TensorRT plugin from a short description of an op. Everything that TensorRT wants to know of a plugin is worked out
// here from tables that the op gives; see BackwardWarp in ../backward_warp/plugin.cpp for one.
//
// An op is a struct with
//     kName                   op type of the ONNX node; domain `tweenrt`, version 1
//     kInputs, kOutputs       arrays of Tensor: name, and shape in letters (see Tensor)
//     kAttributes             array of Attribute, may be empty (std::array<Attribute, 0>)
//     kCombinations           array of std::array<Format, inputs + outputs>, best first: all formats it can run with
//     channels(attributes, letters)   the size that '*' stands for in the shape of an output (if one has it)
//     tile(attributes)        side of the tiles that an output with kTileOfOp counts (if one has it)
//     check(attributes, letters)      what the letters cannot say of the shapes: empty, or what is wrong
//     workspace(call)         bytes
//     run(call, workspace, stream)    queues the kernels
// and a line TWEENRT_PLUGIN(Op) at the end of its plugin.cpp.
//
// Only TensorRT calls this code; it never calls into TensorRT's library, so that one binary serves every version since
// 10.3 and TensorRT-RTX. It is called from many threads, but each instance from one at a time.
#pragma once

#include <NvInferRuntime.h>
#include <NvInferRuntimePlugin.h>

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "format.h"

namespace tweenrt {

constexpr int kTileOfOp = 0;

// One input or output.
struct Tensor {
    char const* name;
    // One character an axis: a digit is that size; a letter is any size, equal wherever the letter stands; '*' is
    // computed by the op's channels(). nullptr: any shape, the op's check() looks at it.
    char const* shape;
    // Side of the tiles that the last two axes count: as many as cover the sizes that their letters have in an input
    // before it. kTileOfOp, for outputs only: tiles of the side that the op's tile() says.
    int tile = 1;
    bool counts_tiles(size_t axis) const;
};

// One attribute, kept as an int: a number, or the place of a word in `words`.
struct Attribute {
    char const* name;
    int32_t fallback;                         // where the node does not have it; kRequired: it must
    int32_t least = 0, most = 0;              // of a number
    std::array<char const*, 2> words{};       // of a word
    static constexpr int32_t kRequired = INT32_MIN;
};

constexpr int64_t kUnknown = -1;

// The sizes that letters stand for, kUnknown while a size is open.
struct Letters {
    std::array<int64_t, 128> size;
    Letters() { size.fill(kUnknown); }
    int64_t operator[](char letter) const { return size[static_cast<unsigned char>(letter)]; }
    bool known(char const* letters) const;
};

using Dims = std::vector<int64_t>;

// One execution, as kernels want to see it.
struct Call {
    int32_t const* attributes;
    Letters letters;
    std::vector<Dims> shapes;     // of the inputs
    std::vector<Format> formats;  // of inputs, then outputs
    void const* const* inputs = nullptr;
    void* const* outputs = nullptr;
    int size(char letter) const { return static_cast<int>(letters[letter]); }
};

// What the op's tables say, without its type: so that the logic below is compiled once.
struct Description {
    char const* name;
    std::vector<Tensor> inputs, outputs;
    std::vector<Attribute> attributes;
    std::vector<std::vector<Format>> combinations;
    int64_t (*channels)(int32_t const* attributes, Letters const& letters);
    int32_t (*tile)(int32_t const* attributes);
    std::string (*check)(int32_t const* attributes, Letters const& letters, std::vector<Dims> const& shapes);
    size_t (*workspace)(Call const& call);
    cudaError_t (*run)(Call const& call, void* workspace, cudaStream_t stream);
};

// The creator that TensorRT finds; it lives as long as the library is loaded.
nvinfer1::IPluginCreatorInterface* make_creator(Description description);

// Tables of any array type as vectors.
template <class Table>
auto to_vector(Table const& table) {
    return std::vector<typename Table::value_type>(table.begin(), table.end());
}

template <class Op>
Description describe() {
    Description out{Op::kName, to_vector(Op::kInputs), to_vector(Op::kOutputs), to_vector(Op::kAttributes), {},
                    Op::channels, Op::tile, Op::check, Op::workspace, Op::run};
    for (auto const& combination : Op::kCombinations) out.combinations.push_back(to_vector(combination));
    return out;
}

// What most ops need no more of.
struct OpDefaults {
    static constexpr std::array<Attribute, 0> kAttributes{};
    static int64_t channels(int32_t const*, Letters const&) { return kUnknown; }
    static int32_t tile(int32_t const*) { return 1; }
    static std::string check(int32_t const*, Letters const&, std::vector<Dims> const&) { return {}; }
    static size_t workspace(Call const&) { return 0; }
};

}  // namespace tweenrt

// Defines the function through which library.cpp asks for the op's creator.
#define TWEENRT_PLUGIN(Op)                                             \
    namespace tweenrt {                                                \
    nvinfer1::IPluginCreatorInterface* Op##_creator() {                \
        static auto* const creator = make_creator(describe<Op>());     \
        return creator;                                                \
    }                                                                  \
    }
