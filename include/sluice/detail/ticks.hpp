// SPDX-License-Identifier: MIT
#ifndef SLUICE_DETAIL_TICKS_HPP
#define SLUICE_DETAIL_TICKS_HPP

#include <chrono>
#include <cstdint>

#include <sluice/detail/algorithm.hpp>
#include <sluice/detail/divisor.hpp>
#include <sluice/detail/int128.hpp>
#include <sluice/detail/saturate.hpp>
#include <sluice/rate.hpp>

namespace sluice::detail {

/// The grid on which a bucket counts time, chosen so that one unit takes a whole number of ticks and nothing is ever
/// rounded but `now`. With T = period / count, a unit takes m = floor(T / resolution) ticks (1 at least), so a tick
/// is T / m: from one resolution to just below two (at 1 us, a T below 1 us is one tick). Where T is a whole number
/// of resolutions a tick is exactly one.
///
/// Since a tick is never shorter than the nanosecond (resolution 1 ns), the first nanosecond of a tick stands for it
/// without loss: a state can be kept as a plain time, which means the same under every rate.
class Ticks {
public:
    explicit constexpr Ticks(const Rate& rate,
                             std::chrono::nanoseconds resolution = std::chrono::nanoseconds{1}) noexcept
        : period_(static_cast<std::uint64_t>(rate.period().count())),
          per_unit_(
              std::max<std::uint64_t>(1, period_ / (rate.count() * static_cast<std::uint64_t>(resolution.count())))),
          per_period_(per_unit_ * rate.count()),
          ratio_(static_cast<std::uint64_t>(per_period_ == period_ ? 0 : (uint128{per_period_} << 64) / period_)) {}

    constexpr std::uint64_t per_unit() const noexcept { return per_unit_; }      ///< ticks that one unit takes
    constexpr std::uint64_t per_period() const noexcept { return per_period_; }  ///< ticks in the rate's period
    constexpr std::uint64_t period_ns() const noexcept { return period_; }
    constexpr bool are_nanoseconds() const noexcept { return ratio_ == 0; }

    /// The tick that `ns` lies in, counted from the epoch: floor(ns * per_period / period).
    constexpr std::int64_t at(std::int64_t ns) const noexcept {
        if (are_nanoseconds()) [[likely]]
            return ns;
        if (ns < 0) [[unlikely]]
            return -static_cast<std::int64_t>(scale_up(magnitude(ns), per_period_, period_));
        // The reciprocal is at most one too small; the remainder, exact modulo 2^64, tells.
        const auto n = static_cast<std::uint64_t>(ns);
        auto tick = static_cast<std::uint64_t>((uint128{n} * ratio_) >> 64);
        if (n * per_period_ - tick * period_ >= period_) ++tick;
        return static_cast<std::int64_t>(tick);
    }

    /// The first nanosecond of a tick: ceil(tick * period / per_period), saturated.
    constexpr std::int64_t start_of(std::int64_t tick) const noexcept {
        if (are_nanoseconds()) [[likely]]
            return tick;
        if (tick < 0) [[unlikely]]
            return clamp_to_int64(-static_cast<int128>(uint128{magnitude(tick)} * period_ / per_period_));
        return clamp_to_int64(static_cast<int128>(scale_up(static_cast<std::uint64_t>(tick), period_, per_period_)));
    }

private:
    static constexpr std::uint64_t magnitude(std::int64_t negative) noexcept {
        return std::uint64_t{0} - static_cast<std::uint64_t>(negative);
    }
    static constexpr uint128 scale_up(std::uint64_t n, std::uint64_t numerator, std::uint64_t denominator) noexcept {
        return (uint128{n} * numerator + denominator - 1) / denominator;
    }

    std::uint64_t period_;
    std::uint64_t per_unit_;
    std::uint64_t per_period_;  // at most period_, since a tick is at least 1 ns
    std::uint64_t ratio_;       // per_period / period as a 64-bit fraction, 0 for exactly 1
};

}  // namespace sluice::detail

#endif
