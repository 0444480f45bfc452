#ifndef TWEENRT_NATIVE_SHA256_H
#define TWEENRT_NATIVE_SHA256_H

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

namespace tweenrt::native {

using Digest = std::array<uint8_t, 32>;

// SHA-256 (FIPS 180-4) of some bytes.
Digest sha256(void const* data, size_t bytes);

// In lower-case hexadecimal digits.
std::string hexadecimal(Digest const& digest);

}  // namespace tweenrt::native

#endif  // TWEENRT_NATIVE_SHA256_H
