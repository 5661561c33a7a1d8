// SPDX-License-Identifier: MIT
#ifndef SLUICE_DETAIL_WIDE_HPP
#define SLUICE_DETAIL_WIDE_HPP

#include <bit>
#include <compare>
#include <concepts>
#include <cstdint>

#include <sluice/detail/cpp20.hpp>

namespace sluice::detail {

/// A 128-bit integer in two's complement, for targets whose compiler has none: what this library asks of one, with the same
/// results. It divides bit by bit.
template <bool is_signed>
class Wide {
public:
    constexpr Wide() noexcept = default;
    template <std::integral I>
    constexpr Wide(I value) noexcept
        : low_(static_cast<std::uint64_t>(value)), high_(value < I{0} ? ~std::uint64_t{0} : 0) {}
    constexpr explicit Wide(const Wide<!is_signed>& other) noexcept : low_(other.low_), high_(other.high_) {}

    /// Modulo 2^64, or less.
    template <std::integral I>
    requires(!std::same_as<I, bool>) constexpr explicit operator I() const noexcept { return static_cast<I>(low_); }

    constexpr Wide operator-() const noexcept { return Wide{} - *this; }
    friend constexpr Wide operator+(const Wide& a, const Wide& b) noexcept {
        const std::uint64_t low = a.low_ + b.low_;
        return {a.high_ + b.high_ + (low < a.low_ ? 1U : 0U), low};
    }
    friend constexpr Wide operator-(const Wide& a, const Wide& b) noexcept {
        return {a.high_ - b.high_ - (a.low_ < b.low_ ? 1U : 0U), a.low_ - b.low_};
    }
    friend constexpr Wide operator*(const Wide& a, const Wide& b) noexcept {
        const Wide lows = product(a.low_, b.low_);
        return {lows.high_ + a.low_ * b.high_ + a.high_ * b.low_, lows.low_};
    }
    constexpr Wide& operator+=(const Wide& other) noexcept { return *this = *this + other; }
    constexpr Wide& operator-=(const Wide& other) noexcept { return *this = *this - other; }
    /// Towards zero, by what is not 0.
    friend constexpr Wide operator/(const Wide& a, const Wide& b) noexcept {
        if constexpr (is_signed) {
            const Wide quotient{Wide<false>{a.magnitude()} / Wide<false>{b.magnitude()}};
            return a.is_negative() == b.is_negative() ? quotient : -quotient;
        } else {
            Wide quotient, rest = a;
            for (int shift = b.leading_zeros() - a.leading_zeros(); shift >= 0; --shift) {
                const Wide part = b << shift;
                const bool fits = part <= rest;
                if (fits) rest = rest - part;
                quotient = (quotient << 1) + Wide{fits ? 1 : 0};
            }
            return quotient;
        }
    }
    friend constexpr Wide operator%(const Wide& a, const Wide& b) noexcept { return a - a / b * b; }
    /// By less than 128 bits.
    friend constexpr Wide operator<<(const Wide& a, int bits) noexcept {
        if (bits == 0) return a;
        if (bits >= 64) return {a.low_ << (bits - 64), 0};
        return {a.high_ << bits | a.low_ >> (64 - bits), a.low_ << bits};
    }
    friend constexpr Wide operator>>(const Wide& a, int bits) noexcept requires(!is_signed) {
        if (bits == 0) return a;
        if (bits >= 64) return {0, a.high_ >> (bits - 64)};
        return {a.high_ >> bits, a.high_ << (64 - bits) | a.low_ >> bits};
    }

    friend constexpr bool operator==(const Wide&, const Wide&) noexcept = default;
    friend constexpr std::strong_ordering operator<=>(const Wide& a, const Wide& b) noexcept {
        if (a.is_negative() != b.is_negative()) return b.is_negative() <=> a.is_negative();
        return a.high_ == b.high_ ? a.low_ <=> b.low_ : a.high_ <=> b.high_;
    }

private:
    friend class Wide<!is_signed>;

    constexpr Wide(std::uint64_t high, std::uint64_t low) noexcept : low_(low), high_(high) {}

    constexpr bool is_negative() const noexcept { return is_signed && high_ >> 63 != 0; }
    constexpr Wide magnitude() const noexcept { return is_negative() ? -*this : *this; }
    constexpr int leading_zeros() const noexcept {
        return high_ != 0 ? std::countl_zero(high_) : 64 + std::countl_zero(low_);
    }

    /// By halves: what is added to a product of two of them still fits 64 bits.
    static constexpr Wide product(std::uint64_t a, std::uint64_t b) noexcept {
        constexpr std::uint64_t half = 0xffff'ffff;
        const std::uint64_t low = (a & half) * (b & half);
        const std::uint64_t middle = (a >> 32) * (b & half) + (low >> 32);
        const std::uint64_t other = (a & half) * (b >> 32) + (middle & half);
        return {(a >> 32) * (b >> 32) + (middle >> 32) + (other >> 32), other << 32 | (low & half)};
    }

    std::uint64_t low_ = 0;
    std::uint64_t high_ = 0;
};

}  // namespace sluice::detail

#endif
