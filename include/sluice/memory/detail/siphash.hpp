// SPDX-License-Identifier: MIT
#ifndef SLUICE_MEMORY_DETAIL_SIPHASH_HPP
#define SLUICE_MEMORY_DETAIL_SIPHASH_HPP

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <string_view>

namespace sluice::detail {

/// SipHash-1-3 (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012; the 1-3 rounds of Rust's and
/// Python's tables) with a random seed: keys come from attackers, who must not be able to choose their slots.
class SipHash {
public:
    SipHash() {
        std::random_device random;
        const auto word = [&] { return std::uint64_t{random()} << 32 | random(); };
        k0_ = word();
        k1_ = word();
    }
    SipHash(std::uint64_t k0, std::uint64_t k1) noexcept : k0_(k0), k1_(k1) {}

    /// The hash of `key` under the seed tweaked with `scope`, which is not the attacker's to choose.
    [[gnu::always_inline]] std::uint64_t operator()(std::uint64_t scope, std::string_view key) const noexcept {
        const std::uint64_t k1 = k1_ ^ scope;
        State v{k0_ ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d, k0_ ^ 0x6c7967656e657261, k1 ^ 0x7465646279746573};
        const char* data = key.data();
        std::size_t left = key.size();
        for (; left >= 8; left -= 8, data += 8) v.absorb(load<std::uint64_t>(data));
        v.absorb(tail(data, left) | std::uint64_t{key.size()} << 56);
        v.v2 ^= 0xff;
        v.round();
        v.round();
        v.round();
        return v.v0 ^ v.v1 ^ v.v2 ^ v.v3;
    }

private:
    struct State {
        std::uint64_t v0, v1, v2, v3;

        void round() noexcept {
            v0 += v1; v1 = std::rotl(v1, 13) ^ v0; v0 = std::rotl(v0, 32);
            v2 += v3; v3 = std::rotl(v3, 16) ^ v2;
            v0 += v3; v3 = std::rotl(v3, 21) ^ v0;
            v2 += v1; v1 = std::rotl(v1, 17) ^ v2; v2 = std::rotl(v2, 32);
        }
        void absorb(std::uint64_t block) noexcept {
            v3 ^= block;
            round();
            v0 ^= block;
        }
    };

    // Little-endian in the paper; here any byte order does, as no hash leaves the process.
    template <class T>
    static T load(const char* data) noexcept {
        T value;
        std::memcpy(&value, data, sizeof value);
        return value;
    }

    /// The last 0 to 7 bytes, in three loads at most.
    static std::uint64_t tail(const char* data, std::size_t size) noexcept {
        std::uint64_t block = 0;
        std::size_t at = 0;
        if (size & 4) {
            block = load<std::uint32_t>(data);
            at = 4;
        }
        if (size & 2) {
            block |= std::uint64_t{load<std::uint16_t>(data + at)} << (8 * at);
            at += 2;
        }
        if (size & 1) block |= std::uint64_t{load<std::uint8_t>(data + at)} << (8 * at);
        return block;
    }

    std::uint64_t k0_;
    std::uint64_t k1_;
};

}  // namespace sluice::detail

#endif
