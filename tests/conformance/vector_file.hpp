// SPDX-License-Identifier: MIT
#ifndef SLUICE_TESTS_CONFORMANCE_VECTOR_FILE_HPP
#define SLUICE_TESTS_CONFORMANCE_VECTOR_FILE_HPP

#include <charconv>
#include <chrono>
#include <cstdint>
#include <fstream>
#include <functional>
#include <map>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <sluice/policies/builtin.hpp>
#include <sluice/sluice.hpp>

// A file of decisions made by an exact model:
//
//     policy <name> <field> <value> ...                                     times in nanoseconds
//     <t_ns> <key> <cost> | <allowed> <remaining> <retry_after> <reset_after>
//
// Further policy lines: from there on the limiter is another, of the same kind or not, that has taken over what was used
// (carry_over). `#` starts a comment, `-` stands for a value that is not checked, `never` for Decision::never.
namespace conformance {

using AnyPolicy = sluice::BuiltinPolicies::Apply<std::variant>;

struct Expected {
    std::optional<bool> allowed;
    std::optional<std::uint64_t> remaining;
    std::optional<std::chrono::nanoseconds> retry_after;
    std::optional<std::chrono::nanoseconds> reset_after;
};

struct Step {
    int line = 0;
    std::chrono::nanoseconds time{0};
    std::string key;
    std::uint64_t cost = 0;
    Expected expected;
};

/// The decisions of one policy.
struct Section {
    AnyPolicy policy;
    std::vector<Step> steps{};
};

using VectorFile = std::vector<Section>;

template <class Number>
Number parse_number(const std::string& word) {
    Number number{};
    const char* end = word.data() + word.size();
    const auto [stop, error] = std::from_chars(word.data(), end, number);
    if (error != std::errc{} || stop != end) throw std::runtime_error("'" + word + "' is not a number that fits");
    return number;
}

/// The fields of a policy line. Every field must be taken, so that one that means something new is an error.
class Fields {
public:
    explicit Fields(std::istringstream& words) {
        std::string name;
        std::string value;
        while (words >> name) {
            if (!(words >> value)) throw std::runtime_error("field '" + name + "' has no value");
            if (!values_.emplace(name, parse_number<std::int64_t>(value)).second) {
                throw std::runtime_error("field '" + name + "' is given twice");
            }
        }
    }

    std::int64_t take(const std::string& name, const std::string& other_name = {}) {
        for (const auto& candidate : {name, other_name}) {
            const auto found = values_.find(candidate);
            if (found == values_.end()) continue;
            const auto value = found->second;
            values_.erase(found);
            return value;
        }
        throw std::runtime_error("field '" + name + "' is missing");
    }

    void expect_all_taken() const {
        if (!values_.empty()) throw std::runtime_error("unknown field '" + values_.begin()->first + "'");
    }

private:
    std::map<std::string, std::int64_t> values_;
};

inline AnyPolicy parse_policy(const std::string& line) {
    std::istringstream words{line};
    std::string keyword;
    std::string name;
    words >> keyword >> name;
    if (keyword != "policy" || name.empty()) throw std::runtime_error("expected 'policy <name> ...'");

    Fields fields{words};
    using std::chrono::nanoseconds;
    const auto rate = [&] {
        const auto count = fields.take("refill", "leak");
        return sluice::Rate{count, nanoseconds{fields.take("period")}};
    };
    const auto window = [&] { return nanoseconds{fields.take("window")}; };
    const std::map<std::string, std::function<AnyPolicy()>> known = {
        {"token_bucket",
         [&] {
             return sluice::TokenBucket{fields.take("capacity"), rate()};
         }},
        {"leaky_bucket",
         [&] {
             return sluice::LeakyBucket{fields.take("queue", "capacity"), rate()};
         }},
        {"fixed_window",
         [&] {
             return sluice::FixedWindow{fields.take("limit"), window()};
         }},
        {"sliding_window",
         [&] {
             return sluice::SlidingWindow{fields.take("limit"), window()};
         }},
        {"sliding_window_counter",
         [&] {
             return sluice::SlidingWindowCounter{fields.take("limit"), window()};
         }},
    };
    const auto found = known.find(name);
    if (found == known.end()) throw std::runtime_error("unknown policy '" + name + "'");
    AnyPolicy policy = found->second();
    fields.expect_all_taken();
    return policy;
}

inline Step parse_step(const std::string& line) {
    std::istringstream words{line};
    std::string time, cost, bar, allowed, remaining, retry_after, reset_after, more;
    Step step;
    words >> time >> step.key >> cost >> bar >> allowed >> remaining >> retry_after >> reset_after;
    if (!words || bar != "|" || words >> more) {
        throw std::runtime_error("expected '<t_ns> <key> <cost> | <allowed> <remaining> <retry_after> <reset_after>'");
    }
    const auto duration = [](const std::string& word) -> std::optional<std::chrono::nanoseconds> {
        if (word == "-") return std::nullopt;
        if (word == "never") return sluice::Decision::never;
        return std::chrono::nanoseconds{parse_number<std::int64_t>(word)};
    };
    step.time = std::chrono::nanoseconds{parse_number<std::int64_t>(time)};
    step.cost = parse_number<std::uint64_t>(cost);
    if (allowed == "0" || allowed == "1") {
        step.expected.allowed = allowed == "1";
    } else if (allowed != "-") {
        throw std::runtime_error("<allowed> is 0, 1 or -, not '" + allowed + "'");
    }
    if (remaining != "-") step.expected.remaining = parse_number<std::uint64_t>(remaining);
    step.expected.retry_after = duration(retry_after);
    step.expected.reset_after = duration(reset_after);
    return step;
}

/// Throws std::runtime_error with the line's number for anything that it does not understand.
inline VectorFile read_vectors(std::istream& in) {
    VectorFile sections;
    std::string line;
    for (int number = 1; std::getline(in, line); ++number) {
        line.erase(std::min(line.find('#'), line.size()));
        if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
        try {
            const bool is_policy = line.compare(line.find_first_not_of(" \t"), 6, "policy") == 0;
            if (sections.empty() || is_policy) {
                sections.push_back({parse_policy(line)});
            } else {
                sections.back().steps.push_back(parse_step(line));
                sections.back().steps.back().line = number;
            }
        } catch (const std::exception& error) {
            throw std::runtime_error("line " + std::to_string(number) + ": " + error.what());
        }
    }
    if (sections.empty()) throw std::runtime_error("the file holds no policy");
    if (sections.back().steps.empty()) throw std::runtime_error("the file holds no decisions");
    return sections;
}

}  // namespace conformance

#endif
