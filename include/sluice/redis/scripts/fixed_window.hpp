// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_SCRIPTS_FIXED_WINDOW_HPP
#define SLUICE_REDIS_SCRIPTS_FIXED_WINDOW_HPP

#include <array>
#include <chrono>
#include <cstdint>
#include <string_view>

#include <sluice/detail/saturate.hpp>
#include <sluice/policies/fixed_window.hpp>
#include <sluice/redis/redis_policy.hpp>

namespace sluice {

/// The key is one integer, w * (limit + 1) + used in window w since the epoch: while the window lasts it is only
/// incremented. The answer is `used`, and the us until its window ends.
template <>
struct RedisPolicy<FixedWindow> {
    static constexpr std::size_t keys = 1;
    static constexpr std::size_t values = 2;
    static constexpr std::array<redis::ScriptPart, 1> parts{{{
        .arguments = 3,
        .setup = R"(local size@, most@, life@ = $1 + 0, $2 + 1, $3
local rest@ = size@ - now % size@
local first@ = floor(now / size@) * most@
)",
        // A state of the next window is the present within the last millisecond of this one (a clock that trembles),
        // else its clock was ahead, and its count is taken along.
        .look = R"(local at@ = tonumber(v@ or 0)
if not at@ then BAD end
local base@, left@, used@, ahead@ = first@, rest@, at@ - first@, false
local same@ = v@ ~= false and used@ >= 0
if not same@ then
  used@ = 0
elseif used@ >= most@ then
  if used@ < 2 * most@ and rest@ <= 1000 then
    base@, left@, used@ = first@ + most@, rest@ + size@, used@ - most@
  else
    used@, ahead@, same@ = used@ % most@, true, false
  end
end
local fits@ = used@ + n < most@
)",
        .take = "v@ = base@ + used@ + n\nSAVE@",
        .deny = "if ahead@ and not fits@ then\nv@ = base@ + used@\nSAVE@end\n",
        .give = "if used@ > 0 then\nv@ = base@ + math.max(0, used@ + n)\nsame@ = false\nSAVE@end\n",
        .answer = "used@, left@",
        .save = "if same@ then call('INCRBY', key@, n) else call('SET', key@, STORED@, 'PX', life@) end\n",
    }}};

    static std::string_view problem(const FixedWindow& policy) noexcept {
        if (policy.window() % redis::resolution != std::chrono::nanoseconds{0})
            return "has a window that is no whole number of microseconds";
        const auto windows =
            redis::max_time_us / std::chrono::duration_cast<std::chrono::microseconds>(policy.window()).count() + 2;
        if (detail::uint128{policy.limit() + 1} * static_cast<std::uint64_t>(windows) > redis::max_exact) {
            return "takes more than two million units a second";
        }
        return {};
    }

    static void arguments(const FixedWindow& policy, std::int64_t min_life_ms, redis::Arguments& out) {
        out.add(policy.window() / redis::resolution);
        out.add(policy.limit());
        out.add(redis::life_ms(policy.window(), min_life_ms));
    }

    static const FixedWindow& view(const FixedWindow& policy) noexcept { return policy; }
    static std::chrono::nanoseconds now(const FixedWindow& policy, const std::int64_t* before) noexcept {
        return policy.window() - redis::from_us(before[1]);
    }
    static FixedWindow::State state(const FixedWindow& policy, const std::int64_t* before,
                                    std::chrono::nanoseconds now) noexcept {
        return {detail::add(now.count(), redis::from_us(before[1]).count()),
                redis::units_within(policy.limit(), before[0])};
    }
};

}  // namespace sluice

#endif
