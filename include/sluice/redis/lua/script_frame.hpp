// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_LUA_SCRIPT_FRAME_HPP
#define SLUICE_REDIS_LUA_SCRIPT_FRAME_HPP

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include <sluice/redis/lua/script_head.hpp>
#include <sluice/redis/lua/script_part.hpp>

namespace sluice::detail::redis {

/// Writes the scripts of a policy for the usual operations. tests/unit/redis/golden holds what comes out.
class ScriptFrame : ScriptHead {
public:
    /// `timed`: the time is the first argument, in us, instead of the server's. For tests.
    ScriptFrame(std::span<const ScriptPart> parts, bool timed) : ScriptHead(parts, timed) {}

    /// One decision.
    std::string single() const {
        std::string text = head(
            "-- KEYS   one for each policy\n"
            "-- ARGV   " +
            arguments_comment() +
            ", units (below 0 to give back, behind a 0 only to look)\n"
            "-- reply  " +
            (packs_reply() ? std::string{parts()[0].part.reply} : reply_names()) +
            "; -1 where a key holds something else\n");
        text += "local units = ARGV[" + std::to_string(arguments() + 1) + "]\nlocal n = units + 0\n";
        std::string foreign;
        for (const Part& part : parts()) {
            const std::string key = "KEYS[" + std::to_string(part.index + 1) + "]";
            text += "local " + part.results() + " =\n  " +
                    part.call(part.is(Holds::list) ? key : "call('GET', " + key + ")") + "\n";
            // What is no number fails by itself.
            if (!part.is(Holds::number)) foreign += (foreign.empty() ? "" : " or ") + part.is_foreign();
        }
        if (!foreign.empty()) text += "if " + foreign + " then return -1 end\n";
        text += "\nif units >= '1' or n < 0 then\n" + choose("  ");
        for (const Part& part : parts()) {
            const std::string key = "KEYS[" + std::to_string(part.index + 1) + "]";
            text += "  if " + part("after") + " then\n";
            if (part.part.increments) {
                text += "    if " + part("same") + " then\n      call('INCRBY', " + key + ", units)\n    else\n      " +
                        part.set(key, part("after")) + "\n    end\n";
            } else {
                text += "    " + part.write(key) + "\n";
            }
            text += "  end\n";
        }
        return text + "end\n" + "return " + reply() + "\n";
    }

