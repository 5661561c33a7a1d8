// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_LUA_SCRIPT_PART_HPP
#define SLUICE_REDIS_LUA_SCRIPT_PART_HPP

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

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

inline std::string joined(const std::vector<std::string>& texts) {
    std::string all;
    for (const auto& text : texts) all += (all.empty() ? "" : ", ") + text;
    return all;
}

/// What the frame writes of one part: its variables, the call of its function, the commands that store what comes out.
struct PartText {
    ScriptPart part{};
    std::string suffix{};   ///< behind the part's names, of several parts
    std::size_t index = 0;  ///< of its key among those of a decision

    bool is(ScriptPart::Holds what) const noexcept { return part.holds == what; }

    /// A variable's name.
    std::string operator()(std::string_view name) const { return std::string{name} + suffix; }
    std::vector<std::string> names(const LuaNames& list) const {
        std::vector<std::string> all;
        for (const auto name : list.names) {
            if (!name.empty()) all.push_back((*this)(name));
        }
        return all;
    }
    std::vector<std::string> arguments() const { return names(part.arguments); }
    std::vector<std::string> prepared() const { return names(part.prepared); }
    std::vector<std::string> replies() const { return names(part.replies); }

    /// That the function has found the key to hold something else.
    std::string is_foreign() const { return "not " + replies()[0]; }

    std::string results() const {
        std::string all = joined(replies()) + ", " + (*this)("after") + ", " + (*this)("repaired");
        if (part.increments) all += ", " + (*this)("same");
        return all;
    }
    std::string call(const std::string& state) const {
        std::vector<std::string> all{state, "n", "now"};
        for (const auto& name : arguments()) all.push_back(name);
        for (const auto& name : prepared()) all.push_back(name);
        all.push_back("skew");
        return std::string{part.function} + '(' + joined(all) + ')';
    }

    /// What the script computes once: a single part's statements as they are, of several each in a block, where their names
    /// are their own. (A function would cost each run of the script a closure.)
    std::string prepare() const {
        if (part.prepare.empty() || suffix.empty()) return std::string{part.prepare};
        std::string text = "local " + joined(prepared()) + "\ndo\n  local " + plain(part.arguments) + " = " +
                           joined(arguments()) + "\n";
        for (std::string_view rest = part.prepare; !rest.empty();) {
            const auto line = rest.substr(0, rest.find('\n') + 1);
            text += "  " + std::string{line};
            rest.remove_prefix(line.size());
        }
        return text + "  " + joined(prepared()) + " = " + plain(part.prepared) + "\nend\n";
    }
    /// `settles`: also that which gives back.
    std::string functions(bool settles) const {
        std::string text{part.lua};
        if (settles && !part.give_back.empty()) text += '\n' + std::string{part.give_back};
        return text;
    }

    /// Stores `name`, which the function returned.
    std::string write(const std::string& key, std::string_view name = "after") const {
        if (!is(ScriptPart::Holds::list)) return set(key, (*this)(name));
        return std::string{part.function} + "_write(" + key + ", " + (*this)(name) + ", " + (*this)("life") + ')';
    }
    std::string set(const std::string& key, const std::string& value, std::string_view option = "") const {
        const std::string text = is(ScriptPart::Holds::number) ? "string.format('%d', " + value + ')' : value;
        return "call('SET', " + key + ", " + text + ", 'PX', " + (*this)("life") + std::string{option} + ')';
    }

private:
    static std::string plain(const LuaNames& list) { return joined(PartText{}.names(list)); }
};

}  // namespace sluice::detail::redis

#endif
