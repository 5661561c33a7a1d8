// SPDX-License-Identifier: MIT
#ifndef SLUICE_MEMORY_DETAIL_KEY_HASH_HPP
#define SLUICE_MEMORY_DETAIL_KEY_HASH_HPP

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <string_view>

#include <sluice/detail/int128.hpp>
#include <sluice/memory/detail/siphash.hpp>

namespace sluice::detail {

/// The keyed hash of a store, seeded at random: keys come from attackers, who must not be able to choose their slots
/// or to meet another's.
///
/// Keys of up to 32 bytes: (k0 + (k1 + x1)(k2 + x2) + (k3 + x3)(k4 + x4) mod 2^128) / 2^64 of their words x, with
/// random 128-bit k, known as Multilinear-HM. It is strongly universal: the hashes of two keys that are chosen without
/// knowledge of k differ by any given number with a probability of 2^-64, whatever the keys are (Lemire and Kaser,
/// "Strongly universal string hashing is fast", 2014, theorem 3.1; about 2^-64 where one of them has no x3 and x4). So
/// the size and the scope, which comes from the limiter's configuration, need only be XORed: within a scope the size
/// tells apart keys of the same words for certain, and others no worse. A fixed bijection follows, because linear
/// probing wants no arithmetic progressions. An eighth of the instructions of SipHash-1-3, which hashes longer keys. No
/// hash ever leaves the process.
class KeyHash {
public:
    KeyHash() {
        std::random_device random;
        for (Number& k : k_) {
            for (std::uint64_t* half : {&k.low, &k.high}) *half = std::uint64_t{random()} << 32 | random();
        }
    }

    [[gnu::always_inline]] std::uint64_t operator()(std::uint64_t scope, std::string_view key) const noexcept {
        const char* const data = key.data();
        const std::size_t size = key.size();
        Number sum;
        // Words overlap in the middle; together with the size they are the key.
        if (size >= 8 && size <= 16) [[likely]] {
            sum = product(k_[1], load(data), k_[2], load(data + size - 8));
        } else if (size > 16 && size <= 32) {
            sum = product(k_[1], load(data), k_[2], load(data + size - 8)) +
                  product(k_[3], load(data + 8), k_[4], load(data + size - 16));
        } else if (size < 8) {
            std::uint64_t word = 0;
            if (size != 0) std::memcpy(&word, data, size);
            sum = product(k_[1], word, k_[2], 0);
        } else {
            return long_keys_(scope, key);
        }
        return mixed((k_[0] + sum).high ^ scope ^ size);
    }

private:
    /// Modulo 2^128. By halves, since compilers spend twice the instructions on sums of a uint128 and a word.
    struct Number {
        std::uint64_t low = 0, high = 0;

        friend Number operator+(Number a, Number b) noexcept {
            const std::uint64_t lows = a.low + b.low;
            return {lows, a.high + b.high + (lows < b.low ? 1U : 0U)};
        }
    };

    /// (a + x)(b + y)
    [[gnu::always_inline]] static Number product(Number a, std::uint64_t x, Number b, std::uint64_t y) noexcept {
        a = a + Number{x, 0};
        b = b + Number{y, 0};
        const uint128 lows = uint128{a.low} * b.low;
        return {static_cast<std::uint64_t>(lows),
                static_cast<std::uint64_t>(lows >> 64) + a.high * b.low + a.low * b.high};
    }

    static std::uint64_t load(const char* data) noexcept {
        std::uint64_t word;
        std::memcpy(&word, data, sizeof word);
        return word;
    }

    /// Each step can be undone. The factor is that of splitmix64 (Steele, Lea and Flood, 2014), 2^64 / golden ratio.
    static std::uint64_t mixed(std::uint64_t h) noexcept { return (h ^ h >> 32) * 0x9e3779b97f4a7c15; }

    std::array<Number, 5> k_{};
    SipHash long_keys_;
};

}  // namespace sluice::detail

#endif
