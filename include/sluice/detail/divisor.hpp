// SPDX-License-Identifier: MIT
#ifndef SLUICE_DETAIL_DIVISOR_HPP
#define SLUICE_DETAIL_DIVISOR_HPP

#include <bit>
#include <cstdint>

#include <sluice/detail/int128.hpp>

namespace sluice::detail {

/// Exact division by a number known in advance: a multiplication and a shift, several times faster than a division.
///
/// With l = ceil(log2 d), n * (floor(2^(63+l) / d) + 1) >> (63+l) is floor(n / d) for all n < 2^63 (Granlund and
/// Montgomery, "Division by Invariant Integers using Multiplication", 1994, theorem 4.2, with N = 63, so that the
/// multiplier fits 64 bits).
class Divisor {
public:
    constexpr explicit Divisor(std::uint64_t divisor) noexcept  // from 1 to 2^63
        : divisor_(divisor), shift_(static_cast<int>(std::bit_width(divisor - 1))),
          multiplier_(static_cast<std::uint64_t>((uint128{1} << (63 + shift_)) / divisor) + 1) {}

    constexpr std::uint64_t value() const noexcept { return divisor_; }

    /// floor(n / divisor), for n < 2^63.
    constexpr std::uint64_t divide(std::uint64_t n) const noexcept {
        return static_cast<std::uint64_t>((uint128{n << 1} * multiplier_) >> 64) >> shift_;
    }

    /// ceil(n / divisor), for n < 2^63 - divisor.
    constexpr std::uint64_t divide_up(std::uint64_t n) const noexcept { return divide(n + divisor_ - 1); }

    /// floor(n / divisor) for any signed n: towards minus infinity.
    constexpr std::int64_t floor(std::int64_t n) const noexcept {
        if (n >= 0) [[likely]]
            return static_cast<std::int64_t>(divide(static_cast<std::uint64_t>(n)));
        return -1 - static_cast<std::int64_t>(divide(static_cast<std::uint64_t>(-1 - n)));
    }

private:
    std::uint64_t divisor_;
    int shift_;
    std::uint64_t multiplier_;
};

}  // namespace sluice::detail

#endif
