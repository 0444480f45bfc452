#include "sha256.h"

#include <cmath>
#include <cstring>

namespace tweenrt::native {
namespace {

constexpr size_t kBlock = 64;
constexpr int kRounds = 64;

uint32_t rotated(uint32_t value, int by) { return value >> by | value << (32 - by); }

struct Constants {
    std::array<uint32_t, 8> start{};
    std::array<uint32_t, kRounds> rounds{};

    // The first 32 bits of the fractional parts of the square and cube roots of the first primes.
    Constants() {
        int found = 0;
        for (int n = 2; found < kRounds; ++n) {
            if (!prime(n)) continue;
            if (found < 8) start[found] = fraction(std::sqrt(static_cast<long double>(n)));
            rounds[found++] = fraction(std::cbrt(static_cast<long double>(n)));
        }
    }

  private:
    static bool prime(int n) {
        for (int d = 2; d * d <= n; ++d)
            if (n % d == 0) return false;
        return true;
    }
    static uint32_t fraction(long double value) {
        return static_cast<uint32_t>((value - std::floor(value)) * 4294967296.0L);
    }
};

class Hash {
  public:
    Hash() : state_(constants().start) {}

    void block(uint8_t const* bytes) {
        std::array<uint32_t, kRounds> w;
        for (int i = 0; i < 16; ++i)
            w[i] = static_cast<uint32_t>(bytes[4 * i]) << 24 | bytes[4 * i + 1] << 16 | bytes[4 * i + 2] << 8 |
                   bytes[4 * i + 3];
        for (int i = 16; i < kRounds; ++i) {
            uint32_t const a = rotated(w[i - 15], 7) ^ rotated(w[i - 15], 18) ^ w[i - 15] >> 3;
            uint32_t const b = rotated(w[i - 2], 17) ^ rotated(w[i - 2], 19) ^ w[i - 2] >> 10;
            w[i] = w[i - 16] + a + w[i - 7] + b;
        }
        std::array<uint32_t, 8> s = state_;
        for (int i = 0; i < kRounds; ++i) round(s, constants().rounds[i] + w[i]);
        for (int i = 0; i < 8; ++i) state_[i] += s[i];
    }

    Digest digest() const {
        Digest out;
        for (int i = 0; i < 32; ++i) out[i] = static_cast<uint8_t>(state_[i / 4] >> (24 - 8 * (i % 4)));
        return out;
    }

  private:
    static Constants const& constants() {
        static Constants const values;
        return values;
    }
    static void round(std::array<uint32_t, 8>& s, uint32_t word) {
        uint32_t const e = rotated(s[4], 6) ^ rotated(s[4], 11) ^ rotated(s[4], 25);
        uint32_t const choice = (s[4] & s[5]) ^ (~s[4] & s[6]);
        uint32_t const first = s[7] + e + choice + word;
        uint32_t const a = rotated(s[0], 2) ^ rotated(s[0], 13) ^ rotated(s[0], 22);
        uint32_t const majority = (s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]);
        s = {first + a + majority, s[0], s[1], s[2], s[3] + first, s[4], s[5], s[6]};
    }
    std::array<uint32_t, 8> state_;
};

}  // namespace

Digest sha256(void const* data, size_t bytes) {
    auto const* at = static_cast<uint8_t const*>(data);
    size_t left = bytes;
    Hash hash;
    for (; left >= kBlock; at += kBlock, left -= kBlock) hash.block(at);
    uint8_t tail[2 * kBlock] = {};
    if (left > 0) std::memcpy(tail, at, left);
    tail[left] = 0x80;
    size_t const length = left + 9 <= kBlock ? kBlock : 2 * kBlock;
    for (int i = 0; i < 8; ++i)
        tail[length - 1 - i] = static_cast<uint8_t>(static_cast<uint64_t>(bytes) * 8 >> (8 * i));
    for (size_t done = 0; done < length; done += kBlock) hash.block(tail + done);
    return hash.digest();
}

std::string hexadecimal(Digest const& digest) {
    std::string text;
    for (uint8_t byte : digest) {
        text += "0123456789abcdef"[byte >> 4];
        text += "0123456789abcdef"[byte & 15];
    }
    return text;
}

}  // namespace tweenrt::native
