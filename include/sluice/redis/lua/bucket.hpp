// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_LUA_BUCKET_HPP
#define SLUICE_REDIS_LUA_BUCKET_HPP

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include <sluice/detail/ticks.hpp>
#include <sluice/policies/leaky_bucket.hpp>
#include <sluice/policies/token_bucket.hpp>
#include <sluice/redis/redis_policy.hpp>

namespace sluice {

namespace detail::redis {

/// TokenBucket and LeakyBucket. The key is one integer: the tick (detail::Ticks at 1 us, counted from the epoch) at
/// which the bucket is full. The answer is the debt: the ticks until then.
///
/// A time t in us lies in tick floor(t * a / b), a / b being ticks per us in lowest terms. The product exceeds a
/// double, so with k = floor(a / b) and j = a - k * b it is taken apart into
/// t * k + floor(t / b) * j + floor((t % b) * j / b), or the same with k + 1 and j - b, whichever j is smaller. Most
/// rates have a tick of exactly 1 us, and a variant without all that.
template <class P>
struct BucketScript {
    static constexpr std::size_t keys = 1;
    static constexpr std::array<std::size_t, 2> values{1, 1};
    static constexpr ScriptPart general{
        .function = "bucket_on_any_grid",
        .lua =
            R"lua(-- A bucket's key holds the tick at which it is full; its debt is the ticks until then. Above `full` the state is later
-- than now, and nothing fits; by more than the skew, the clock was set back.
local function bucket_on_any_grid(state, n, now, unit, full, denominator, whole, step, tick, skew)
  local debt = (state or 0) - tick
  if n < -2^52 then
    return 0, state and 0
  elseif not (debt > 0) then
    debt = 0
  elseif debt > full and debt > full + math.floor(skew * whole + skew * step / denominator) + 1 then
    local after
    if n < 0 then after = tick + math.max(0, full + n * unit) end
    return full, after, tick + full
  end
  if n < 0 then
    if debt == 0 then return debt end
    return debt, tick + math.max(0, debt + math.max(n * unit, -full))
  elseif debt + n * unit <= full then
    return debt, tick + debt + n * unit
  end
  return debt
end
)lua",
        .arguments = {{"unit", "full", "denominator", "whole", "step"}},
        .prepare = R"lua(-- A tick is whole + step / denominator us.
local periods = math.floor(now / denominator)
local tick = now * whole + periods * step + math.floor((now - periods * denominator) * step / denominator)
)lua",
        .prepared = {{"tick"}},
        .replies = {{"debt"}},
        .paces = true,
    };
    static constexpr ScriptPart microseconds{
        .function = "bucket",
        .lua =
            R"lua(-- A bucket's key holds the time at which it is full; its debt is the us until then. Above `full` the state is later than
-- now, and nothing fits; by more than the skew, the clock was set back.
local function bucket(state, n, now, unit, full, skew)
  local debt = (state or 0) - now
  if n < -2^52 then
    return 0, state and 0
  elseif not (debt > 0) then
    debt = 0
  elseif debt > full and debt > full + skew then
    local after
    if n < 0 then after = now + math.max(0, full + n * unit) end
    return full, after, now + full
  end
  if n < 0 then
    if debt == 0 then return debt end
    return debt, now + math.max(0, debt + math.max(n * unit, -full))
  elseif debt + n * unit <= full then
    return debt, now + debt + n * unit
  end
  return debt
end
)lua",
        .arguments = {{"unit", "full"}},
        .replies = {{"debt"}},
        .paces = true,
    };
    static constexpr std::array<std::array<ScriptPart, 1>, 2> parts{{{general}, {microseconds}}};

    static std::size_t variant(const P& policy) noexcept { return Grid{rate(policy)}.is_microseconds() ? 1 : 0; }

    static std::string_view problem(const P& policy) {
        const Grid grid{rate(policy)};
        const detail::uint128 full = detail::uint128{policy.quota().limit} * grid.ticks.per_unit();
        const auto now = static_cast<detail::uint128>(detail::int128{max_time_us} * grid.numerator / grid.denominator);
        if (now + full > static_cast<detail::uint128>(max_exact))
            return "takes more than two million units a second, or too many at once";
        if (grid.numerator != grid.denominator && detail::int128{grid.denominator} * std::abs(grid.step) > max_exact) {
            return "has a rate whose fraction needs more than 53 bits: choose a rounder count or period";
        }
        return {};
    }

    static void arguments(const P& policy, std::size_t variant, std::int64_t min_life_ms, Arguments& out) {
        const Grid grid{rate(policy)};
        out.add(grid.ticks.per_unit());
        out.add(policy.quota().limit * grid.ticks.per_unit());
        if (variant == 0) {
            out.add(grid.denominator);
            out.add(grid.whole);
            out.add(grid.step);
        }
        out.add(life_ms(policy.quota().window, min_life_ms));
    }

    static void bounds(const P& policy, std::chrono::nanoseconds max_delay, Arguments& out) {
        std::uint64_t most = max_exact;
        if constexpr (PacingPolicy<P>) {
            const detail::Ticks ticks{rate(policy), resolution};
            const auto delay =
                static_cast<std::uint64_t>(ticks.at(std::max(max_delay, std::chrono::nanoseconds{0}).count()));
            if (delay < most) most = std::min(most, delay + (policy.burst() - 1) * ticks.per_unit());
        }
        out.add(most);
    }

    static P at_server_resolution(const P& policy) noexcept { return policy.at_resolution(resolution); }
    static constexpr std::chrono::nanoseconds now(const P&, std::size_t, const std::int64_t*) noexcept { return {}; }
    static typename P::State state(const P& policy, std::size_t, const std::int64_t* answer,
                                   std::chrono::nanoseconds now) noexcept {
        if (*answer == 0) return {};
        const detail::Ticks ticks{rate(policy), resolution};
        // What the script tolerated is not found to be too far ahead by less than a tick.
        const std::int64_t latest = (now + policy.quota().window + detail::tolerated_skew).count();
        return {std::min(ticks.start_of(ticks.at(now.count()) + *answer), latest)};
    }

private:
    static const Rate& rate(const P& policy) noexcept {
        if constexpr (requires { policy.refill(); }) {
            return policy.refill();
        } else {
            return policy.drain();
        }
    }

    /// Ticks per us as numerator / denominator = whole + step / denominator, with the smaller step of the two possible.
    struct Grid {
        explicit Grid(const Rate& rate) noexcept : ticks(rate, resolution) {
            const detail::uint128 per_period = detail::uint128{ticks.per_period()} * 1'000;
            if (per_period == ticks.period_ns()) return;  // 1 us, as most are
            detail::uint128 a = per_period;
            detail::uint128 b = ticks.period_ns();
            while (b != 0) {
                const auto rest = a % b;
                a = b;
                b = rest;
            }
            numerator = static_cast<std::int64_t>(per_period / a);
            denominator = static_cast<std::int64_t>(ticks.period_ns() / a);
            whole = numerator / denominator;
            step = numerator % denominator;
            if (step > denominator / 2) {
                ++whole;
                step -= denominator;
            }
        }
        bool is_microseconds() const noexcept { return numerator == denominator; }

        detail::Ticks ticks;
        std::int64_t numerator = 1;
        std::int64_t denominator = 1;
        std::int64_t whole = 1;
        std::int64_t step = 0;
    };
};

}  // namespace detail::redis

template <>
struct RedisPolicy<TokenBucket> : detail::redis::BucketScript<TokenBucket> {};
template <>
struct RedisPolicy<LeakyBucket> : detail::redis::BucketScript<LeakyBucket> {};

}  // namespace sluice

#endif
