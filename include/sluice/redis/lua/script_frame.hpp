// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_LUA_SCRIPT_FRAME_HPP
#define SLUICE_REDIS_LUA_SCRIPT_FRAME_HPP

#include <chrono>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <sluice/detail/skew.hpp>
#include <sluice/redis/lua/part_text.hpp>
#include <sluice/redis/lua/script_part.hpp>

namespace sluice::detail::redis {

/// Writes the scripts of a policy, around the functions of its parts (one, or several of an AllOf, whose variables have
/// the part's number behind their names). tests/unit/redis/golden holds what comes out.
class ScriptFrame {
public:
    /// `timed`: the time is the first argument, in us, instead of the server's. For tests.
    ScriptFrame(std::span<const ScriptPart> parts, bool timed) : timed_(timed) {
        for (const ScriptPart& part : parts) {
            const std::string suffix = parts.size() == 1 ? "" : '_' + std::to_string(parts_.size() + 1);
            parts_.push_back({part, suffix, parts_.size()});
        }
    }

    /// One decision.
    std::string single() const {
        std::string text = head(
            "-- KEYS   one for each policy\n"
            "-- ARGV   " +
            arguments_comment() +
            ", units (below 0 to give back, behind a 0 only to look)\n"
            "-- reply  " +
            (packs_reply() ? std::string{parts_[0].part.reply} : reply_names()) +
            "; -1 where a key holds something else\n");
        text += "local units = ARGV[" + std::to_string(arguments() + 1) + "]\nlocal n = units + 0\n";
        std::string foreign;
        for (const Part& part : parts_) {
            const std::string key = "KEYS[" + std::to_string(part.index + 1) + "]";
            text += "local " + part.results() + " =\n  " +
                    part.call(part.is(Holds::list) ? key : "call('GET', " + key + ")") + "\n";
            // What is no number fails by itself.
            if (!part.is(Holds::number)) foreign += (foreign.empty() ? "" : " or ") + part.is_foreign();
        }
        if (!foreign.empty()) text += "if " + foreign + " then return -1 end\n";
        text += "\nif units >= '1' or n < 0 then\n" + choose("  ");
        for (const Part& part : parts_) {
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
        const std::string step = parts_.size() == 1 ? "" : ", " + std::to_string(parts_.size());
        std::string text = head(
            "-- KEYS   one for each policy, for each decision\n"
            "-- ARGV   " +
            arguments_comment() +
            ", units (below 0 to give back, behind a 0 only to look) for each decision or once for all\n"
            "-- reply  for each decision " +
            (packs_reply() ? std::string{parts_[0].part.reply} : reply_names()) +
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
        text += "for i = 1, #KEYS" + step + " do\n";
        text +=
            "  a = a + 1\n  if ARGV[a] then\n    units, n = ARGV[a], ARGV[a] + 0\n"
            "    writes = units >= '1' or n < 0\n  end\n";
        std::string ours, foreign, results;
        for (const Part& part : parts_) {
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
        for (const Part& part : parts_) {
            text += in + part.results() + " =\n" + in + "  " +
                    part.call(part.is(Holds::list) ? part("key") : part("state")) + "\n";
        }
        if (!ours.empty()) text += "  end\n";
        text += "  if " + foreign + " then\n    out[o + 1] = -1\n    o = o + 1\n  else\n";
        text += "    if writes then\n" + choose("      ");
        for (const Part& part : parts_) {
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
        if (has_values()) text += flush(step);
        return text + "return out\n";
    }

private:
    using Holds = ScriptPart::Holds;
    using Part = PartText;

    static std::string plus(std::size_t number) { return number == 0 ? "" : " + " + std::to_string(number); }

    /// In ARGV before the units.
    std::size_t arguments() const {
        std::size_t count = timed_ ? 1 : 0;
        for (const Part& part : parts_) count += part.arguments().size() + 1;
        return count;
    }

    std::string arguments_comment() const {
        std::string all = timed_ ? "now, " : "";
        for (const Part& part : parts_) {
            all += joined(part.arguments()) + ", " + part("life");
            if (part.index + 1 != parts_.size()) all += ", ";
        }
        return all;
    }

    /// The parts' functions, what the script takes and answers, and its variables.
    std::string head(const std::string& comment) const {
        std::string text;
        for (const Part& part : parts_) {
            bool is_repeated = false;
            for (const Part& before : parts_)
                is_repeated = is_repeated || (before.index < part.index && before.part.function == part.part.function);
            if (!is_repeated) text += part.functions() + '\n';
        }
        text += comment + "local call, KEYS, ARGV = redis.call, KEYS, ARGV\n";
        std::size_t a = 1;
        if (timed_) {
            text += "local now = ARGV[" + std::to_string(a++) + "] + 0\n";
        } else {
            text += "local time = call('TIME')\nlocal now = time[1] * 1000000 + time[2]\n";
        }
        text += "local skew = " + std::to_string(tolerated_skew / std::chrono::microseconds{1}) + "\n";
        for (const Part& part : parts_) {
            std::string left, right;
            for (const auto& name : part.arguments()) {
                left += name + ", ";
                right += "ARGV[" + std::to_string(a++) + "] + 0, ";
            }
            text +=
                "local " + left + part("life") + " = " + right + "ARGV[" + std::to_string(a++) + "]\n" + part.prepare();
        }
        return text;
    }

    /// Leaves in each `after` what is to be written.
    std::string choose(const std::string& in) const {
        if (parts_.size() == 1) return in + "after = after or repaired\n";
        std::string all_fit, afters, repaireds, sames, falses;
        for (const Part& part : parts_) {
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
    std::string flush(const std::string& step) const {
        std::string text = "\nlocal not_written\n";
        for (const Part& part : parts_) {
            if (part.is(Holds::list)) continue;
            text += "for i = " + std::to_string(part.index + 1) + ", #KEYS" + step + " do\n";
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
               (parts_.size() == 1 ? "i" : "math.ceil(i / " + std::to_string(parts_.size()) + ")") + "\n  end\nend\n";
    }

    bool has(Holds what) const {
        for (const Part& part : parts_) {
            if (part.is(what)) return true;
        }
        return false;
    }
    bool has_values() const { return has(Holds::number) || has(Holds::text); }

    bool packs_reply() const { return parts_.size() == 1 && !parts_[0].part.reply.empty(); }

    /// With several policies the reply starts with the time that all of them used.
    std::vector<std::string> replies() const {
        if (packs_reply()) return {std::string{parts_[0].part.reply}};
        std::vector<std::string> all;
        if (parts_.size() != 1) all.push_back("now");
        for (const Part& part : parts_) {
            for (const auto& name : part.replies()) all.push_back(name);
        }
        return all;
    }
    std::string reply_names() const { return joined(replies()); }

    /// Several as a text, which takes Redis less time than an array.
    std::string reply() const {
        const std::vector<std::string> values = replies();
        if (values.size() == 1) return values[0];
        std::string pattern = "%d";
        for (std::size_t i = 1; i != values.size(); ++i) pattern += " %d";
        return "string.format('" + pattern + "', " + joined(values) + ')';
    }

    bool timed_;
    std::vector<Part> parts_;
};

}  // namespace sluice::detail::redis

#endif
