// SPDX-License-Identifier: MIT
#include "support/catch.hpp"

#include <algorithm>
#include <chrono>
#include <initializer_list>
#include <map>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include <sluice/http/adapter.hpp>
#include <sluice/http/denial_log.hpp>
#include <sluice/http/guard.hpp>
#include <sluice/sluice.hpp>

#include "support/asked.hpp"

using namespace std::chrono_literals;
using namespace sluice::http;
using sluice::RateLimiter;
using sluice::TokenBucket;

namespace {

RuleSet one_rule(int capacity, unsigned percent = 100) {
    Rule rule{.name = "r", .routes = {RoutePattern{"/a"}}};
    rule.tiers = {{.limits = {{RateLimiter{TokenBucket{capacity, sluice::per_hour(1)}, {.name = "burst"}}}}}};
    rule.enforce_percent = percent;
    return RuleSet{{rule}};
}

std::map<std::string, std::string> headers(const Guard& guard, const Verdict& verdict) {
    std::map<std::string, std::string> all;
    guard.write_headers(verdict, [&](const char* name, std::string value) { all[name] = std::move(value); });
    return all;
}

}  // namespace

TEST_CASE("a guard finds the client, charges it and writes the answer", "[http][guard]") {
    const Guard guard{one_rule(1),
                      {.headers = {HeaderStyle::ratelimit, 0},
                       .client_address = ClientAddress{{.trusted_proxies = {Network{"10.0.0.0/8"}}}}}};
    const TestHeaders forwarded{{{"X-Forwarded-For", "9.9.9.9, 203.0.113.7"}}};
    const auto first = guard.check({.method = "GET", .path = "/a", .peer = "10.0.0.1", .header = forwarded});
    CHECK(first.allowed());
    CHECK(headers(guard, first).at("RateLimit") == "\"burst\";r=0;t=3600");
    const auto second = guard.check({"GET", "/a", "203.0.113.7"});
    CHECK_FALSE(second.allowed());
    CHECK(headers(guard, second).at("Retry-After") == "3600");
    CHECK(guard.denial(second).status == 429);
    CHECK(guard.denial(second).content.find("quota-exceeded") != std::string::npos);
    CHECK(guard.check({"GET", "/a", "10.0.0.1"}).allowed());
    CHECK(headers(guard, guard.check({"GET", "/elsewhere", "10.0.0.1"})).empty());
}

TEST_CASE("a guard that is told nothing holds nobody and reads 64 MiB of a denied body, for 5 s", "[http][guard]") {
    const GuardOptions usual;
    CHECK(usual.max_hold == 0s);
    CHECK(usual.max_drained == 67'108'864);
    CHECK(usual.max_drain_time == 5s);
}

TEST_CASE("a request is held as long as its limit wants, and no longer than the guard may", "[http][guard]") {
    const auto held = [](std::chrono::nanoseconds delay, std::chrono::nanoseconds most) {
        Answer answer;
        answer.delay = delay;
        const auto start = std::chrono::steady_clock::now();
        hold(answer, {.max_hold = most});
        return std::chrono::steady_clock::now() - start;
    };
    CHECK(held(2ms, 1h) >= 2ms);
    CHECK(held(1h, 2ms) >= 2ms);
    CHECK(held(0s, 1h) < 1h);
    CHECK(held(1h, 0s) < 1h);
}

TEST_CASE("shadow mode tells the client nothing", "[http][guard]") {
    const Guard guard{one_rule(1, 0)};
    for (int i = 0; i < 3; ++i) {
        const auto verdict = guard.check({"GET", "/a", "192.0.2.1"});
        CHECK(verdict.allowed());
        CHECK(headers(guard, verdict).empty());
    }
}

TEST_CASE("the body's and the headers' styles can be chosen", "[http][guard]") {
    const Guard guard{one_rule(1), {.headers = {HeaderStyle::none, 0}, .body = BodyStyle::plain}};
    static_cast<void>(guard.check({"GET", "/a", "192.0.2.1"}));
    const auto denied = guard.check({"GET", "/a", "192.0.2.1"});
    CHECK(headers(guard, denied).size() == 1);
    CHECK(guard.denial(denied).content_type == "application/json");
}

