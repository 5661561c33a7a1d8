// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_LUA_SLIDING_WINDOW_HPP
#define SLUICE_REDIS_LUA_SLIDING_WINDOW_HPP

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <string_view>

#include <sluice/detail/saturate.hpp>
#include <sluice/policies/sliding_window.hpp>
#include <sluice/redis/redis_policy.hpp>

namespace sluice {

namespace detail::redis {

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

}  // namespace detail::redis

/// The key is a list of admissions, oldest first: time in us, units before it (modulo 2^32) and its units, 15 bytes each
/// whatever the cost. The answer is the number of units in the window, the us until the newest leaves, and, where `n`
/// units do not fit, the us until they would.
///
/// The key's life is set to two windows by the first admission in each window of time, counted from the epoch: the last
/// admission in that window has left by then. Setting it each time would cost nearly a tenth of the script.
template <>
struct RedisPolicy<SlidingWindow> : detail::redis::WindowPolicy<SlidingWindow, 2> {
    static constexpr std::array<std::size_t, 1> values{3};
    static constexpr std::array<std::array<detail::redis::ScriptPart, 1>, 1> parts{{{{{
        .function = "sliding_window",
        .lua = R"lua(-- An entry's time, units before it and units.
local function sliding_window_entry(key, index)
  return struct.unpack('<dI4I3', redis.call('LINDEX', key, index))
end

-- The index, time and units before of the first entry, from index `from` on, that came after `edge` and with which there
-- are `count` units since `base`: by doubling steps, then by halving them.
local function sliding_window_find(key, from, edge, base, count)
  local low, high, last = from, from, redis.call('LLEN', key) - 1
  local function is_before(index)
    local time, before, units = sliding_window_entry(key, index)
    return time <= edge or (before + units - base) % 4294967296 < count
  end
  while high < last and is_before(high) do
    low, high = high + 1, math.min(2 * high - from + 1, last)
  end
  while low < high do
    local middle = math.floor((low + high) / 2)
    if is_before(middle) then low = middle + 1 else high = middle end
  end
  return high, sliding_window_entry(key, high)
end

-- A log of so many units of now alone.
local function sliding_window_restarted(now, units)
  return { clear = true, time = now, before = 0, units = units, prolong = true }
end

-- A key is a list of admissions, oldest first: time, units before it (modulo 2^32), units. A newest time that is ahead by
-- up to `skew` us is decided at (now is late); further ahead, the clock was set back: the log is full of now. What has
-- left the window is dropped by an admission alone, whose own time is then the newest.
local function sliding_window(key, n, now, size, limit, skew)
  local entry = redis.pcall('LINDEX', key, '-1')
  if entry and #entry ~= 15 then return end
  if n < -2^52 then return 0, 0, 0, { clear = true, units = 0 } end
  local newest, before, units = now - size, 0, 0
  if entry then newest, before, units = struct.unpack('<dI4I3', entry) end
  if newest > now + skew then
    local after = n < 0 and sliding_window_restarted(now, math.max(0, limit + n))
    return limit, size, size, after, sliding_window_restarted(now, limit)
  elseif newest <= now - size then
    return 0, 0, 0, n >= 0 and n <= limit and sliding_window_restarted(now, n)
  end
  local time, total = math.max(now, newest), before + units
  local edge = time - size
  local gone, oldest, base = 0, sliding_window_entry(key, '0')
  if oldest <= edge then
    gone, oldest, base = 1, sliding_window_entry(key, '1')
    if oldest <= edge then gone, oldest, base = sliding_window_find(key, 2, edge, base, 0) end
  end
  local used, left = (total - base) % 4294967296, newest + size - now
  if n < 0 then
    if used + n <= 0 then return used, left, 0, { clear = gone == 0, gone = 0, last = gone - 1, units = 0 } end
    local index, at, b = sliding_window_find(key, gone, edge, base, used + n)
    return used, left, 0, { gone = 0, last = index, time = at, before = b, units = (base + used + n - b) % 4294967296 }
  elseif used + n <= limit then
    local prolong = newest < now - now % size
    return used, left, 0, { gone = gone, time = time, before = total % 4294967296, units = n, prolong = prolong }
  end
  local _, at = sliding_window_find(key, gone, edge, base, used + n - limit)
  return used, left, at + size - now
end

-- Drops `gone` entries, and those behind `last`; appends one, or puts it in the place of the last.
local function sliding_window_write(key, after, life)
  if after.clear then redis.call('DEL', key) end
  if after.gone and (after.gone > 0 or after.last) then redis.call('LTRIM', key, after.gone, after.last or -1) end
  if after.units == 0 then return end
  local entry = struct.pack('<dI4I3', after.time, after.before, after.units)
  if after.last then redis.call('LSET', key, '-1', entry) else redis.call('RPUSH', key, entry) end
  if after.prolong then redis.call('PEXPIRE', key, life) end
end
)lua",
        .arguments = {{"size", "limit"}},
        .replies = {{"used", "left", "retry"}},
        .holds = detail::redis::ScriptPart::Holds::list,
        .give_back =
            R"lua(-- From the entries of exactly that time. Those behind count fewer units before them; where one has none left, the others
-- move up.
local function sliding_window_give_back(key, units, consumed_at)
  local length, given = redis.call('LLEN', key), 0
  if length == 0 then return end
  local place = sliding_window_find(key, 0, consumed_at - 1, 0, 0)
  for index = place, length - 1 do
    local time, before, own = sliding_window_entry(key, index)
    before = (before - given) % 4294967296
    if time == consumed_at then
      local some = math.min(own, units - given)
      own, given = own - some, given + some
    end
    if given == 0 then return end
    if own > 0 then
      redis.call('LSET', key, place, struct.pack('<dI4I3', time, before, own))
      place = place + 1
    end
  end
  if place == 0 then redis.call('DEL', key) else redis.call('LTRIM', key, 0, place - 1) end
end
)lua",
    }}}}};

    static constexpr std::size_t variant(const SlidingWindow&) noexcept { return 0; }

    static detail::redis::LogSummary at_server_resolution(const SlidingWindow& policy) noexcept {
        return detail::redis::LogSummary{policy};
    }
    static constexpr std::chrono::nanoseconds now(const SlidingWindow&, std::size_t, const std::int64_t*) noexcept {
        return {};
    }
    static detail::redis::LogSummary::State state(const SlidingWindow& policy, std::size_t, const std::int64_t* answer,
                                                  std::chrono::nanoseconds) noexcept {
        return {detail::count_within(policy.limit(), answer[0]), detail::redis::from_us(answer[1]),
                detail::redis::from_us(answer[2])};
    }
};

}  // namespace sluice

#endif
