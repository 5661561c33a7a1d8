// SPDX-License-Identifier: MIT
#include "support/catch.hpp"

#include <cctype>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include <sluice/http/headers.hpp>

using namespace std::chrono_literals;

namespace {

// A reader of RFC 9651 lists of strings with integer parameters, written from the RFC's parsing algorithms and
// sharing nothing with the library.
struct Item {
    std::string name;
    std::map<std::string, std::int64_t> parameters;
};

class Reader {
public:
    explicit Reader(std::string text) : text_(std::move(text)) {}

    std::optional<std::vector<Item>> list() {
        std::vector<Item> items;
        while (true) {
            Item item;
            if (!string(item.name)) return std::nullopt;
            while (accept(';')) {
                while (accept(' ')) {
                }
                std::string key;
                if (at_ >= text_.size() || !(std::islower(byte()) || byte() == '*')) return std::nullopt;
                while (at_ < text_.size() && (std::islower(byte()) || std::isdigit(byte()))) key += text_[at_++];
                std::int64_t value = 0;
                if (!accept('=') || !integer(value) || item.parameters.count(key) != 0) return std::nullopt;
                item.parameters[key] = value;
            }
            items.push_back(item);
            if (at_ == text_.size()) return items;
            while (accept(' ') || accept('\t')) {
            }
            if (!accept(',')) return std::nullopt;
            while (accept(' ') || accept('\t')) {
            }
            if (at_ == text_.size()) return std::nullopt;
        }
    }

private:
    int byte() const { return static_cast<unsigned char>(text_[at_]); }
    bool accept(char c) {
        if (at_ >= text_.size() || text_[at_] != c) return false;
        ++at_;
        return true;
    }
    bool string(std::string& out) {
        if (!accept('"')) return false;
        while (at_ < text_.size()) {
            const char c = text_[at_++];
            if (c == '\\') {
                if (at_ == text_.size() || (text_[at_] != '"' && text_[at_] != '\\')) return false;
                out += text_[at_++];
            } else if (c == '"') {
                return true;
            } else if (c < 0x20 || c > 0x7e) {
                return false;
            } else {
                out += c;
            }
        }
        return false;
    }
    bool integer(std::int64_t& out) {
        std::string digits;
        if (accept('-')) digits = "-";
        while (at_ < text_.size() && std::isdigit(byte())) digits += text_[at_++];
        if (digits.empty() || digits == "-" || digits.size() > 15) return false;
        out = std::stoll(digits);
        return true;
    }

    std::string text_;
    std::size_t at_ = 0;
};

}  // namespace

TEST_CASE("10,000 random fields parse back to what was put in", "[http][headers][property]") {
    const auto seed = std::random_device{}();
    INFO("seed " << seed);
    std::mt19937_64 random{seed};
    const auto below = [&](std::uint64_t n) { return std::uniform_int_distribution<std::uint64_t>{0, n - 1}(random); };
    const auto any_magnitude = [&] { return random() >> below(64); };
    const sluice::http::HeaderWriter writer{{sluice::http::HeaderStyle::ratelimit, 0}};

    for (int round = 0; round < 10'000; ++round) {
        std::vector<std::string> names(static_cast<std::size_t>(1 + below(4)));
        std::vector<sluice::http::PolicyAnswer> answers;
        for (auto& name : names) {
            for (auto size = 1 + below(64); size > 0; --size) name += static_cast<char>(0x20 + below(0x5f));
            sluice::Decision decision;
            decision.allowed = below(2) == 0;
            decision.remaining = any_magnitude();
            decision.reset_after = std::chrono::nanoseconds{any_magnitude() >> 1};
            if (!decision.allowed) decision.retry_after = std::chrono::nanoseconds{any_magnitude() >> 1};
            answers.push_back(
                {name, {any_magnitude(), std::chrono::nanoseconds{1 + (any_magnitude() >> 2)}}, decision});
        }
        std::string policy;
        std::string state;
        writer.write(answers, [&](std::string_view name, std::string value) {
            if (name == "RateLimit-Policy") policy = std::move(value);
            if (name == "RateLimit") state = std::move(value);
        });
        INFO(policy << "\n" << state);
        const auto policies = Reader{policy}.list();
        const auto states = Reader{state}.list();
        REQUIRE(policies);
        REQUIRE(states);
        REQUIRE(policies->size() == answers.size());
        REQUIRE(states->size() == answers.size());
        for (std::size_t i = 0; i < answers.size(); ++i) {
            const auto expected = [](std::uint64_t value) {
                return static_cast<std::int64_t>(value > 999'999'999'999'999 ? 999'999'999'999'999 : value);
            };
            const auto seconds = [](std::chrono::nanoseconds time) {
                return time.count() / 1'000'000'000 + (time.count() % 1'000'000'000 > 0 ? 1 : 0);
            };
            const Item& q = (*policies)[i];
            const Item& s = (*states)[i];
            REQUIRE(q.name == answers[i].name);
            REQUIRE(s.name == answers[i].name);
            REQUIRE(q.parameters == std::map<std::string, std::int64_t>{{"q", expected(answers[i].quota.limit)},
                                                                        {"w", seconds(answers[i].quota.window)}});
            REQUIRE(s.parameters.at("r") == expected(answers[i].decision.remaining));
            const auto& d = answers[i].decision;
            const bool waits = !d.allowed && d.retry_after != sluice::Decision::never;
            const auto t = waits ? std::max<std::int64_t>(1, seconds(d.retry_after)) : seconds(d.reset_after);
            REQUIRE(s.parameters.count("t") == (t > 0 ? 1U : 0U));
            if (t > 0) REQUIRE(s.parameters.at("t") == t);
            REQUIRE(s.parameters.size() <= 2);
        }
    }
}

TEST_CASE("the independent reader refuses what is no list", "[http][headers]") {
    for (const char* bad : {"", "a", "\"a", "\"a\",", "\"a\";", "\"a\";q", "\"a\";q=", "\"a\";q=1;q=2", "\"a\" \"b\"",
                            "\"a\";q=1234567890123456", "\"\\x\"", "\"a\";Q=1"}) {
        INFO(bad);
        CHECK_FALSE(Reader{bad}.list());
    }
    CHECK(Reader{"\"permin\";q=50;w=60,  \"perhr\";q=1000;w=3600"}.list());
}
