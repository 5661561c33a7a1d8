// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_SCRIPTS_SLIDING_WINDOW_HPP
#define SLUICE_REDIS_SCRIPTS_SLIDING_WINDOW_HPP

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <string_view>

#include <sluice/policies/sliding_window.hpp>
#include <sluice/redis/redis_policy.hpp>

namespace sluice {

namespace redis {

/// SlidingWindow's decisions out of what the script tells of a log.
class LogSummary {
public:
    struct State {
        std::uint64_t used = 0;
        std::chrono::nanoseconds newest_leaves{0};  ///< from now on
        std::chrono::nanoseconds room_after{0};     ///< until the request at hand fits, if it does not
    };
    static constexpr std::string_view kind = SlidingWindow::kind;

    explicit LogSummary(const SlidingWindow& policy) noexcept : policy_(policy) {}

    Quota quota() const noexcept { return policy_.quota(); }
    auto parameters() const noexcept { return policy_.parameters(); }

    Decision step(State& state, std::chrono::nanoseconds, std::uint64_t cost) const noexcept {
        Decision decision;
        decision.limit = policy_.limit();
        decision.allowed = cost <= decision.limit - state.used;
        if (!decision.allowed) {
            decision.retry_after = cost > decision.limit ? Decision::never : state.room_after;
        } else if (cost != 0) {
            state.used += cost;
            state.newest_leaves = std::max(state.newest_leaves, policy_.window());
        }
        decision.remaining = decision.limit - state.used;
        if (state.used != 0) decision.reset_after = state.newest_leaves;
        return decision;
    }
    std::chrono::nanoseconds expires_at(const State& state) const noexcept { return state.newest_leaves; }

private:
    SlidingWindow policy_;
};

}  // namespace redis

/// The key is a list with the time in us of every admitted unit, the newest last. What has left the window is dropped
/// by the next admission: each unit is pushed once and dropped once, so a request costs O(1), an admission of n units
/// O(n). The answer is the number of units in the window, the us until the newest leaves, and, where `n` units do
/// not fit, the us until they would.
///
/// The key's life is set to two windows by the first admission in each window of time, counted from the epoch: the last
/// admission in that window has left by then. Setting it each time would cost a tenth of the script.
template <>
struct RedisPolicy<SlidingWindow> {
    static constexpr std::size_t keys = 1;
    static constexpr std::array<std::size_t, 1> values{3};
    static constexpr std::array<std::array<redis::ScriptPart, 1>, 1> parts{{{{{
        .arguments = 3,
        .is_string = false,
        .setup = R"(local size@, limit@, life@ = $1 + 0, $2 + 0, $3
local edge@ = now - size@
)",
        // The first `gone` units have left the window: looked for by doubling steps, then by halving them. A newest
        // time more than a millisecond ahead means that the clock went back: such times count as now.
        .look = R"(local length@ = redis.pcall('LLEN', key@)
if type(length@) ~= 'number' then BAD end
local gone@, newest@, ahead@ = 0, 0, false
if length@ > 0 then
  newest@ = call('LINDEX', key@, -1) + 0
  ahead@ = newest@ > now + 1000
  if newest@ <= edge@ then
    gone@ = length@
  else
    local oldest = call('LRANGE', key@, 0, 1)
    if oldest[1] + 0 <= edge@ then gone@ = oldest[2] + 0 <= edge@ and 2 or 1 end
  end
  if gone@ == 2 and length@ > 2 then
    local low, high = 1, 2
    while high < length@ and call('LINDEX', key@, high) + 0 <= edge@ do low, high = high, high * 2 end
    high = math.min(high, length@)
    while high - low > 1 do
      local middle = floor((low + high) / 2)
      if call('LINDEX', key@, middle) + 0 <= edge@ then low = middle else high = middle end
    end
    gone@ = high
  end
  if ahead@ then newest@ = now end
end
local used@ = length@ - gone@
local fits@ = used@ + n <= limit@
local reset@, retry@ = 0, 0
if used@ > 0 then reset@ = newest@ + size@ - now end
if not fits@ and n <= limit@ then
  retry@ = math.min(call('LINDEX', key@, length@ + n - limit@ - 1), ahead@ and now or 9007199254740992) + size@ - now
end
)",
        .take = R"(local time@ = math.max(now, newest@)
if gone@ == 1 then call('LPOP', key@) elseif gone@ > 1 then call('LTRIM', key@, gone@, -1) end
if ahead@ then
  local last = -1
  while -last <= used@ and call('LINDEX', key@, last) + 0 > now do
    call('LSET', key@, last, format('%d', now))
    last = last - 1
  end
end
if n == 1 then
  call('RPUSH', key@, time@)
else
  local times = {}
  time@ = format('%d', time@)
  for left = n, 1, -1000 do
    local count = math.min(left, 1000)
    for j = 1, count do times[j] = time@ end
    call('RPUSH', key@, unpack(times, 1, count))
  end
end
if length@ == 0 or ahead@ or floor(newest@ / size@) < floor(now / size@) then call('PEXPIRE', key@, life@) end
)",
        .deny = R"(if ahead@ and not fits@ then
  local last = -1
  while -last <= used@ and call('LINDEX', key@, last) + 0 > now do
    call('LSET', key@, last, format('%d', now))
    last = last - 1
  end
end
)",
        .give = R"(if -n >= used@ then
  call('DEL', key@)
else
  call('LTRIM', key@, gone@, n - 1)
end
)",
        .answer = "used@, reset@, retry@",
    }}}}};

    static constexpr std::size_t form(const SlidingWindow&) noexcept { return 0; }
    static std::string_view problem(const SlidingWindow& policy) noexcept {
        if (policy.window() % redis::resolution != std::chrono::nanoseconds{0})
            return "has a window that is no whole number of microseconds";
        return {};
    }

    static void arguments(const SlidingWindow& policy, std::size_t, std::int64_t min_life_ms, redis::Arguments& out) {
        out.add(policy.window() / redis::resolution);
        out.add(policy.limit());
        out.add(redis::life_ms(2 * policy.window(), min_life_ms));
    }

    static redis::LogSummary view(const SlidingWindow& policy) noexcept { return redis::LogSummary{policy}; }
    static constexpr std::chrono::nanoseconds now(const SlidingWindow&, std::size_t, const std::int64_t*) noexcept {
        return {};
    }
    static redis::LogSummary::State state(const SlidingWindow& policy, std::size_t, const std::int64_t* answer,
                                          std::chrono::nanoseconds) noexcept {
        return {redis::units_within(policy.limit(), answer[0]), redis::from_us(answer[1]), redis::from_us(answer[2])};
    }
};

}  // namespace sluice

#endif
