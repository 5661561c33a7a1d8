// SPDX-License-Identifier: MIT
#include "support/catch.hpp"

#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <sluice/http/headers.hpp>

using namespace std::chrono_literals;
using sluice::Decision;
using sluice::Quota;
using sluice::http::HeaderOptions;
using sluice::http::HeaderStyle;
using sluice::http::HeaderWriter;
using sluice::http::PolicyAnswer;

namespace {

using Fields = std::vector<std::pair<std::string, std::string>>;

Fields write(const std::vector<PolicyAnswer>& answers, const HeaderOptions& options = {HeaderStyle::both, 0}) {
    Fields fields;
    HeaderWriter{options}.write(
        answers, [&](const char* name, std::string value) { fields.emplace_back(name, std::move(value)); });
    return fields;
}

std::string field(const Fields& fields, const std::string& name) {
    for (const auto& [key, value] : fields) {
        if (key == name) return value;
    }
    return "(none)";
}

Decision allowed(std::uint64_t limit, std::uint64_t remaining, std::chrono::nanoseconds reset) {
    return {true, limit, remaining, 0ns, reset, 0ns, {}};
}
Decision denied(std::uint64_t limit, std::uint64_t remaining, std::chrono::nanoseconds retry,
                std::chrono::nanoseconds reset) {
    return {false, limit, remaining, retry, reset, 0ns, {}};
}
Decision failed(bool allow) { return {allow, 0, 0, 0ns, 0ns, 0ns, sluice::Errc::timeout}; }

}  // namespace

TEST_CASE("seconds are rounded up", "[http][headers]") {
    using sluice::http::ceil_seconds;
    CHECK(ceil_seconds(0ns) == 0);
    CHECK(ceil_seconds(-5s) == 0);
    CHECK(ceil_seconds(1ns) == 1);
    CHECK(ceil_seconds(1s) == 1);
    CHECK(ceil_seconds(1s + 1ns) == 2);
    CHECK(ceil_seconds(Decision::never) == 9223372037);
}

TEST_CASE("Retry-After is a whole number of seconds, at least 1, absent when never", "[http][headers]") {
    using sluice::http::retry_after_seconds;
    CHECK_FALSE(retry_after_seconds(allowed(10, 3, 7s)));
    CHECK(retry_after_seconds(denied(10, 0, 900ms, 10s)) == 1U);
    CHECK(retry_after_seconds(denied(10, 0, 1s, 10s)) == 1U);
    CHECK(retry_after_seconds(denied(10, 0, 1001ms, 10s)) == 2U);
    CHECK_FALSE(retry_after_seconds(denied(10, 0, Decision::never, 10s)));
    CHECK(retry_after_seconds(failed(false)) == 1U);
}

TEST_CASE("a denied answer carries the fields of the draft", "[http][headers]") {
    const auto fields = write({{"burst", {10, 1s}, denied(10, 0, 4200ms, 5s)}}, {HeaderStyle::ratelimit, 0});
    CHECK(fields ==
          Fields{{"RateLimit", "\"burst\";r=0;t=5"}, {"RateLimit-Policy", "\"burst\";q=10;w=1"}, {"Retry-After", "5"}});
}

TEST_CASE("the draft's own examples come out of matching decisions", "[http][headers]") {
    const HeaderOptions draft{HeaderStyle::ratelimit, 0};
    // "permin";q=50;w=60,"perhr";q=1000;w=3600
    auto fields =
        write({{"permin", {50, 60s}, allowed(50, 49, 1s)}, {"perhr", {1000, 1h}, allowed(1000, 999, 1s)}}, draft);
    CHECK(field(fields, "RateLimit-Policy") == "\"permin\";q=50;w=60,\"perhr\";q=1000;w=3600");
    fields = write({{"burst", {100, 60s}, allowed(100, 1, 60s)}, {"daily", {1000, 24h}, allowed(1000, 1, 24h)}}, draft);
    CHECK(field(fields, "RateLimit-Policy") == "\"burst\";q=100;w=60,\"daily\";q=1000;w=86400");
    CHECK(field(write({{"default", {100, 10s}, allowed(100, 50, 30s)}}, draft), "RateLimit-Policy") ==
          "\"default\";q=100;w=10");
    CHECK(field(write({{"default", {100, 60s}, allowed(100, 50, 30s)}}, draft), "RateLimit") ==
          "\"default\";r=50;t=30");
    CHECK(field(write({{"daily", {1, 24h}, allowed(1, 1, 36400s)}}, draft), "RateLimit") == "\"daily\";r=1;t=36400");
    CHECK(field(write({{"day", {5000, 24h}, allowed(5000, 100, 36000s)}}, draft), "RateLimit") ==
          "\"day\";r=100;t=36000");
    CHECK(field(write({{"default", {9, 60s}, allowed(9, 1, 7s)}}, draft), "RateLimit") == "\"default\";r=1;t=7");
    CHECK(field(write({{"problemPolicy", {9, 60s}, denied(9, 0, 10s, 60s)}}, draft), "RateLimit") ==
          "\"problemPolicy\";r=0;t=10");
    fields = write({{"fixedwindow", {100, 60s}, allowed(100, 99, 50s)}}, draft);
    CHECK(field(fields, "RateLimit") == "\"fixedwindow\";r=99;t=50");
    CHECK(field(fields, "RateLimit-Policy") == "\"fixedwindow\";q=100;w=60");
}

