// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_LUA_FIXED_WINDOW_HPP
#define SLUICE_REDIS_LUA_FIXED_WINDOW_HPP

#include <array>
#include <chrono>
#include <cstdint>
#include <string_view>

#include <sluice/detail/saturate.hpp>
#include <sluice/policies/fixed_window.hpp>
#include <sluice/redis/redis_policy.hpp>

namespace sluice {

/// The key is one integer, w * (limit + 1) + used in window w since the epoch: while the window lasts it is only
/// incremented. The answer is `used`, and the us until its window ends; where that fits one integer, both in one, since
/// several cost Redis more than a command.
template <>
struct RedisPolicy<FixedWindow> : detail::redis::WindowPolicy<FixedWindow, 1> {
    static constexpr std::array<std::size_t, 2> values{2, 1};
    static constexpr detail::redis::ScriptPart general{
        .function = "fixed_window",
        .lua =
            R"lua(-- A key holds window * (limit + 1) + used, so that in the same window it is only incremented. A window to come that
-- begins within `skew` us is decided on (now is late); later ones mean that the clock was set back: the present one is
-- used up.
local function fixed_window(state, n, now, size, limit, first, left, skew)
  local used = (state or 0) - first
  if n < -2^52 then
    return 0, left, state and 0
  elseif used > limit then
    local row = limit + 1
    local ahead = math.floor(used / row)
    if left + (ahead - 1) * size > skew then
      local after
      if n < 0 then after = first + math.max(0, limit + n) end
      return limit, left, after, first + limit
    end
    first, left, used = first + ahead * row, left + ahead * size, used - ahead * row
  elseif not (used >= 0) then
    used, state = 0, nil
  end
  if n < 0 then
    if used == 0 then return used, left end
    return used, left, first + math.max(0, used + n)
  elseif used + n <= limit then
    return used, left, first + used + n, nil, state
  end
  return used, left
end
)lua",
        .arguments = {{"size", "limit"}},
        .prepare = R"lua(-- What a key holds at first in the window of now, and how long that window lasts.
local gone = now % size
local first, lasts = (now - gone) / size * (limit + 1), size - gone
)lua",
        .prepared = {{"first", "lasts"}},
        .replies = {{"used", "left"}},
        .increments = true,
        .give_back = R"lua(local function fixed_window_give_back(state, units, consumed_at, size, limit)
  local first = (consumed_at - consumed_at % size) / size * (limit + 1)
  local used = (state or 0) - first
  if used > 0 and used <= limit then return first + math.max(0, used - units) end
end
)lua",
    };
    static constexpr detail::redis::ScriptPart packed = [] {
        detail::redis::ScriptPart part = general;
        part.reply = "left * (limit + 1) + used";
        return part;
    }();
    static constexpr std::array<std::array<detail::redis::ScriptPart, 1>, 2> parts{{{general}, {packed}}};

    static std::size_t variant(const FixedWindow& policy) noexcept {
        const auto most_left =
            static_cast<std::uint64_t>(policy.window() / detail::redis::resolution + detail::redis::tolerated_skew_us);
        return detail::uint128{most_left} * (policy.limit() + 1) <
                       static_cast<detail::uint128>(detail::redis::max_exact)
                   ? 1
                   : 0;
    }

    static std::string_view problem(const FixedWindow& policy) noexcept {
        if (const auto problem = WindowPolicy::problem(policy); !problem.empty()) return problem;
        const auto windows = detail::redis::max_time_us /
                                 std::chrono::duration_cast<std::chrono::microseconds>(policy.window()).count() +
                             2;
        if (detail::uint128{policy.limit() + 1} * static_cast<std::uint64_t>(windows) > detail::redis::max_exact) {
            return "takes more than two million units a second";
        }
        return {};
    }

    static const FixedWindow& at_server_resolution(const FixedWindow& policy) noexcept { return policy; }
    static std::chrono::nanoseconds now(const FixedWindow& policy, std::size_t variant,
                                        const std::int64_t* answer) noexcept {
        return policy.window() - detail::redis::from_us(left(policy, variant, answer));
    }
    static FixedWindow::State state(const FixedWindow& policy, std::size_t variant, const std::int64_t* answer,
                                    std::chrono::nanoseconds now) noexcept {
        const auto used = variant == 0 ? answer[0] : answer[0] % most(policy);
        return {detail::add(now.count(), detail::redis::from_us(left(policy, variant, answer)).count()),
                detail::count_within(policy.limit(), used)};
    }

private:
    static std::int64_t most(const FixedWindow& policy) noexcept {
        return static_cast<std::int64_t>(policy.limit()) + 1;
    }
    static std::int64_t left(const FixedWindow& policy, std::size_t variant, const std::int64_t* answer) noexcept {
        return variant == 0 ? answer[1] : answer[0] / most(policy);
    }
};

}  // namespace sluice

#endif
