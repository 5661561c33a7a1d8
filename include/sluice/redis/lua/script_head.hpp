// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_LUA_SCRIPT_HEAD_HPP
#define SLUICE_REDIS_LUA_SCRIPT_HEAD_HPP

#include <chrono>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include <sluice/detail/skew.hpp>
#include <sluice/redis/lua/script_part.hpp>

namespace sluice::detail::redis {

/// What all scripts of a policy begin with: the functions of its parts (one, or several of an AllOf, whose variables have
/// the part's number behind their names), the time, the arguments and what is computed once.
class ScriptHead {
protected:
    using Holds = ScriptPart::Holds;
    using Part = PartText;

    ScriptHead(std::span<const ScriptPart> parts, bool timed) : timed_(timed) {
        for (const ScriptPart& part : parts) {
            const std::string suffix = parts.size() == 1 ? "" : '_' + std::to_string(parts_.size() + 1);
            parts_.push_back({part, suffix, parts_.size()});
        }
    }

    const std::vector<Part>& parts() const noexcept { return parts_; }

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
    std::string head(const std::string& comment, bool settles = false) const {
        std::string text;
        for (const Part& part : parts_) {
            bool is_repeated = false;
            for (const Part& before : parts_)
                is_repeated = is_repeated || (before.index < part.index && before.part.function == part.part.function);
            if (!is_repeated) text += part.functions(settles) + '\n';
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

    /// As in "for i = 1, #KEYS, 2 do".
    std::string step() const { return parts_.size() == 1 ? "" : ", " + std::to_string(parts_.size()); }
    static std::string plus(std::size_t number) { return number == 0 ? "" : " + " + std::to_string(number); }

    /// Several integers as a text, which takes Redis less time than an array.
    static std::string as_text(const std::vector<std::string>& values) {
        std::string pattern = "%d";
        for (std::size_t i = 1; i != values.size(); ++i) pattern += " %d";
        return "string.format('" + pattern + "', " + joined(values) + ')';
    }

private:
    bool timed_;
    std::vector<Part> parts_;
};

}  // namespace sluice::detail::redis

#endif