TEST_CASE("t never ends after Retry-After", "[http][headers]") {
    const auto fields = write({{"a", {10, 10s}, denied(10, 3, 1500ms, 7s)}});
    CHECK(field(fields, "Retry-After") == "2");
    CHECK(field(fields, "RateLimit") == "\"a\";r=3;t=2");
}

TEST_CASE("X-RateLimit fields describe the limit that binds", "[http][headers]") {
    const HeaderOptions x{HeaderStyle::x_ratelimit, 0};
    CHECK(write({{"a", {10, 10s}, allowed(10, 9, 1s)}}, x) ==
          Fields{{"X-RateLimit-Limit", "10"}, {"X-RateLimit-Remaining", "9"}, {"X-RateLimit-Reset", "1"}});
    auto fields = write({{"a", {10, 10s}, allowed(10, 9, 1s)}, {"b", {5, 10s}, allowed(5, 2, 3500ms)}}, x);
    CHECK(field(fields, "X-RateLimit-Limit") == "5");
    CHECK(field(fields, "X-RateLimit-Reset") == "4");
    CHECK(field(fields, "Retry-After") == "(none)");
    fields = write({{"a", {10, 10s}, denied(10, 0, 1s, 9s)},
                    {"b", {5, 10s}, denied(5, 0, 8s, 9s)},
                    {"c", {3, 10s}, allowed(3, 0, 9s)}},
                   x);
    CHECK(field(fields, "X-RateLimit-Limit") == "5");
    CHECK(field(fields, "Retry-After") == "8");
    // Of equals the first.
    CHECK(field(write({{"a", {10, 1s}, allowed(10, 2, 1s)}, {"b", {5, 1s}, allowed(5, 2, 1s)}}, x),
                "X-RateLimit-Limit") == "10");
    CHECK(field(write({{"a", {10, 1s}, denied(10, 0, 1s, 1s)}, {"b", {5, 1s}, denied(5, 0, 1s, 1s)}}, x),
                "X-RateLimit-Limit") == "10");
}

TEST_CASE("both styles at once, or none", "[http][headers]") {
    const std::vector<PolicyAnswer> answers{{"a", {10, 10s}, denied(10, 0, 1s, 9s)}};
    CHECK(write(answers).size() == 6);
    CHECK(write(answers, {HeaderStyle::none, 0}) == Fields{{"Retry-After", "1"}});
    CHECK(write({}).empty());
}

TEST_CASE("a cost that never fits has no Retry-After", "[http][headers]") {
    const auto fields =
        write({{"a", {10, 10s}, denied(10, 10, Decision::never, 0s)}, {"b", {5, 1s}, denied(5, 0, 1s, 1s)}});
    CHECK(field(fields, "Retry-After") == "(none)");
    CHECK(field(fields, "X-RateLimit-Limit") == "10");
    CHECK(field(fields, "RateLimit") == "\"a\";r=10,\"b\";r=0;t=1");
}

TEST_CASE("a failed store puts no invented numbers into fields", "[http][headers]") {
    CHECK(write({{"a", {10, 10s}, failed(true)}}).empty());
    CHECK(write({{"a", {10, 10s}, failed(false)}}) == Fields{{"Retry-After", "1"}});
    const auto fields = write({{"a", {10, 10s}, failed(true)}, {"b", {5, 1s}, allowed(5, 4, 1s)}});
    CHECK(field(fields, "RateLimit-Policy") == "\"b\";q=5;w=1");
    CHECK(field(fields, "X-RateLimit-Limit") == "5");
    CHECK(field(write({{"a", {10, 10s}, failed(false)}, {"b", {5, 1s}, allowed(5, 4, 1s)}}), "X-RateLimit-Limit") ==
          "(none)");
}

