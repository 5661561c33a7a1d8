// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_LUA_SETTLING_FRAME_HPP
#define SLUICE_REDIS_LUA_SETTLING_FRAME_HPP

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <sluice/redis/lua/script_head.hpp>
#include <sluice/redis/lua/script_part.hpp>

namespace sluice::detail::redis {

/// Writes the script of a policy for what is asked seldom: to tell what was taken and when, to take what is there, to give
/// back as of a time, to mind the longest delay. Apart, so that the usual operations pay nothing for it; it is the same for
/// one decision and for several.
class SettlingFrame : ScriptHead {
public:
    SettlingFrame(std::span<const ScriptPart> parts, bool timed) : ScriptHead(parts, timed) {}

    std::string single() const { return batch(); }
    std::string batch() const {
        std::vector<std::string> replies{"now", "taken"};
        std::string foreign, fits, bounds, bound_names, results;
        std::size_t a = arguments() + 2;
        for (const Part& part : parts()) {
            for (const auto& name : part.replies()) replies.push_back(name);
            results += (results.empty() ? "" : ", ") + part.results();
            foreign += (foreign.empty() ? "" : " or ") + part.is_foreign();
            fits += (fits.empty() ? "" : " and ") + part("after");
            if (!part.part.paces) continue;
            fits += " and (n == 0 or " + part.replies()[0] + " <= " + part("bound") + ')';
            bounds += "local " + part("bound") + " = ARGV[" + std::to_string(++a) + "] + 0\n";
            bound_names += part("bound") + ", ";
        }
        std::string text = head(
            "-- KEYS   one for each policy, for each decision\n-- ARGV   " + arguments_comment() +
                ", operation, consumed_at, " + bound_names +
                "units for each decision or once for all\n--        operation: consume, take (what is there, at "
                "most `units`), give_back (what was consumed at that time),\n--        carry (`units` where the whole "
                "limit, in the place of consumed_at, is there); a bound is the largest\n--        debt with which "
                "something is consumed\n-- reply  for each decision " +
                joined(replies) + ", or a single -1 where a key holds something else\n",
            true);
        text += "local operation, consumed_at = ARGV[" + std::to_string(arguments() + 1) + "], ARGV[" +
                std::to_string(arguments() + 2) + "] + 0\n" + bounds;
        text += "local answers, a, units = {}, " + std::to_string(a) + ", 0\nfor i = 1, #KEYS" + step() +
                " do\n  a = a + 1\n  if ARGV[a] then units = ARGV[a] + 0 end\n";
        for (const Part& part : parts()) {
            text += "  local " + part("key") + " = KEYS[i" + plus(part.index) + "]\n";
            if (!part.is(Holds::list)) text += "  local " + part("state") + " = call('GET', " + part("key") + ")\n";
        }
        text += "  local " + results +
                "\n\n  -- `low` units fit, `high` do not; a take goes on until it knows how many do, or that not one "
                "does.\n"
                "  local n, low, high, fits = operation == 'give_back' and 0 or units, 0, units + 1\n"
                "  local entire = operation == 'carry' and consumed_at\n  n = entire or n\n  repeat\n";
        for (const Part& part : parts())
            text += "    " + part.results() + " =\n      " + part.call(state_of(part)) + "\n";
        text +=
            "    fits = " + fits +
            "\n    if entire then\n      n, entire = fits and math.min(units, entire) or 0, nil\n    else\n"
            "      if fits then low = n else high = n end\n"
            "      if operation ~= 'take' or high <= 1 or (fits and high - low == 1) then break end\n"
            "      if high - low == 1 then n = low else n = math.floor((low + high) / 2) end\n    end\n"
            "  until false\n"
            "  local taken = fits and n or 0\n\n  if " +
            foreign +
            " then\n    answers[#answers + 1] = '-1'\n  else\n    if operation == 'give_back' and units > 0 then\n" +
            give_back() + "    elseif taken > 0 then\n" + write_all("after", "      ", false) +
            "    elseif n > 0 then\n" + write_all("repaired", "      ", true) +
            "    end\n    answers[#answers + 1] = " + as_text(replies) +
            "\n  end\nend\nreturn table.concat(answers, ' ')\n";
        return text;
    }

private:
    static std::string state_of(const Part& part) { return part.is(Holds::list) ? part("key") : part("state"); }

    std::string write_all(std::string_view name, const std::string& in, bool if_any) const {
        std::string text;
        for (const Part& part : parts()) {
            const std::string write = part.write(part("key"), name);
            text += in + (if_any ? "if " + part(name) + " then " + write + " end" : write) + '\n';
        }
        return text;
    }

    std::string give_back() const {
        std::string text = "      n = -units\n";
        for (const Part& part : parts()) {
            if (part.part.give_back.empty()) {
                text += "      " + part.replies()[0] + ", " + part("after") + " = " + part.call(state_of(part)) + "\n";
            } else {
                text += (part.is(Holds::list) ? "      " : "      " + part("after") + " = ") +
                        std::string{part.part.function} + "_give_back(" + state_of(part) + ", units, consumed_at, " +
                        joined(part.arguments()) + ")\n";
            }
            if (part.is(Holds::list)) continue;
            text += "      if " + part("after") + " then " + part.write(part("key")) + " end\n";
        }
        return text;
    }
};

}  // namespace sluice::detail::redis

#endif
