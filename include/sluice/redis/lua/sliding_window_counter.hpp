// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_LUA_SLIDING_WINDOW_COUNTER_HPP
#define SLUICE_REDIS_LUA_SLIDING_WINDOW_COUNTER_HPP

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
struct RedisPolicy<SlidingWindowCounter> : detail::redis::WindowPolicy<SlidingWindowCounter, 2> {
    static constexpr std::array<std::size_t, 1> values{3};
    static constexpr std::array<std::array<detail::redis::ScriptPart, 1>, 1> parts{{{{{
        .function = "sliding_window_counter",
        .lua =
            R"lua(-- A key holds a window's number since the epoch, the previous window's count and its own. A window to come that begins
-- within `skew` us is decided on (now is late); later ones mean that the clock was set back: the present one is used up.
local function sliding_window_counter(state, n, now, size, limit, window, left, skew)
  local old, new = 0, 0
  if state then
    local at, was_old, was_new = string.match(state, '^(%d+) (%d+) (%d+)$')
    if not at then return end
    if n < -2^52 then return old, new, left, '0 0 0' end
    local ahead = at - window
    if ahead == 0 then
      old, new = was_old + 0, was_new + 0
    elseif ahead == -1 then
      old = was_new + 0
    elseif ahead > 0 and left + (ahead - 1) * size > skew then
      local after
      if n < 0 then after = string.format('%d 0 %d', window, math.max(0, limit + n)) end
      return 0, limit, left, after, string.format('%d 0 %d', window, limit)
    elseif ahead > 0 then
      window, left, old, new = at, left + ahead * size, was_old + 0, was_new + 0
    end
  end
  if n < 0 then
    if old + new == 0 then return old, new, left end
    local from_old = math.max(0, -n - new)
    return old, new, left, string.format('%d %d %d', window, math.max(0, old - from_old), math.max(0, new + n))
  end
  -- The previous count weighs old * rest of the window / size, rounded up; where the product exceeds a double's 53 bits,
  -- it is multiplied bit by bit, reduced after each.
  local rest = math.min(left, size)
  local weight = old * rest
  if weight <= 9007199254740992 then
    weight = math.ceil(weight / size)
  else
    local count, over, bit = old, 0, 9007199254740992
    weight = 0
    while bit >= 1 do
      weight, over = weight * 2, over * 2
      if count >= bit then count, over = count - bit, over + rest end
      while over >= size do weight, over = weight + 1, over - size end
      bit = bit / 2
    end
    if over > 0 then weight = weight + 1 end
  end
  if new + n + weight <= limit then
    return old, new, left, string.format('%d %d %d', window, old, new + n)
  end
  return old, new, left
end
)lua",
        .arguments = {{"size", "limit"}},
        .prepare = R"lua(local gone = now % size
local window, lasts = (now - gone) / size, size - gone
)lua",
        .prepared = {{"window", "lasts"}},
        .replies = {{"old", "new", "left"}},
        .holds = detail::redis::ScriptPart::Holds::text,
        .give_back = R"lua(local function sliding_window_counter_give_back(state, units, consumed_at, size, limit)
  local window, old, new = string.match(state or '0 0 0', '(%d+) (%d+) (%d+)')
  local later = window - (consumed_at - consumed_at % size) / size
  if later == 0 then
    return string.format('%d %d %d', window, old, math.max(0, new - units))
  elseif later == 1 then
    return string.format('%d %d %d', window, math.max(0, old - units), new)
  end
end
)lua",
    }}}}};

    static constexpr std::size_t variant(const SlidingWindowCounter&) noexcept { return 0; }
    static std::string_view problem(const SlidingWindowCounter& policy) noexcept {
        if (const auto problem = WindowPolicy::problem(policy); !problem.empty()) return problem;
        if (policy.window() > std::chrono::hours{24 * 365 * 90}) return "has a window of more than 90 years";
        if (policy.limit() > detail::redis::max_exact / 4) return "has a limit above 2^51";
        return {};
    }

    static const SlidingWindowCounter& at_server_resolution(const SlidingWindowCounter& policy) noexcept {
        return policy;
    }
    static std::chrono::nanoseconds now(const SlidingWindowCounter& policy, std::size_t,
                                        const std::int64_t* answer) noexcept {
        return policy.window() - detail::redis::from_us(answer[2]);
    }
    static SlidingWindowCounter::State state(const SlidingWindowCounter& policy, std::size_t,
                                             const std::int64_t* answer, std::chrono::nanoseconds now) noexcept {
        return {detail::add(now.count(), detail::redis::from_us(answer[2]).count()),
                detail::count_within(policy.limit(), answer[0]), detail::count_within(policy.limit(), answer[1])};
    }
};

}  // namespace sluice

#endif
