// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_DETAIL_SCRIPT_HPP
#define SLUICE_REDIS_DETAIL_SCRIPT_HPP

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <sluice/redis/wire/resp.hpp>
#include <sluice/redis/wire/sha1.hpp>

namespace sluice::redis {

/// One policy's part of a script, in Lua, with the frame's variables and those that it declares itself. The names of
/// the latter end in @, which becomes the part's number, so that several parts make one script; $1, $2 ... are the
/// part's own arguments.
///
/// It finds `now` in us since the epoch, `n` units (> 0 to consume or look at, < 0 to give back), `units`, which is the
/// same as it was sent (it changes neither: in a batch the next decision may have them too), `key@`, and if it is a
/// string `v@`, the key's value or false, and if that is a number `number@`, which is 0 for none and has to be
/// calculated with first of all: other texts fail thereby. It may use call, format, floor, BAD (the key is not ours: no
/// answer) and SAVE@: of a string, which stores v@ for life@ milliseconds, or else the part's own `save`.
struct ScriptPart {
    std::size_t arguments = 0;  ///< that it takes from ARGV
    bool is_string = true;      ///< the key holds a string, which the frame reads and saves
    bool is_number = false;     ///< and that is a number
    std::string_view setup{};   ///< once per run: arguments, times
    std::string_view look{};    ///< per decision: reads the state, declares fits@; writes nothing
    std::string_view take{};    ///< consumes: all parts fit
    std::string_view deny{};    ///< some part does not fit: only repairs what a clock gone back left in the future
    std::string_view give{};    ///< gives -n units back
    std::string_view answer{};  ///< expressions, separated by commas: the state before, as integers from 0
    std::string_view stored = "format('%d', v@)";  ///< v@ as the string to store
    // How a single decision saves. A batch does so with other than strings; of a string it notes the change, in
    // changes[place@], and at the end it writes what that has become, change@. WRITE@ is the plain way to write.
    std::string_view save = "WRITE@";
    std::string_view note_change = "changes[place@] = true\n";
    std::string_view write_change = "WRITE@";
};

/// The first two arguments, in RESP, of a request that runs a script.
struct Script {
    explicit Script(std::string_view text) {
        append_argument(by_text, std::string_view{"EVAL"});
        append_argument(by_text, text);
        append_argument(by_sha, std::string_view{"EVALSHA"});
        append_argument(by_sha, sha1_hex(text));
    }
    std::string by_text{};  ///< brings the text along
    std::string by_sha{};   ///< trusts the server to know it
};

/// Builds the scripts of a policy out of its parts.
class ScriptFrame {
public:
    /// `timed`: the time is the first argument, in us, instead of the server's. For tests.
    ScriptFrame(std::span<const ScriptPart> parts, bool timed)
        : parts_(parts), timed_(timed), arguments_(timed ? 1 : 0) {
        for (const ScriptPart& part : parts_) arguments_ += part.arguments;
    }

    /// One decision. KEYS: one per part. ARGV: the parts' arguments; units to consume or, below 0, to give back; behind
    /// a 0 only to look at. Reply: the answers, if there are several as a text, which takes Redis less time than an
    /// array; -1 where a key holds something else.
    std::string single() const {
        std::string text = prelude();
        text += "local units = ARGV[" + std::to_string(arguments_ + 1) + "]\nlocal n = units + 0\n" +
                each(&ScriptPart::setup);
        text += each_line("local key@ = KEYS[@]\n") + each_line("local v@ = call('GET', key@)\n", of_strings);
        text += each_line("local number@ = v@ or 0\n", of_numbers) + each(&ScriptPart::look) + act() + "return ";
        std::string numbers = "%d";
        for (std::size_t i = 1; i != answers(); ++i) numbers += " %d";
        text += answers() == 1 ? answer() : "format('" + numbers + "', " + answer() + ')';
        for (std::size_t i = 1; i <= parts_.size(); ++i) expand(text, "SAVE", i, parts_[i - 1].save);
        return finished(std::move(text), "return -1");
    }

    /// Any number of decisions, one after the other. KEYS: one per part for each. ARGV: as above, with units for each or
    /// once for all. Reply: an array of all the answers, in order, each -1 alone where a key holds something else; then
    /// the numbers (from 1) of those that do not count because such a key was noticed only when it was to be saved.
    std::string batch() const {
        const std::string count = std::to_string(parts_.size());
        std::string text = prelude();
        text += each(&ScriptPart::setup);
        // first: where in KEYS a key comes first. There are its value, which the decisions change, in `values`, how it
        // has changed in `changes`, and whether it did not exist in `born`.
        if (has_strings()) text += "local first, values, changes, born = {}, call('MGET', unpack(KEYS)), {}, {}\n";
        text += "local out, o, a, units, n = {}, 0, " + std::to_string(arguments_) + "\n";
        text += "for i = 0, #KEYS - 1, " + count + " do repeat\n";
        text += "a = a + 1\nif ARGV[a] then units = ARGV[a] n = units + 0 end\n";
        text += each_line("local key@ = KEYS[i + @]\n");
        text += each_line(
            "local place@ = first[key@]\n"
            "if not place@ then place@ = i + @ first[key@] = place@ if not values[place@] then born[place@] = true end "
            "end\n"
            "local v@ = values[place@]\n",
            of_strings);
        text += each_line("local number@ = tonumber(v@ or 0)\nif not number@ then BAD end\n", of_numbers) +
                each(&ScriptPart::look) + act();
        for (std::size_t i = 1; i <= answers(); ++i)
            text += (i == 1 ? "out[o + " : ", out[o + ") + std::to_string(i) + ']';
        text += " = " + answer() + "\no = o + " + std::to_string(answers()) + "\nuntil true end\nlocal bad\n" +
                each_line(flush, of_strings);
        text += "if bad then for i = 1, #KEYS do\nif bad[KEYS[i]] then o = o + 1 out[o] = floor((i - 1) / " + count +
                ") + 1 end\nend end\nreturn out";
        for (std::size_t i = 1; i <= parts_.size(); ++i) {
            const ScriptPart& part = parts_[i - 1];
            const std::string keep = "values[place@] = v@\n" + std::string{part.note_change};
            expand(text, "SAVE", i, part.is_string ? keep : part.save);
            expand(text, "FLUSH", i, part.write_change);
        }
        replace(text, "COUNT", count);
        return finished(std::move(text), "o = o + 1 out[o] = -1 break");
    }

private:
    std::string prelude() const {
        if (timed_) return "local now = ARGV[1] + 0\n";
        return "local now = call('TIME')\nnow = now[1] * 1000000 + now[2]\n";
    }