TEST_CASE("a fallback's and a full store's decisions are told", "[http][headers]") {
    Decision decision = allowed(10, 9, 1s);
    decision.error = sluice::Errc::degraded;
    CHECK(field(write({{"a", {10, 10s}, decision}}), "RateLimit") == "\"a\";r=9;t=1");
    decision.error = sluice::Errc::store_full;
    CHECK(field(write({{"a", {10, 10s}, decision}}), "RateLimit") == "\"a\";r=9;t=1");
}

TEST_CASE("windows below a second and integers of 16 digits stay within the syntax", "[http][headers]") {
    const std::uint64_t huge = (std::uint64_t{1} << 53) - 1;
    const auto fields = write({{"a", {huge, 100ms}, allowed(huge, huge, 0s)}});
    CHECK(field(fields, "RateLimit-Policy") == "\"a\";q=999999999999999;w=1");
    CHECK(field(fields, "RateLimit") == "\"a\";r=999999999999999");
    CHECK(field(fields, "X-RateLimit-Limit") == "9007199254740991");
}

TEST_CASE("names are escaped in fields and checked where they are configured", "[http][headers]") {
    using sluice::http::checked_policy_name;
    CHECK(field(write({{"say \"hi\\\"", {1, 1s}, allowed(1, 1, 0s)}}), "RateLimit") == "\"say \\\"hi\\\\\\\"\";r=1");
    CHECK(checked_policy_name("per-user 1") == "per-user 1");
    CHECK_THROWS_AS(checked_policy_name(""), std::invalid_argument);
    CHECK_THROWS_AS(checked_policy_name(std::string(65, 'a')), std::invalid_argument);
    CHECK_THROWS_AS(checked_policy_name("a\r\nSet-Cookie: b"), std::invalid_argument);
    CHECK_THROWS_AS(checked_policy_name("caf\xc3\xa9"), std::invalid_argument);
    try {
        checked_policy_name("a\nb");
        FAIL("accepted");
    } catch (const std::invalid_argument& error) {
        CHECK(std::string{error.what()}.find("'a?b'") != std::string::npos);
    }
}

TEST_CASE("jitter only lengthens Retry-After", "[http][headers]") {
    const std::vector<PolicyAnswer> answers{{"a", {10, 10s}, denied(10, 0, 100s, 100s)}};
    const HeaderWriter writer{{HeaderStyle::none, 10}};
    std::vector<int> seen(200);
    for (int i = 0; i < 2000; ++i) {
        writer.write(answers, [&](const char*, const std::string& value) { ++seen.at(std::stoul(value)); });
    }
    for (std::size_t seconds = 0; seconds < seen.size(); ++seconds) {
        INFO(seconds);
        CHECK((seen[seconds] > 0) == (seconds >= 100 && seconds <= 110));
    }
    CHECK(HeaderOptions{}.retry_jitter_percent == 0);
    CHECK_NOTHROW(HeaderWriter{{HeaderStyle::none, 100}});
    CHECK_THROWS_AS((HeaderWriter{{HeaderStyle::none, 101}}), std::invalid_argument);
}

TEST_CASE("fields that outgrow their place in the list are whole, in copies too", "[http][headers]") {
    const std::string name(28, 'n');
    std::string state, policy;
    std::vector<PolicyAnswer> answers;
    for (std::uint64_t i = 1; i <= 4; ++i) {
        answers.push_back({name, {i, 1s}, allowed(i, i, 0s)});
        const std::string comma = i == 1 ? "" : ",";
        state += comma + '"' + name + "\";r=" + std::to_string(i);
        policy += comma + '"' + name + "\";q=" + std::to_string(i) + ";w=1";
    }
    const HeaderWriter writer{{HeaderStyle::both}};
    for (const std::size_t limits :
         {1U, 2U, 3U, 4U}) {  // 2: the second field begins in the place and ends outside, 4: the first
        sluice::http::FieldList fields;
        writer.write(std::span{answers}.first(limits), fields);
        auto copy = fields;
        const auto moved = std::move(fields);
        copy = sluice::http::FieldList{copy};
        sluice::http::FieldList assigned;
        assigned = copy;
        for (const auto& list : {copy, moved, assigned}) {
            REQUIRE(list.size() == 5);
            CHECK_FALSE(list.empty());
            CHECK(list[0].name == std::string{"RateLimit"});
            CHECK(list[0].value == state.substr(0, list[0].value.size()));
            CHECK(list[0].value.back() == static_cast<char>('0' + limits));
            CHECK(list[1].value == policy.substr(0, list[1].value.size()));
            CHECK(list[1].value.substr(list[1].value.size() - 4) == ";w=1");
            CHECK(list[4].name == std::string{"X-RateLimit-Reset"});
            CHECK(list[4].value == "0");
        }
    }
}
