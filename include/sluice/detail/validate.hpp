// SPDX-License-Identifier: MIT
#ifndef SLUICE_DETAIL_VALIDATE_HPP
#define SLUICE_DETAIL_VALIDATE_HPP

#include <bit>
#include <chrono>
#include <concepts>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <type_traits>

#include <sluice/detail/exceptions.hpp>
#include <sluice/detail/int128.hpp>

// What constructors check before they convert: a negative or an overflowing value never becomes a valid one.
namespace sluice::detail {

template <class T>
concept Integer = std::integral<T> && !std::same_as<std::remove_cv_t<T>, bool>;

inline constexpr std::uint64_t max_units = (std::uint64_t{1} << 53) - 1;  // exact in a double, so in Lua and JSON too
inline constexpr std::int64_t max_period_ns = std::int64_t{36525} * 86400 * 1'000'000'000;  // 100 years

[[noreturn]] inline void throw_invalid(const std::string& what, const std::string& value, const std::string& range) {
    throw_or_abort(std::invalid_argument("sluice: " + what + " must be " + range + ", not " + value));
}

/// A value of any integral type that is not negative, 128 bits wide perhaps, as 64 bits.
template <Integer I>
constexpr std::uint64_t saturated_units(I value) noexcept {
    constexpr auto most = ~std::uint64_t{0};
    if constexpr (sizeof(I) > sizeof most) {
        if (static_cast<uint128>(value) > most) return most;
    }
    return static_cast<std::uint64_t>(value);
}

/// `value` as units (limit, capacity, count), from 1 to `most`.
template <Integer I>
constexpr std::uint64_t checked_units(const char* what, I value, std::uint64_t most = max_units) {
    if (value < 1 || saturated_units(value) > most) {
        if constexpr (sizeof(I) > sizeof most) {
            throw_invalid(what, value < 1 ? "less" : "more", "from 1 to " + std::to_string(most));
        } else {
            throw_invalid(what, std::to_string(value), "from 1 to " + std::to_string(most));
        }
    }
    return static_cast<std::uint64_t>(value);
}

/// Neither infinite nor NaN. Looks at the bits: -ffast-math lets a compiler assume that there is no such value.
constexpr bool is_finite(double value) noexcept {
    constexpr std::uint64_t exponent = 0x7ff0'0000'0000'0000;
    return (std::bit_cast<std::uint64_t>(value) & exponent) != exponent;
}

/// `value` in whole nanoseconds, from 1 ns to 100 years.
template <class Rep, class Period>
constexpr std::int64_t checked_period(const char* what, std::chrono::duration<Rep, Period> value) {
    constexpr auto range = "from 1 ns to 100 years";
    if constexpr (std::is_floating_point_v<Rep>) {
        const auto ns = static_cast<long double>(value.count()) * Period::num * 1e9L / Period::den;
        if (!is_finite(static_cast<double>(value.count())) ||
            !(ns >= 1.0L && ns <= static_cast<long double>(max_period_ns))) {
            throw_invalid(what, std::to_string(ns) + " ns", range);
        }
        return static_cast<std::int64_t>(ns + 0.5L);  // to the nearest
    } else {
        const auto count = static_cast<int128>(value.count());
        constexpr auto limit = static_cast<int128>(max_period_ns / 1'000'000'000) * Period::den;
        // Compared before it is multiplied: num * 1e9 may itself exceed 64 bits (std::chrono::years of a wide Rep).
        const bool fits = count > 0 && count <= limit / Period::num;
        const int128 ns = fits ? count * Period::num * 1'000'000'000 / Period::den : 0;
        if (!fits || ns < 1 || ns > max_period_ns) {
            throw_invalid(what,
                          std::to_string(value.count()) + " x " + std::to_string(Period::num) + "/" +
                              std::to_string(Period::den) + " s",
                          range);
        }
        return static_cast<std::int64_t>(ns);
    }
}

}  // namespace sluice::detail

#endif
