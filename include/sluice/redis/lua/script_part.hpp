// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_LUA_SCRIPT_PART_HPP
#define SLUICE_REDIS_LUA_SCRIPT_PART_HPP

#include <array>
#include <cstddef>
#include <string_view>

namespace sluice::detail::redis {

/// A list of Lua names.
struct LuaNames {
    static constexpr std::size_t most = 8;
    std::array<std::string_view, most> names{};  ///< empty ones behind the last
};

/// A policy's part of a script: a Lua function that decides about one key, and what the frame has to know to call it.
///
///     <replies>, after, repaired, same = <function>(state, n, now, <arguments>, <prepared>, skew)
///
/// state      what the key holds, or false; of a list the key's name
/// n          units to consume; below 0 to give back; below -2^52 to forget the key
/// now        us since the epoch
/// prepared   what depends on the time and the arguments alone, computed once for all decisions; no name of a reply
/// skew       how far ahead of now, in us, a state may be more than its policy puts it: detail::tolerated_skew
/// replies    the state as it is at now, as integers from 0; nil where the key holds something else
/// after      the state with the units consumed or given back; nil where they do not fit, or nothing changes
/// repaired   what a denial writes: the state used up, where the clock was set back; else nil
/// same       true where the number in the key may be incremented by n, which costs less than to set it
///
/// It writes nothing itself: several parts of an AllOf look before any writes.
struct ScriptPart {
    /// What the key holds. A list's `after` is for `<function>_write(key, after, life)`.
    enum class Holds { number, text, list };

    std::string_view function{};  ///< its name
    std::string_view lua{};       ///< its text
    LuaNames arguments{};         ///< numbers in ARGV, before the key's life in ms
    std::string_view prepare{};   ///< statements that set `prepared`, out of `now` and the arguments
    LuaNames prepared{};
    LuaNames replies{};
    std::string_view reply{};  ///< an expression for all of them in one, or empty
    Holds holds = Holds::number;
    bool increments = false;  ///< whether there is a `same`
    bool paces = false;       ///< whether the first reply bounds the delay

    /// <function>_give_back(state, units, consumed_at, <arguments>) -> after; of a list it writes itself. Empty where that is the same as to give back units of now.
    std::string_view give_back{};
};

}  // namespace sluice::detail::redis

#endif
