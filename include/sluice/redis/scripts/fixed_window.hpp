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
/// incremented. The answer is `used`, and the us until its window ends; where that fits one integer, both in one, since
/// several cost Redis more than a command.
template <>
struct RedisPolicy<FixedWindow> {
    static constexpr std::size_t keys = 1;
    static constexpr std::array<std::size_t, 2> values{2, 1};
    static constexpr redis::ScriptPart general{
        .arguments = 4,
        .is_number = true,
        .setup = R"(local size@, most@, skew@, life@ = $1 + 0, $2 + 1, $3 + 0, $4
local rest@ = size@ - now % size@
local first@ = floor(now / size@) * most@
)",
        // A state of a window to come is decided on in that window, if that begins within skew@: now is late. Else the
        // clock went back, and the present window is used up. same@: the key may be incremented.
        .look = R"(local used@ = number@ - first@
local base@, left@, same@, ahead@ = first@, rest@, v@, false
if used@ < 0 then
  used@, same@ = 0, false
elseif used@ >= most@ then
  local windows = floor(used@ / most@)
  if rest@ + (windows - 1) * size@ <= skew@ then
    base@, left@, used@ = first@ + windows * most@, rest@ + windows * size@, used@ - windows * most@
  else
    used@, ahead@, same@ = most@ - 1, true, false
  end
end
local fits@ = used@ + n < most@
)",
        .take = "v@ = base@ + used@ + n\nSAVE@",
        .deny = "if ahead@ then\nv@ = base@ + used@\nSAVE@end\n",
        .give = "if used@ > 0 then\nv@, same@ = base@ + math.max(0, used@ + n), false\nSAVE@end\n",
        .answer = "used@, left@",
        .save = "if same@ then call('INCRBY', key@, units) else WRITE@ end\n",
        // By so many units; true once it has to be written anew.
        .note_change = R"(local change@ = changes[place@]
if not same@ then
  changes[place@] = true
elseif change@ ~= true then
  changes[place@] = change@ and change@ + n or units
end
)",
        .write_change = "if change@ ~= true then call('INCRBY', key@, change@) else WRITE@ end\n",
    };
    static constexpr redis::ScriptPart packed = [] {
        redis::ScriptPart part = general;
        part.answer = "left@ * most@ + used@";
        return part;
    }();
    static constexpr std::array<std::array<redis::ScriptPart, 1>, 2> parts{{{general}, {packed}}};

    static std::size_t form(const FixedWindow& policy) noexcept {
        const auto most_left = static_cast<std::uint64_t>(policy.window() / redis::resolution + redis::tolerated_skew_us);
        return detail::uint128{most_left} * (policy.limit() + 1) < static_cast<detail::uint128>(redis::max_exact) ? 1
                                                                                                                  : 0;
    }

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

    static void arguments(const FixedWindow& policy, std::size_t, std::int64_t min_life_ms, redis::Arguments& out) {
        out.add(policy.window() / redis::resolution);
        out.add(policy.limit());
        out.add(redis::tolerated_skew_us);
        out.add(redis::life_ms(policy.window() + detail::tolerated_skew, min_life_ms));
    }

    static const FixedWindow& view(const FixedWindow& policy) noexcept { return policy; }
    static std::chrono::nanoseconds now(const FixedWindow& policy, std::size_t form,
                                        const std::int64_t* answer) noexcept {
        return policy.window() - redis::from_us(left(policy, form, answer));
    }
    static FixedWindow::State state(const FixedWindow& policy, std::size_t form, const std::int64_t* answer,
                                    std::chrono::nanoseconds now) noexcept {
        const auto used = form == 0 ? answer[0] : answer[0] % most(policy);
        return {detail::add(now.count(), redis::from_us(left(policy, form, answer)).count()),
                redis::units_within(policy.limit(), used)};
    }

private:
    static std::int64_t most(const FixedWindow& policy) noexcept {
        return static_cast<std::int64_t>(policy.limit()) + 1;
    }
    static std::int64_t left(const FixedWindow& policy, std::size_t form, const std::int64_t* answer) noexcept {
        return form == 0 ? answer[1] : answer[0] / most(policy);
    }
};

}  // namespace sluice

#endif
