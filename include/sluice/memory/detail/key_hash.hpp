// SPDX-License-Identifier: MIT
#ifndef SLUICE_MEMORY_DETAIL_KEY_HASH_HPP
#define SLUICE_MEMORY_DETAIL_KEY_HASH_HPP

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include <sluice/detail/entropy.hpp>
#include <sluice/detail/int128.hpp>

namespace sluice::detail {

/// SipHash-1-3 (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012; the 1-3 rounds of Rust's and
/// Python's tables) with a random seed: keys come from attackers, who must not be able to choose their slots.
class SipHash {
public:
    SipHash() : SipHash{random_word(), random_word()} {}
    SipHash(std::uint64_t k0, std::uint64_t k1) noexcept
        : start_{k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d, k0 ^ 0x6c7967656e657261, k1 ^ 0x7465646279746573} {}

    /// The hash of `key` under the seed, whose second half is tweaked with `scope`: not the attacker's to choose.
    [[gnu::noinline]] std::uint64_t operator()(std::uint64_t scope, std::string_view key) const noexcept {
        State v = start_;
        v.v1 ^= scope;
        v.v3 ^= scope;
        const char* const end = key.data() + key.size();
        const std::size_t rest = key.size() % 8;
        for (const char* at = key.data(); at != end - rest; at += 8) v.absorb(load(at));
        v.absorb(tail(end, key.size()) | std::uint64_t{key.size()} << 56);
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
            v0 += v1;
            v1 = std::rotl(v1, 13) ^ v0;
            v0 = std::rotl(v0, 32);
            v2 += v3;
            v3 = std::rotl(v3, 16) ^ v2;
            v0 += v3;
            v3 = std::rotl(v3, 21) ^ v0;
            v2 += v1;
            v1 = std::rotl(v1, 17) ^ v2;
            v2 = std::rotl(v2, 32);
        }
        void absorb(std::uint64_t block) noexcept {
            v3 ^= block;
            round();
            v0 ^= block;
        }
    };

    /// The eight bytes at `data`, the first of them lowest, as in the paper.
    static std::uint64_t load(const char* data) noexcept {
        std::uint64_t value;
        std::memcpy(&value, data, sizeof value);
        if constexpr (std::endian::native == std::endian::big) value = __builtin_bswap64(value);
        return value;
    }

    /// The last size % 8 bytes before `end`.
    static std::uint64_t tail(const char* end, std::size_t size) noexcept {
        const std::size_t rest = size % 8;
        // The last eight bytes without those that were absorbed; in two shifts, since rest may be 0.
        if (size >= 8) return load(end - 8) >> 1 >> (63 - 8 * rest);
        char last[8] = {};
        std::memcpy(last, end - rest, rest);
        return load(last);
    }

    State start_{};
};

/// The keyed hash of a store, seeded at random: keys come from attackers, who must not be able to choose their slots
/// or to meet another's.
///
/// Keys of up to 32 bytes: (k0 + (k1 + x1)(k2 + x2) + (k3 + x3)(k4 + x4) mod 2^128) / 2^64 of their words x, with
/// random 128-bit k, known as Multilinear-HM. The hashes of two keys that are chosen without knowledge of k differ by
/// any given number with a probability of 2^-64, whatever the keys are (Lemire and Kaser, "Strongly universal string
/// hashing is fast", 2014, theorem 3.1; about 2^-64 where one of them has no x3 and x4).
///
/// Here the sums k + x drop the carry of their low halves, which leaves 2^-63 at most. Let x1 differ and all but k2 be
/// given: the difference is D * k2 and a constant, where the low half of D is that of the x1 and not 0, but for the
/// carries in k2 + x2. One that both keys have only shifts k2 by 2^64, which leaves it uniform. So what matters is
/// whether just one has it, and which one that can be the two x2 decide: two cases, in each of which the proof of the
/// theorem holds. Likewise where x2 differs.
///
/// So the size and the scope, which comes from the limiter's configuration, need only be XORed: within a scope the
/// size tells apart keys of the same words for certain, and others no worse. A fixed bijection follows, because linear
/// probing wants no arithmetic progressions. A tenth of the instructions of SipHash-1-3, which hashes longer keys. No
/// hash ever leaves the process.
class KeyHash {
public:
    KeyHash() {
        for (Number& k : k_) k = {random_word(), random_word()};
    }

    [[gnu::always_inline]] std::uint64_t operator()(std::uint64_t scope, std::string_view key) const noexcept {
        const char* const data = key.data();
        const std::size_t size = key.size();
        // Words overlap in the middle; together with the size they are the key.
        if (size >= 8 && size <= 16) [[likely]]
            return finish(product(k_[1], load(data), k_[2], load(data + size - 8)), scope, size);
        if (size > 16 && size <= 32)
            return finish(product(k_[1], load(data), k_[2], load(data + size - 8)) +
                              product(k_[3], load(data + 8), k_[4], load(data + size - 16)),
                          scope, size);
        if (size > 32) return long_keys_(scope, key);
        std::uint64_t word = 0;
        if (size != 0) std::memcpy(&word, data, size);
        return finish(product(k_[1], word, k_[2], 0), scope, size);
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

    /// (a + x)(b + y), without the carries of the low halves.
    [[gnu::always_inline]] static Number product(const Number& a, std::uint64_t x, const Number& b,
                                                 std::uint64_t y) noexcept {
        x += a.low;
        y += b.low;
        const uint128 lows = uint128{x} * y;
        return {static_cast<std::uint64_t>(lows), static_cast<std::uint64_t>(lows >> 64) + a.high * y + b.high * x};
    }

    [[gnu::always_inline]] std::uint64_t finish(const Number& sum, std::uint64_t scope,
                                                std::size_t size) const noexcept {
        return mixed((k_[0] + sum).high ^ scope ^ size);
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
