// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_LUA_PART_TEXT_HPP
#define SLUICE_REDIS_LUA_PART_TEXT_HPP

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <sluice/redis/lua/script_part.hpp>

namespace sluice::detail::redis {

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

    /// What the script computes once: a single part's statements as they are, of several each in a function, where
    /// their names are their own.
    std::string prepare() const {
        if (part.prepare.empty()) return {};
        if (suffix.empty()) return std::string{part.prepare};
        return "local " + joined(prepared()) + " = prepare_" + std::string{part.function} + "(now, " +
               joined(arguments()) + ")\n";
    }
    /// `settles`: also that which gives back.
    std::string functions(bool settles) const {
        std::string text{part.lua};
        if (settles && !part.give_back.empty()) text += '\n' + std::string{part.give_back};
        if (part.prepare.empty() || suffix.empty()) return text;
        text += "\nlocal function prepare_" + std::string{part.function} + "(now, " + plain(part.arguments) + ")\n";
        for (std::string_view rest = part.prepare; !rest.empty();) {
            const auto line = rest.substr(0, rest.find('\n') + 1);
            text += "  " + std::string{line};
            rest.remove_prefix(line.size());
        }
        return text + "  return " + plain(part.prepared) + "\nend\n";
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