    static constexpr std::string_view flush = R"(for i = @, #KEYS, COUNT do
  local change@ = changes[i]
  if change@ then
    local key@, v@ = KEYS[i], values[i]
    if not born[i] then
      FLUSH@
    elseif not call('SET', key@, STORED@, 'PX', life@, 'NX') then
      bad = bad or {}
      bad[key@] = true
    end
  end
end
)";

    /// `macro`i in `text` becomes `snippet` of part i.
    static void expand(std::string& text, std::string_view macro, std::size_t i, std::string_view snippet) {
        replace(text, std::string{macro} + std::to_string(i), numbered(snippet, i));
    }

    static void replace(std::string& text, std::string_view from, std::string_view to) {
        for (auto at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
            text.replace(at, from.size(), to);
        }
    }

    static std::string numbered(std::string_view snippet, std::size_t number) {
        std::string text{snippet};
        replace(text, "@", std::to_string(number));
        return text;
    }

    /// A snippet of every part, with its arguments.
    std::string each(std::string_view ScriptPart::*snippet, std::string_view separator = "") const {
        std::string all;
        std::size_t before = timed_ ? 1 : 0;
        for (std::size_t i = 0; i != parts_.size(); ++i) {
            std::string text = numbered(parts_[i].*snippet, i + 1);
            for (std::size_t a = parts_[i].arguments; a != 0; --a) {
                replace(text, '$' + std::to_string(a), "ARGV[" + std::to_string(before + a) + ']');
            }
            before += parts_[i].arguments;
            if (i != 0) all += separator;
            all += text;
        }
        return all;
    }

    static constexpr auto of_strings = &ScriptPart::is_string;
    static constexpr auto of_numbers = &ScriptPart::is_number;

    /// The same snippet for every part, or every one that is what `which` says.
    std::string each_line(std::string_view snippet, bool ScriptPart::*which = nullptr) const {
        std::string all;
        for (std::size_t i = 0; i != parts_.size(); ++i) {
            if (which == nullptr || parts_[i].*which) all += numbered(snippet, i + 1);
        }
        return all;
    }

    std::string act() const {
        std::string all_fit;
        for (std::size_t i = 1; i <= parts_.size(); ++i) all_fit += (i == 1 ? "fits" : " and fits") + std::to_string(i);
        // Texts are compared: only a look begins with a 0.
        return "if n < 0 then\n" + each(&ScriptPart::give) + "elseif units < '1' then\nelseif " + all_fit + " then\n" +
               each(&ScriptPart::take) + "else\n" + each(&ScriptPart::deny) + "end\n";
    }

    /// Several parts count their times from a common now, which then comes first.
    std::string answer() const { return (parts_.size() == 1 ? "" : "now, ") + each(&ScriptPart::answer, ", "); }
    std::size_t answers() const {
        const std::string all = answer();
        return static_cast<std::size_t>(std::count(all.begin(), all.end(), ',')) + 1;
    }

    std::string finished(std::string text, std::string_view bad) const {
        for (std::size_t i = 1; i <= parts_.size(); ++i) {
            expand(text, "WRITE", i, "call('SET', key@, STORED@, 'PX', life@)\n");
            expand(text, "STORED", i, parts_[i - 1].stored);
        }
        replace(text, "BAD", bad);
        // Local names cost less than global ones, and none at all least: 2 % of the shortest script.
        std::string names = "call", globals = "redis.call";
        for (const auto& [name, global] : {std::pair{"format", "string.format"},
                                           {"floor", "math.floor"},
                                           {"tonumber", "tonumber"},
                                           {"ARGV", "ARGV"},
                                           {"KEYS", "KEYS"}}) {
            if (text.find(name) == std::string::npos) continue;
            names += std::string{", "} + name;
            globals += std::string{", "} + global;
        }
        return "local " + names + " = " + globals + '\n' + text;
    }

    bool has_strings() const {
        return std::any_of(parts_.begin(), parts_.end(), [](const ScriptPart& part) { return part.is_string; });
    }

    std::span<const ScriptPart> parts_;
    bool timed_;
    std::size_t arguments_;  // in ARGV before the units
};

/// Both scripts of a policy.
struct Scripts {
    explicit Scripts(const ScriptFrame& frame) : single(frame.single()), batch(frame.batch()) {}
    Scripts(std::string_view for_one, std::string_view for_many) : single(for_one), batch(for_many) {}
    Script single;
    Script batch;
};

}  // namespace sluice::redis

#endif
