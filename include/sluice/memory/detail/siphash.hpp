// SPDX-License-Identifier: MIT
#ifndef SLUICE_MEMORY_DETAIL_SIPHASH_HPP
#define SLUICE_MEMORY_DETAIL_SIPHASH_HPP

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include <sluice/detail/entropy.hpp>

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

}  // namespace sluice::detail

#endif