TEST_CASE("denials reach the callback, whose exceptions do not reach the request", "[http][guard]") {
    std::vector<std::string> seen;
    GuardOptions options;
    options.on_denied = [&](const Denial& denial) {
        seen.push_back(std::string{denial.method} + " " + std::string{denial.path} + " " +
                       std::string{std::string_view{denial.caller.address->text()}} + " " +
                       denial.verdict.rule()->name);
        throw std::runtime_error{"disk full"};
    };
    const Guard guard{one_rule(1), options};
    static_cast<void>(guard.check({"GET", "/a", "2001:db8::1"}));
    CHECK(seen.empty());
    CHECK_FALSE(guard.check({"GET", "/a", "2001:db8::2"}).allowed());
    CHECK(seen == std::vector<std::string>{"GET /a 2001:db8::2 r"});
}

TEST_CASE("a flood of denials is no flood of log lines", "[http][guard]") {
    std::vector<std::uint64_t> unlogged;
    GuardOptions options;
    options.on_denied = DenialLog{[&](const Denial&, std::uint64_t left_out) { unlogged.push_back(left_out); },
                                  TokenBucket{3, sluice::per_hour(1)}};
    const Guard guard{one_rule(1), options};
    for (int i = 0; i < 1000; ++i) static_cast<void>(guard.check({"GET", "/a", "192.0.2.1"}));
    CHECK(unlogged == std::vector<std::uint64_t>{0, 0, 0});
}

TEST_CASE("a misconfigured limit is told once, and to the operator", "[http][guard]") {
    struct Misconfigured {
        sluice::Decision decide(const sluice::Request<TokenBucket>&) const noexcept {
            return sluice::failure(sluice::Errc::misconfigured);
        }
    };
    Rule rule{.name = "r", .routes = {RoutePattern{"/a"}}};
    rule.tiers = {{.limits = {{RateLimiter{TokenBucket{1, sluice::per_hour(1)}, Misconfigured{}, {.name = "burst"}}}}}};
    int denied = 0;
    std::vector<std::string> told;
    GuardOptions options;
    options.on_denied = [&](const Denial&) { ++denied; };
    options.on_misconfigured = [&](const Denial& denial) { told.push_back(denial.verdict.rule()->name); };
    const Guard guard{RuleSet{{rule}}, options};
    for (int i = 0; i < 3; ++i) {
        CHECK(guard.denial(guard.check({"GET", "/a", "192.0.2.1"})).status == 500);
    }
    CHECK(denied == 3);
    CHECK(told == std::vector<std::string>{"r"});
}

TEST_CASE("an address that the program names is believed", "[http][guard]") {
    const Guard guard{one_rule(1)};
    const auto allowed = [&](const char* named) {
        return guard
            .check({.method = "GET", .path = "/a", .peer = "10.0.0.1", .caller = {.address = IpAddress::parse(named)}})
            .allowed();
    };
    CHECK(allowed("203.0.113.1"));
    CHECK_FALSE(allowed("203.0.113.1"));
    CHECK(allowed("203.0.113.2"));
}

TEST_CASE("lines of a header are told in their order, or as unreadable where a container has lost it",
          "[http][guard]") {
    using Line = std::pair<const std::string, std::string>;
    struct IgnoringCase {
        bool operator()(const std::string& a, const std::string& b) const {
            return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
                return sluice::http::detail::lower(x) < sluice::http::detail::lower(y);
            });
        }
    };
    const auto told = [](const auto& container) {
        HeaderValues values;
        MapHeaders{container}("X-Forwarded-For", values);
        std::string text;
        for (const auto line : values.lines()) text += '[' + std::string{line} + ']';
        return text;
    };
    const auto check = [&](std::initializer_list<Line> lines, const char* kept, const char* by_bytes,
                           const char* hashed) {
        CHECK(told(std::vector<Line>{lines}) == kept);
        CHECK(told(std::multimap<std::string, std::string, IgnoringCase>{lines}) == kept);
        CHECK(told(std::multimap<std::string, std::string>{lines}) == by_bytes);
        CHECK(told(std::unordered_multimap<std::string, std::string>{lines}) == hashed);
    };
    check({{"Host", "a"}, {"X-Forwarded-Fo", "1"}}, "", "", "");
    check({{"x-FORWARDED-for", "1"}, {"X-Forwarded", "2"}}, "[1]", "[1]", "[1]");
    check({{"X-Forwarded-For", "2"}, {"X-Forwarded-For", "1"}}, "[2][1]", "[2][1]", "[]");
    check({{"x-forwarded-for", "2"}, {"X-Forwarded-For", "1"}}, "[2][1]", "[]", "[]");
}
