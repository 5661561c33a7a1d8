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
/// Keys of up to 32 bytes: the multilinear hash of their words, (k0 + k1 x1 + ... + k5 x5 mod 2^128) / 2^64 with
/// random 128-bit k, which is strongly universal: any two keys that are chosen without knowledge of k share a hash
/// with a probability of 2^-64, whatever they are (Lemire and Kaser, "Strongly universal string hashing is fast", 2014,
/// theorem 3.1). A fixed bijection follows, because linear probing wants no arithmetic progressions. A quarter of the
/// instructions of SipHash-1-3, which hashes longer keys. No hash ever leaves the process.
class KeyHash {
public:
    KeyHash() {
        std::random_device random;
        for (uint128& k : k_) {
            for (int i = 0; i != 4; ++i) k = k << 32 | random();
        }
    }

    /// `scope` comes from the limiter's configuration, not from requests.
    [[gnu::always_inline]] std::uint64_t operator()(std::uint64_t scope, std::string_view key) const noexcept {
        const char* const data = key.data();
        const std::size_t size = key.size();
        uint128 sum = k_[0] + k_[1] * (scope + size);
        // Words overlap in the middle; together with the size they are the key.
        if (size >= 8 && size <= 32) [[likely]] {
            if (size > 16) sum += k_[4] * load(data + 8) + k_[5] * load(data + size - 16);
            sum += k_[2] * load(data) + k_[3] * load(data + size - 8);
        } else if (size < 8) {
            std::uint64_t word = 0;
            if (size != 0) std::memcpy(&word, data, size);
            sum += k_[2] * word;
        } else {
            return long_keys_(scope, key);
        }
        return mixed(static_cast<std::uint64_t>(sum >> 64));
    }

private:
    static std::uint64_t load(const char* data) noexcept {
        std::uint64_t word;
        std::memcpy(&word, data, sizeof word);
        return word;
    }

    /// The finalizer of MurmurHash3 (Appleby; constants by Stafford, "Mix13").
    static std::uint64_t mixed(std::uint64_t h) noexcept {
        h = (h ^ h >> 30) * 0xbf58476d1ce4e5b9;
        h = (h ^ h >> 27) * 0x94d049bb133111eb;
        return h ^ h >> 31;
    }

    std::array<uint128, 6> k_{};
    SipHash long_keys_;
};

}  // namespace sluice::detail

#endif
