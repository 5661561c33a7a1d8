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

/// The key is a list of the times in us of all admitted units, packed as doubles, so that most requests read one
/// element and write one:
///
///     chunk, chunk ... chunk, head
///
/// The head is the number of chunks, the bytes of the front, the front (the oldest times) and the back (the newest, up
/// to eight). A chunk is eight of the times between them. An admission drops from the front what has left the window,
/// and appends to the back; a front that is nearly used up takes in the first chunk, and a back that would grow beyond
/// eight becomes the last one. So as a rule a request costs O(1), an admission or a refund of n units O(n). While there are
/// chunks, neither front nor back is empty; without, the bytes of the front are 64 at least, filled or not.
///
/// The answer is the number of units in the window, the us until the newest leaves, and, where `n` units do not fit,
/// the us until they would.
///
/// The key's life is set to two windows by the first admission in each window of time, counted from the epoch: the last
/// admission in that window has left by then. Setting it each time would cost nearly a tenth of the script. What
/// commands take is text, because Redis 7.0 is slow at printing numbers.
template <>
struct RedisPolicy<SlidingWindow> {
    static constexpr std::size_t keys = 1;
    static constexpr std::array<std::size_t, 1> values{3};
    static constexpr std::array<std::array<redis::ScriptPart, 1>, 1> parts{{{{{
        .arguments = 4,
        .is_string = false,
        .setup = R"(local size@, limit@, skew@, life@ = $1 + 0, $2 + 0, $3 + 0, $4
local pack@, unpack@, sub@ = struct.pack, struct.unpack, string.sub
)",
        // The gone@ oldest units have left the window. Where the newest time is ahead of now by up to skew@, now is late:
        // decided as at that time. Further ahead, the clock went back: the log is taken for full of now.
        .look = R"(local head@ = redis.pcall('LINDEX', key@, '-1')
local chunks@, front@, length@, gone@ = 0, 64, 0, 0
local newest@, ahead@, retry@ = 0, false, 0
if head@ then
  if #head@ < 16 or #head@ % 8 > 0 then BAD end
  local oldest
  chunks@, front@, oldest = unpack@('<IId', head@)
  if chunks@ > 0 and front@ > #head@ - 16 then BAD end
  newest@ = unpack@('<d', head@, #head@ - 7)
  length@ = #head@ / 8 - 1 + 8 * chunks@
  ahead@ = newest@ > now + skew@
  local edge = math.max(now, newest@) - size@
  local several = false
  if ahead@ then
    head@, chunks@, front@, length@, newest@ = false, 0, 64, 0, now
    if n <= limit@ then retry@ = size@ end
  elseif newest@ <= edge then
    gone@ = length@
  elseif oldest <= edge then
    gone@ = 1
    several = front@ == 8 or unpack@('<d', head@, 17) <= edge
  end
  if several or length@ - gone@ + n > limit@ then
    local function time(index)
      local byte = 8 * index
      if byte >= front@ + 64 * chunks@ then
        byte = byte - 64 * chunks@
      elseif byte >= front@ then
        byte = byte - front@
        return unpack@('<d', call('LINDEX', key@, format('%d', floor(byte / 64))), byte % 64 + 1)
      end
      return unpack@('<d', head@, 9 + byte)
    end
    -- How many times are up to a bound that the newest exceeds: by doubling steps, then by halving them.
    local function up_to(bound)
      local low, high = 0, 0
      while time(high) <= bound do low, high = high + 1, math.min(2 * high + 1, length@ - 1) end
      while low < high do
        local middle = floor((low + high) / 2)
        if time(middle) <= bound then low = middle + 1 else high = middle end
      end
      return low
    end
    if several then gone@ = up_to(edge) end
    local leaving = length@ + n - limit@ - 1
    if leaving >= gone@ and n <= limit@ then retry@ = time(leaving) + size@ - now end
  end
end
local used@ = ahead@ and limit@ or length@ - gone@
local fits@ = used@ + n <= limit@
)",
        .take = "do\nlocal more, undo = n, 0\nSAVE@end\n",
        .deny = "if ahead@ then\nlocal more, undo = limit@, 0\ncall('DEL', key@)\nSAVE@end\n",
        .give = R"(if ahead@ or -n >= used@ then call('DEL', key@) end
if -n < used@ then
  local more, undo = 0, -8 * n
  if ahead@ then more, undo = limit@ + n, 0 end
  SAVE@
end
)",
        .answer = "used@, used@ > 0 and newest@ + size@ - now or 0, retry@",
        // Drops the gone@ oldest units and `undo` bytes of the newest, and appends `more` of now or of the newest time.
        .save = R"(local drop, front, chunks, times = 8 * gone@, front@, chunks@, ''
if chunks > 0 and front <= drop + 8 then
  local whole = math.max(0, math.min(floor((drop - front) / 64), chunks - 1))
  if whole > 0 then call('LTRIM', key@, format('%d', whole), '-1') end
  times = sub@(head@, 9, 8 + front) .. call('LPOP', key@) .. sub@(head@, 9 + front)
  drop, front, chunks = drop - 64 * whole, front + 64, chunks - whole - 1
  times = sub@(times, 1 + drop)
elseif head@ then
  times = sub@(head@, 9 + drop)
end
front = front - drop
if undo > 0 then
  local back = #times - front
  if chunks > 0 and back <= undo then
    local whole = math.min(floor((undo - back) / 64), chunks - 1)
    local last = format('%d', -2 - whole)
    times = sub@(times, 1, front) .. call('LINDEX', key@, last)
    call('LTRIM', key@, '0', last)
    undo, chunks = undo - back - 64 * whole, chunks - whole - 1
  end
  times = sub@(times, 1, -1 - undo)
end
if chunks == 0 then front = math.max(front, 64) end
local time = pack@('<d', math.max(now, newest@))
while #times + 8 * more > front + 64 do
  local room = (front + 64 - #times) / 8
  times = times .. string.rep(time, room)
  local chunk = sub@(times, 1 + front)
  if head@ then call('LSET', key@, '-1', chunk) else call('RPUSH', key@, chunk) end
  head@, times, chunks, more = false, sub@(times, 1, front), chunks + 1, more - room
end
times = pack@('<II', chunks, front) .. times .. (more == 1 and time or string.rep(time, more))
if head@ then call('LSET', key@, '-1', times) else call('RPUSH', key@, times) end
if length@ == 0 or newest@ < now - now % size@ then call('PEXPIRE', key@, life@) end
)",
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
        out.add(redis::tolerated_skew_us);
        out.add(redis::life_ms(2 * policy.window() + detail::tolerated_skew, min_life_ms));
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
