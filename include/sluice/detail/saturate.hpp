// SPDX-License-Identifier: MIT
#ifndef SLUICE_DETAIL_SATURATE_HPP
#define SLUICE_DETAIL_SATURATE_HPP

#include <chrono>
#include <cstdint>
#include <limits>

#include <sluice/decision.hpp>
#include <sluice/detail/algorithm.hpp>
#include <sluice/detail/int128.hpp>

// Sums and differences that stop at the ends of their range and never wrap.
namespace sluice::detail {

inline constexpr std::int64_t int64_max = std::numeric_limits<std::int64_t>::max();
inline constexpr std::int64_t int64_min = std::numeric_limits<std::int64_t>::min();

constexpr std::int64_t clamp_to_int64(int128 value) noexcept {
    if (value > int64_max) return int64_max;
    if (value < int64_min) return int64_min;
    return static_cast<std::int64_t>(value);
}

constexpr std::int64_t add(std::int64_t a, std::int64_t b) noexcept {
    std::int64_t sum = 0;
    if (!__builtin_add_overflow(a, b, &sum)) [[likely]]
        return sum;
    return b > 0 ? int64_max : int64_min;
}

/// From `now` until `then`, 0 if that has passed; saturates one below Decision::never, which means something else.
constexpr std::chrono::nanoseconds wait(std::int64_t now, std::int64_t then) noexcept {
    if (then <= now) return std::chrono::nanoseconds{0};
    const auto distance = static_cast<std::uint64_t>(then) - static_cast<std::uint64_t>(now);
    return std::chrono::nanoseconds{
        static_cast<std::int64_t>(std::min(distance, static_cast<std::uint64_t>(int64_max - 1)))};
}

/// A count that a server tells: from 0 to the limit, whatever it says.
constexpr std::uint64_t count_within(std::uint64_t limit, std::int64_t told) noexcept {
    return told < 0 ? 0 : std::min(limit, static_cast<std::uint64_t>(told));
}

}  // namespace sluice::detail

#endif
