// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_SCRIPTS_SLIDING_WINDOW_COUNTER_HPP
#define SLUICE_REDIS_SCRIPTS_SLIDING_WINDOW_COUNTER_HPP

#include <array>
#include <chrono>
#include <cstdint>
#include <string_view>

#include <sluice/detail/saturate.hpp>
#include <sluice/policies/sliding_window_counter.hpp>
#include <sluice/redis/redis_policy.hpp>

namespace sluice {

/// The key is a string of three integers: the window's number since the epoch, the previous window's count and its own.
/// The answer is both counts, and the us until the window ends.
template <>
struct RedisPolicy<SlidingWindowCounter> {
    static constexpr std::size_t keys = 1;
    static constexpr std::array<std::size_t, 1> values{3};
    static constexpr std::array<std::array<redis::ScriptPart, 1>, 1> parts{{{{{
        .arguments = 4,
        .setup = R"(local size@, limit@, skew@, life@ = $1 + 0, $2 + 0, $3 + 0, $4
local rest@ = size@ - now % size@
local window@ = floor(now / size@)
)",
        // The state of a window to come: as for FixedWindow. The previous count weighs old * left / size, rounded up;
        // where the product is too large for a double, it is multiplied bit by bit, reduced after each.
        .look = R"(local at@, old@, new@ = window@, 0, 0
local left@, ahead@ = rest@, false
if v@ then
  at@, old@, new@ = string.match(v@, '^(%d+) (%d+) (%d+)$')
  if not at@ then BAD end
  at@, old@, new@ = at@ + 0, old@ + 0, new@ + 0
  local early = at@ * size@ - now
  if early > skew@ then
    at@, old@, new@, ahead@ = window@, 0, limit@, true
  elseif at@ > window@ then
    left@ = early + size@
  elseif at@ == window@ - 1 then
    at@, old@, new@ = window@, new@, 0
  elseif at@ < window@ then
    at@, old@, new@ = window@, 0, 0
  end
end
local part@ = math.min(left@, size@)
local weight@ = old@ * part@
if weight@ <= 9007199254740992 then
  weight@ = math.ceil(weight@ / size@)
else
  local over, bit = 0, 9007199254740992
  local of = old@
  weight@ = 0
  while bit >= 1 do
    weight@, over = weight@ * 2, over * 2
    if of >= bit then of, over = of - bit, over + part@ end
    while over >= size@ do weight@, over = weight@ + 1, over - size@ end
    bit = bit / 2
  end
  if over > 0 then weight@ = weight@ + 1 end
end
local fits@ = new@ + weight@ + n <= limit@
)",
        .take = "v@ = format('%d %d %d', at@, old@, new@ + n)\nSAVE@",
        .deny = "if ahead@ then\nv@ = format('%d %d %d', at@, old@, new@)\nSAVE@end\n",
        .give = R"(if new@ + old@ > 0 then
local beyond = math.max(0, -n - new@)
v@ = format('%d %d %d', at@, math.max(0, old@ - beyond), math.max(0, new@ + n))
SAVE@end
)",
        .answer = "old@, new@, left@",
        .stored = "v@",
    }}}}};

    static constexpr std::size_t form(const SlidingWindowCounter&) noexcept { return 0; }
    static std::string_view problem(const SlidingWindowCounter& policy) noexcept {
        if (policy.window() % redis::resolution != std::chrono::nanoseconds{0})
            return "has a window that is no whole number of microseconds";
        if (policy.window() > std::chrono::hours{24 * 365 * 90}) return "has a window of more than 90 years";
        if (policy.limit() > redis::max_exact / 4) return "has a limit above 2^51";
        return {};
    }

    static void arguments(const SlidingWindowCounter& policy, std::size_t, std::int64_t min_life_ms,
                          redis::Arguments& out) {
        out.add(policy.window() / redis::resolution);
        out.add(policy.limit());
        out.add(redis::tolerated_skew_us);
        out.add(redis::life_ms(2 * policy.window() + detail::tolerated_skew, min_life_ms));
    }

    static const SlidingWindowCounter& view(const SlidingWindowCounter& policy) noexcept { return policy; }
    static std::chrono::nanoseconds now(const SlidingWindowCounter& policy, std::size_t,
                                        const std::int64_t* answer) noexcept {
        return policy.window() - redis::from_us(answer[2]);
    }
    static SlidingWindowCounter::State state(const SlidingWindowCounter& policy, std::size_t,
                                             const std::int64_t* answer, std::chrono::nanoseconds now) noexcept {
        return {detail::add(now.count(), redis::from_us(answer[2]).count()),
                redis::units_within(policy.limit(), answer[0]), redis::units_within(policy.limit(), answer[1])};
    }
};

}  // namespace sluice

#endif