    /// Any number of decisions, one after the other.
    std::string batch() const {
        std::string text = head(
            "-- KEYS   one for each policy, for each decision\n"
            "-- ARGV   " +
            arguments_comment() +
            ", units (below 0 to give back, behind a 0 only to look) for each decision or once for all\n"
            "-- reply  for each decision " +
            (packs_reply() ? std::string{parts()[0].part.reply} : reply_names()) +
            ", or a single -1 where a key holds something else;\n"
            "--        then the numbers of decisions for which that was noticed only when the key was to be written\n");
        if (has_values()) {
            text +=
                "\n-- By where in KEYS a key comes first: what it holds, or nil for a text that is no number; true "
                "once that "
                "has to be\n"
                "-- set, or what it was incremented by; whether it held nothing at first.\n"
                "local values, changes, born = call('MGET', unpack(KEYS)), {}, {}\n"
                "local places, tonumber = {}, tonumber\n";
        }
        text += "local out, o, a, units, n, writes = {}, 0, " + std::to_string(arguments()) + ", nil, nil, nil\n";
        text += "for i = 1, #KEYS" + step() + " do\n";
        text +=
            "  a = a + 1\n  if ARGV[a] then\n    units, n = ARGV[a], ARGV[a] + 0\n"
            "    writes = units >= '1' or n < 0\n  end\n";
        std::string ours, foreign, results;
        for (const Part& part : parts()) {
            results += (results.empty() ? "" : ", ") + part.results();
            foreign += (foreign.empty() ? "" : " or ") + part.is_foreign();
            const std::string key = part("key"), at = part("at");
            text += "  local " + key + " = KEYS[i" + plus(part.index) + "]\n";
            if (part.is(Holds::list)) continue;
            text += "  local " + at + " = places[" + key + "]\n  if not " + at + " then\n    " + at + " = i" +
                    plus(part.index) + "\n    places[" + key + "] = " + at + "\n    if not values[" + at +
                    "] then\n      born[" + at + "] = true\n";
            if (part.is(Holds::number)) {
                text += "    else\n      values[" + at + "] = tonumber(values[" + at + "])\n";
                ours += (ours.empty() ? "" : " and ") + part("state") + " ~= nil";
            }
            text += "    end\n  end\n  local " + part("state") + " = values[" + at + "]\n";
        }
        text += "  local " + results + "\n";
        const std::string in = ours.empty() ? "  " : "    ";
        if (!ours.empty()) text += "  if " + ours + " then\n";
        for (const Part& part : parts()) {
            text += in + part.results() + " =\n" + in + "  " +
                    part.call(part.is(Holds::list) ? part("key") : part("state")) + "\n";
        }
        if (!ours.empty()) text += "  end\n";
        text += "  if " + foreign + " then\n    out[o + 1] = -1\n    o = o + 1\n  else\n";
        text += "    if writes then\n" + choose("      ");
        for (const Part& part : parts()) {
            text += "      if " + part("after") + " then\n";
            if (part.is(Holds::list)) {
                text += "        " + part.write(part("key")) + "\n";
            } else {
                const std::string change = "changes[" + part("at") + "]";
                text += "        values[" + part("at") + "] = " + part("after") + "\n";
                if (part.part.increments) {
                    text += "        if not " + part("same") + " then\n          " + change +
                            " = true\n        elseif " + change + " ~= true then\n          " + change + " = " +
                            change + " and " + change + " + n or units\n        end\n";
                } else {
                    text += "        " + change + " = true\n";
                }
            }
            text += "      end\n";
        }
        text += "    end\n";
        const std::vector<std::string> values = replies();
        std::string targets;
        for (std::size_t i = 1; i <= values.size(); ++i)
            targets += (i == 1 ? "out[o + " : ", out[o + ") + std::to_string(i) + "]";
        text += "    " + targets + " = " + joined(values) + "\n    o = o + " + std::to_string(values.size()) +
                "\n  end\nend\n";
        if (has_values()) text += flush();
        return text + "return out\n";
    }

private:
    /// Leaves in each `after` what is to be written.
    std::string choose(const std::string& in) const {
        if (parts().size() == 1) return in + "after = after or repaired\n";
        std::string all_fit, afters, repaireds, sames, falses;
        for (const Part& part : parts()) {
            const std::string comma = part.index == 0 ? "" : ", ";
            all_fit += (part.index == 0 ? "" : " and ") + part("after");
            afters += comma + part("after");
            repaireds += comma + part("repaired");
            if (!part.part.increments) continue;
            sames += ", " + part("same");
            falses += ", false";
        }
        return in + "if n > 0 and not (" + all_fit + ") then\n" + in + "  " + afters + sames + " = " + repaireds +
               falses + "\n" + in + "end\n";
    }

    /// Writes what the decisions of a batch have made of values. Where a key held none, it may hold no string at all.
    std::string flush() const {
        std::string text = "\nlocal not_written\n";
        for (const Part& part : parts()) {
            if (part.is(Holds::list)) continue;
            text += "for i = " + std::to_string(part.index + 1) + ", #KEYS" + step() + " do\n";
            text += "  local change, after = changes[i], values[i]\n  if change and born[i] then\n";
            text += "    if not " + part.set("KEYS[i]", "after", ", 'NX'") +
                    " then\n      not_written = not_written or {}\n      not_written[KEYS[i]] = true\n    end\n";
            if (part.part.increments)
                text += "  elseif change and change ~= true then\n    call('INCRBY', KEYS[i], change)\n";
            text += "  elseif change then\n    " + part.set("KEYS[i]", "after") + "\n  end\nend\n";
        }
        return text +
               "for i = 1, not_written and #KEYS or 0 do\n  if not_written[KEYS[i]] then\n    o = o + 1\n    out[o] "
               "= " +
               (parts().size() == 1 ? "i" : "math.ceil(i / " + std::to_string(parts().size()) + ")") + "\n  end\nend\n";
    }

    bool has(Holds what) const {
        for (const Part& part : parts()) {
            if (part.is(what)) return true;
        }
        return false;
    }
    bool has_values() const { return has(Holds::number) || has(Holds::text); }

    bool packs_reply() const { return parts().size() == 1 && !parts()[0].part.reply.empty(); }

    /// With several policies the reply starts with the time that all of them used.
    std::vector<std::string> replies() const {
        if (packs_reply()) return {std::string{parts()[0].part.reply}};
        std::vector<std::string> all;
        if (parts().size() != 1) all.push_back("now");
        for (const Part& part : parts()) {
            for (const auto& name : part.replies()) all.push_back(name);
        }
        return all;
    }
    std::string reply_names() const { return joined(replies()); }

    std::string reply() const {
        const std::vector<std::string> values = replies();
        return values.size() == 1 ? values[0] : as_text(values);
    }
};

}  // namespace sluice::detail::redis

#endif
