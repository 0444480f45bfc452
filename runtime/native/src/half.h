// IEEE 754 binary16, rounded half to even, on machines that may not have it.
#ifndef TWEENRT_NATIVE_HALF_H
#define TWEENRT_NATIVE_HALF_H

#include <cstdint>
#include <cstring>

namespace tweenrt::native {

struct Half {
    uint16_t bits;
};

inline uint32_t bits_of(float value) {
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    return bits;
}

inline float float_of(uint32_t bits) {
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

inline Half to_half(float value) {
    uint32_t const bits = bits_of(value);
    uint32_t const sign = bits >> 16 & 0x8000;
    uint32_t const magnitude = bits & 0x7fffffff;
    if (magnitude > 0x7f800000) return {static_cast<uint16_t>(sign | 0x7e00)};   // NaN
    if (magnitude >= 0x477ff000) return {static_cast<uint16_t>(sign | 0x7c00)};  // rounds beyond 65504
    if (magnitude < 0x38800000) {  // below 2^-14: adding 0.5 leaves the result in the low bits, rounded by the FPU
        return {static_cast<uint16_t>(sign | (bits_of(float_of(magnitude) + 0.5f) - bits_of(0.5f)))};
    }
    uint32_t const even = magnitude >> 13 & 1;
    return {static_cast<uint16_t>(sign | ((magnitude + 0xfff + even - 0x38000000) >> 13))};
}

inline float to_float(Half half) {
    uint32_t const sign = static_cast<uint32_t>(half.bits & 0x8000) << 16;
    uint32_t const magnitude = half.bits & 0x7fff;
    if (magnitude >= 0x7c00) return float_of(sign | 0x7f800000 | ((magnitude & 0x3ff) << 13));  // infinite or NaN
    if (magnitude >= 0x400) return float_of(sign | ((magnitude << 13) + 0x38000000));
    float const small = static_cast<float>(magnitude) * 0x1p-24f;
    return float_of(sign | bits_of(small));
}

}  // namespace tweenrt::native

#endif  // TWEENRT_NATIVE_HALF_H
