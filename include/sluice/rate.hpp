// SPDX-License-Identifier: MIT
#ifndef SLUICE_RATE_HPP
#define SLUICE_RATE_HPP

#include <chrono>
#include <cstdint>

#include <sluice/detail/validate.hpp>

namespace sluice {

/// `count` units per `period`, kept as the exact fraction: 7 per minute never becomes 0.11666 per second.
/// From 1 per 100 years to 1e9 per second; anything else throws std::invalid_argument with the bad value.
class Rate {
public:
    template <detail::Integer I, class Rep, class Period>
    constexpr Rate(I count, std::chrono::duration<Rep, Period> period)
        : count_(detail::checked_units("rate count", count)),
          period_ns_(detail::checked_period("rate period", period)) {
        if (count_ > static_cast<std::uint64_t>(period_ns_)) {
            detail::throw_invalid("rate", std::to_string(count_) + " per " + std::to_string(period_ns_) + " ns",
                                  "at most 1 per nanosecond");
        }
    }

    constexpr std::uint64_t count() const noexcept { return count_; }
    constexpr std::chrono::nanoseconds period() const noexcept { return std::chrono::nanoseconds{period_ns_}; }

    friend constexpr bool operator==(const Rate&, const Rate&) = default;

private:
    std::uint64_t count_;
    std::int64_t period_ns_;
};

template <detail::Integer I>
constexpr Rate per_second(I count) {
    return {count, std::chrono::seconds{1}};
}
template <detail::Integer I>
constexpr Rate per_minute(I count) {
    return {count, std::chrono::minutes{1}};
}
template <detail::Integer I>
constexpr Rate per_hour(I count) {
    return {count, std::chrono::hours{1}};
}
template <detail::Integer I>
constexpr Rate per_day(I count) {
    return {count, std::chrono::hours{24}};
}

}  // namespace sluice

#endif
