// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_SCRIPTS_BUCKET_HPP
#define SLUICE_REDIS_SCRIPTS_BUCKET_HPP

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

namespace redis {

/// TokenBucket and LeakyBucket. The key is one integer: the tick (detail::Ticks at 1 us, counted from the epoch) at
/// which the bucket is full. The answer is the debt: the ticks until then.
///
/// A time t in us lies in tick floor(t * a / b), a / b being ticks per us in lowest terms. The product exceeds a
/// double, so with k = floor(a / b) and j = a - k * b it is taken apart into
/// t * k + floor(t / b) * j + floor((t % b) * j / b), or the same with k + 1 and j - b, whichever j is smaller. Most
/// rates have a tick of exactly 1 us, and a form without all that.
template <class P>
struct BucketScript {
    static constexpr std::size_t keys = 1;
    static constexpr std::array<std::size_t, 2> values{1, 1};
    static constexpr ScriptPart general{
        .arguments = 7,
        .is_number = true,
        .setup = R"(local unit@, full@, most@, life@ = $1 + 0, $2 + 0, $3 + 0, $4
local periods = floor(now / $5)
local tick@ = now * $6 + periods * $7 + floor((now - periods * $5) * $7 / $5)
)",
        // A debt above full@ was made at a later time than now: denied until then, unless it exceeds most@, which means
        // that the clock went back.
        .look = R"(local debt@ = number@ - tick@
local ahead@ = debt@ > most@
if ahead@ then debt@ = full@ elseif not (debt@ > 0) then debt@ = 0 end
local fits@ = debt@ + n * unit@ <= full@
)",
        .take = "v@ = tick@ + debt@ + n * unit@\nSAVE@",
        .deny = "if ahead@ then\nv@ = tick@ + full@\nSAVE@end\n",
        .give = "if debt@ > 0 then\nv@ = tick@ + math.max(0, debt@ + n * unit@)\nSAVE@end\n",
        .answer = "debt@",
    };
    static constexpr ScriptPart microseconds = [] {
        ScriptPart part = general;
        part.arguments = 4;
        part.setup = "local unit@, full@, most@, life@, tick@ = $1 + 0, $2 + 0, $3 + 0, $4, now\n";
        return part;
    }();
    static constexpr std::array<std::array<ScriptPart, 1>, 2> parts{{{general}, {microseconds}}};

    static std::size_t form(const P& policy) noexcept { return Grid{rate(policy)}.is_microseconds() ? 1 : 0; }

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

    static void arguments(const P& policy, std::size_t form, std::int64_t min_life_ms, Arguments& out) {
        const Grid grid{rate(policy)};
        out.add(grid.ticks.per_unit());
        const std::uint64_t full = policy.quota().limit * grid.ticks.per_unit();
        out.add(full);
        // As many ticks as the tolerated skew may span.
        const std::int64_t skew = grid.ticks.at(detail::tolerated_skew.count()) + (grid.is_microseconds() ? 0 : 1);
        out.add(full + static_cast<std::uint64_t>(skew));
        out.add(life_ms(policy.quota().window, min_life_ms));
        if (form == 1) return;
        out.add(grid.denominator);
        out.add(grid.whole);
        out.add(grid.step);
    }

    static P view(const P& policy) noexcept { return policy.at_resolution(resolution); }
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

}  // namespace redis

template <>
struct RedisPolicy<TokenBucket> : redis::BucketScript<TokenBucket> {};
template <>
struct RedisPolicy<LeakyBucket> : redis::BucketScript<LeakyBucket> {};

}  // namespace sluice

#endif
