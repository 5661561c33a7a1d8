// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_REDIS_POLICY_HPP
#define SLUICE_REDIS_REDIS_POLICY_HPP

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include <sluice/detail/skew.hpp>
#include <sluice/policy.hpp>
#include <sluice/redis/lua/script_frame.hpp>
#include <sluice/redis/lua/settling_frame.hpp>
#include <sluice/redis/wire/resp.hpp>

namespace sluice {

/// How a policy runs in Redis: specialised for each policy that can. The script answers with the state as it was before
/// the request, and the policy itself, in time that is counted in microseconds, makes the Decision out of it.
///
/// A policy may have several variants of its script: the first works for all parameters and is the one that AllOf uses,
/// others are cheaper where the parameters allow. Answers are integers from 0 to 2^53.
///
///     static constexpr std::size_t keys;                          // that one decision takes
///     static constexpr std::array<std::size_t, variants> values;  // integers in an answer, behind a common now
///     static constexpr std::array<std::array<detail::redis::ScriptPart, keys>, variants> parts;
///     static std::size_t variant(const P&);
///     static std::string_view problem(const P&);                  // why it can't be exact in Redis, or empty
///     static void arguments(const P&, std::size_t variant, std::int64_t min_life_ms, detail::redis::Arguments&);
///     static void bounds(const P&, nanoseconds max_delay, detail::redis::Arguments&);  // of each part that paces
///     static auto at_server_resolution(const P&);                 // a Policy that steps such a state
///     static State state(const P&, std::size_t variant, const std::int64_t* answer, std::chrono::nanoseconds now);
///     static nanoseconds now(const P&, std::size_t variant, const std::int64_t* answer);  // one that suits the answer
template <Policy P>
struct RedisPolicy {};

namespace detail::redis {

/// A policy that has a script. Others are read, stepped here, and swapped, if they have a codec.
template <class P>
concept ScriptedPolicy = Policy<P> && requires {
    RedisPolicy<P>::parts;
};

inline constexpr std::chrono::nanoseconds resolution = std::chrono::microseconds{1};

/// How far a script may find a state ahead of its policy's own reach and still decide as at the state's time.
inline constexpr std::int64_t tolerated_skew_us = detail::tolerated_skew / resolution;

/// Lua's numbers are doubles: whole numbers up to here are exact.
inline constexpr std::int64_t max_exact = std::int64_t{1} << 53;

/// The latest time that scripts count with, in us since the epoch: the year 2100.
inline constexpr std::int64_t max_time_us = 4'102'444'800'000'000;

/// How long to keep a key whose state is that of a fresh one after `span`: a second longer, in milliseconds.
inline std::int64_t life_ms(std::chrono::nanoseconds span, std::int64_t least) noexcept {
    return std::max(least, std::chrono::ceil<std::chrono::milliseconds>(span).count() + 1'000);
}

inline std::chrono::nanoseconds from_us(std::int64_t us) noexcept { return std::chrono::microseconds{us}; }

/// What the policies of a window have in common: their arguments, and that they do not pace. A key lives for so many windows.
template <class P, int windows>
struct WindowPolicy {
    static constexpr std::size_t keys = 1;

    static std::string_view problem(const P& policy) noexcept {
        return policy.window() % resolution != std::chrono::nanoseconds{0}
                   ? "has a window that is no whole number of microseconds"
                   : "";
    }
    static void arguments(const P& policy, std::size_t, std::int64_t min_life_ms, Arguments& out) {
        out.add(policy.window() / resolution);
        out.add(policy.limit());
        out.add(life_ms(windows * policy.window() + detail::tolerated_skew, min_life_ms));
    }
    static void bounds(const P&, std::chrono::nanoseconds, Arguments&) noexcept {}
};

}  // namespace detail::redis

}  // namespace sluice

#endif
