// What a graph says about itself: the C++ side of tweenrt/contract.py.
#ifndef TWEENRT_NATIVE_CONTRACT_H
#define TWEENRT_NATIVE_CONTRACT_H

#include <cstdint>
#include <functional>
#include <string>
#include <utility>

#include "backend.h"

namespace tweenrt::native {

enum class Kind { kPair, kEncoder, kSynthesis, kFlow, kRefine };
enum class TimeInput { kInput, kFixed, kMap };
enum class FrameIo { kFloat, kUint8 };
enum class Reuse { kNone, kFrame, kPair };

char const* name_of(Kind kind);

struct Padding {
    Fill fill = Fill::kZeros;
    bool centred = false;

    // Pixels to add before and after an axis of `size` pixels.
    std::pair<int32_t, int32_t> amounts(int32_t size, int32_t divisor) const;
};

struct Contract {
    std::string model;
    std::string precision;
    std::string pair_id;
    Kind kind = Kind::kPair;
    int32_t divisor = 1;
    Padding padding;
    TimeInput time = TimeInput::kInput;
    int32_t frames = 2;
    FrameIo io = FrameIo::kFloat;
    Reuse reuse = Reuse::kNone;
};

// Value of a property, "tweenrt." included; null where there is none.
using Properties = std::function<char const*(char const* key)>;

// Throws Fault: NOT_OURS where there are no properties, DAMAGED where one is missing or unknown.
Contract read_contract(Properties const& properties, std::string const& where);

}  // namespace tweenrt::native

#endif  // TWEENRT_NATIVE_CONTRACT_H
