// SPDX-License-Identifier: MIT
#ifndef SLUICE_LAYERS_DETAIL_LEASE_WORD_HPP
#define SLUICE_LAYERS_DETAIL_LEASE_WORD_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include <sluice/detail/saturate.hpp>
#include <sluice/layers/detail/key_words.hpp>

namespace sluice::detail::layers {

/// What leases know of a key, in a KeyWord: how many requests of it came within about a second, or, behind a bit that says
/// so, 15 bits of whose its holding is and 14 of which holding.
struct LeaseWord {
    static constexpr std::uint64_t owner_bits = (std::uint64_t{1} << 15) - 1;
    static constexpr std::uint64_t worth_it = 64;  ///< requests of a key within about a second

    /// The word after one more request. Of a key that is not counted yet only one request in eight, by chance, begins to count,
    /// and stands for them all: keys that come once cost hardly more than a look.
    static std::uint64_t counted(std::uint64_t word, std::int64_t now) noexcept {
        if (names_holding(word)) return word;
        if (word != 0 && KeyWord::until(word) > now) return is_busy(word) ? word : word + 1;
        return is_drawn() ? KeyWord::make(std::max<std::int64_t>(0, add(now, second)), 8) : 0;
    }
    /// Whether a key without a holding is worth one.
    static bool is_busy(std::uint64_t word) noexcept { return (word & KeyWord::own_bits) >= worth_it; }

    static std::uint64_t make(std::size_t holding, std::uint64_t owner) noexcept {
        return KeyWord::make(int64_max, holding_bit | (owner & owner_bits) << index_width | holding);
    }
    static bool names_holding(std::uint64_t word) noexcept { return (word & holding_bit) != 0; }
    static std::size_t holding(std::uint64_t word) noexcept { return word & index_bits; }
    static bool is_owner(std::uint64_t word, std::uint64_t owner) noexcept {
        return ((word >> index_width) & owner_bits) == (owner & owner_bits);
    }

private:
    /// Once in eight calls: by the high bits of a linear congruential generator.
    static bool is_drawn() noexcept {
        static thread_local constinit std::uint32_t state = 0;
        state = state * 1'664'525 + 1'013'904'223;
        return state >> 29 == 0;
    }

    static constexpr int index_width = 14;
    static constexpr std::uint64_t index_bits = (std::uint64_t{1} << index_width) - 1;
    static constexpr std::uint64_t holding_bit = std::uint64_t{1} << 29;
    static constexpr std::int64_t second = 1'000'000'000;
};

}  // namespace sluice::detail::layers

#endif
