// SPDX-License-Identifier: MIT
#include "support/catch.hpp"

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include <sluice/http/guard.hpp>
#include <sluice/http/rules/rules.hpp>
#include <sluice/sluice.hpp>

#include "support/asked.hpp"
#include "support/failing_store.hpp"

using namespace std::chrono_literals;
using namespace sluice::http;
using sluice::AnyLimiter;
using sluice::Errc;
using sluice::LeakyBucket;
using sluice::ManualClock;
using sluice::MemoryStore;
using sluice::RateLimiter;
using sluice::TokenBucket;

namespace {

Rule rule_with(std::vector<Limit> limits, unsigned percent = 100) {
    Rule made{.name = "r", .routes = {RoutePattern{"/a"}}};
    made.tiers.push_back({.limits = std::move(limits)});
    made.enforce_percent = percent;
    return made;
}

template <class P>
AnyLimiter limiter_of(const char* name, P policy, const ManualClock& clock) {
    return RateLimiter{policy, MemoryStore<P, ManualClock>{{.max_keys = 100}, clock}, {.name = name}};
}

std::map<std::string, std::string> fields_of(const Guard& guard, const Verdict& verdict) {
    std::map<std::string, std::string> all;
    guard.write_headers(verdict, [&](const char* name, std::string value) { all[name] = std::move(value); });
    return all;
}

Verdict ask(const Guard& guard) { return guard.check({"GET", "/a", "192.0.2.1"}); }

}  // namespace

TEST_CASE("a denial tells all limits, and charges none of them", "[http][verdict]") {
    const ManualClock clock;
    const auto minute = limiter_of("minute", sluice::FixedWindow{4, 60s}, clock);
    const Guard guard{
        RuleSet{{rule_with({{limiter_of("burst", TokenBucket{3, sluice::Rate{1, 5s}}, clock)}, {minute}})}},
        {.headers = {HeaderStyle::both, 0}}};
    const std::string policy = "\"burst\";q=3;w=15,\"minute\";q=4;w=60";
    for (int i = 0; i < 3; ++i) {
        const auto verdict = ask(guard);
        REQUIRE(verdict.allowed());
        CHECK(fields_of(guard, verdict).at("RateLimit-Policy") == policy);
    }
    for (int i = 0; i < 3; ++i) {
        const auto denied = ask(guard);
        REQUIRE_FALSE(denied.allowed());
        const auto fields = fields_of(guard, denied);
        CHECK(fields.at("RateLimit-Policy") == policy);
        CHECK(fields.at("RateLimit") == "\"burst\";r=0;t=5,\"minute\";r=1;t=60");
        CHECK(fields.at("Retry-After") == "5");
        CHECK(fields.at("X-RateLimit-Limit") == "3");
        CHECK(guard.denial(denied).content.find("\"violated-policies\":[\"burst\"]") != std::string::npos);
    }
    CHECK(minute.peek("ip:192.0.2.1").remaining == 1);
}

TEST_CASE("who has to wait for the second limit is not sent back for the first", "[http][verdict]") {
    const ManualClock clock;
    const Guard guard{RuleSet{{rule_with({{limiter_of("burst", TokenBucket{3, sluice::Rate{1, 5s}}, clock)},
                                          {limiter_of("minute", sluice::FixedWindow{3, 60s}, clock)}})}},
                      {.headers = {HeaderStyle::both, 0}}};
    for (int i = 0; i < 3; ++i) CHECK(ask(guard).allowed());
    const auto denied = ask(guard);
    const auto fields = fields_of(guard, denied);
    CHECK(fields.at("Retry-After") == "60");
    CHECK(fields.at("X-RateLimit-Reset") == "60");
    CHECK(guard.denial(denied).content.find("[\"burst\",\"minute\"]") != std::string::npos);
}

TEST_CASE("a remote limit behind the first denial is not asked", "[http][verdict]") {
    const ManualClock clock;
    const ::FailingStore store{MemoryStore<TokenBucket, ManualClock>{{.max_keys = 100}, clock}};  // not InProcessStore
    const AnyLimiter remote = RateLimiter{TokenBucket{9, sluice::per_second(1)}, store, {.name = "remote"}};
    CHECK_FALSE(remote.is_in_process());
    const Guard guard{
        RuleSet{{rule_with({{limiter_of("first", TokenBucket{1, sluice::per_hour(1)}, clock)}, {remote}})}},
        {.headers = {HeaderStyle::both, 0}}};
    CHECK(ask(guard).allowed());
    REQUIRE(store.calls() == 1);
    const auto denied = ask(guard);
    CHECK_FALSE(denied.allowed());
    CHECK(store.calls() == 1);
    REQUIRE(denied.answers().size() == 2);
    CHECK_FALSE(denied.answers()[1].asked);
    const auto fields = fields_of(guard, denied);
    CHECK(fields.at("RateLimit-Policy") == "\"first\";q=1;w=3600,\"remote\";q=9;w=9");
    CHECK(fields.at("RateLimit") == "\"first\";r=0;t=3600");
    CHECK(guard.denial(denied).content.find("\"violated-policies\":[\"first\"]") != std::string::npos);
}

TEST_CASE("a limit whose requests cost more than one unit says that it counts units", "[http][verdict]") {
    const ManualClock clock;
    const Guard guard{
        RuleSet{{rule_with({{limiter_of("work", TokenBucket{20, sluice::per_second(2)}, clock), {KeyPart::address}, 5},
                            {limiter_of("calls", TokenBucket{9, sluice::per_second(1)}, clock)}})}},
        {.headers = {HeaderStyle::ratelimit, 0}}};
    const auto fields = fields_of(guard, ask(guard));
    CHECK(fields.at("RateLimit-Policy") == "\"work\";q=20;qu=\"units\";w=10,\"calls\";q=9;w=9");
    CHECK(fields.at("RateLimit") == "\"work\";r=15;t=3,\"calls\";r=8;t=1");
}

TEST_CASE("a leaky bucket's delay reaches the handler", "[http][verdict]") {
    const ManualClock clock;
    const auto paced = limiter_of("paced", LeakyBucket{4, sluice::per_second(1)}, clock);
    const auto delays = [&](unsigned percent) {
        const Guard guard{RuleSet{
            {rule_with({{paced}, {limiter_of("free", TokenBucket{9, sluice::per_second(1)}, clock)}}, percent)}}};
        std::vector<std::chrono::nanoseconds> seen;
        for (int i = 0; i < 5; ++i) seen.push_back(guard.handle({"GET", "/a", "192.0.2.1"}).delay);
        return seen;
    };
    SECTION("enforced") { CHECK(delays(100) == std::vector<std::chrono::nanoseconds>{0s, 1s, 2s, 3s, 0s}); }
    SECTION("in shadow mode nobody is held") { CHECK(delays(0) == std::vector<std::chrono::nanoseconds>(5, 0s)); }
}

TEST_CASE("what is wrong in itself is neither a 429 nor a 503", "[http][verdict]") {
    struct Row {
        Errc error;
        int status;
        const char* type;
    };
    for (const auto& [error, status, type] :
         {Row{Errc::invalid_argument, 400, "about:blank"}, Row{Errc::misconfigured, 500, "about:blank"},
          Row{Errc::timeout, 503, "temporary-reduced-capacity"}}) {
        INFO(status);
        const ManualClock clock;
        const ::FailingStore store{MemoryStore<TokenBucket, ManualClock>{{.max_keys = 100}, clock}};
        store.fail(error);
        for (const auto mode : {sluice::FailureMode::allow, sluice::FailureMode::deny}) {
            const AnyLimiter broken =
                RateLimiter{TokenBucket{9, sluice::per_second(1)}, store, {.name = "broken", .on_failure = mode}};
            const Guard guard{RuleSet{{rule_with({{broken}})}},
                              {.headers = {HeaderStyle::both, 0}, .on_misconfigured = [](const Denial&) {}}};
            const auto verdict = ask(guard);
            if (status == 503 && mode == sluice::FailureMode::allow) {
                CHECK(verdict.allowed());
                continue;
            }
            REQUIRE_FALSE(verdict.allowed());
            const auto body = guard.denial(verdict);
            CHECK(body.status == status);
            CHECK(body.content.find(type) != std::string::npos);
            CHECK(fields_of(guard, verdict).count("Retry-After") == (status == 503 ? 1 : 0));
            CHECK(fields_of(guard, verdict).count("RateLimit") == 0);
            CHECK(fields_of(guard, verdict).count("X-RateLimit-Limit") == 0);
        }
    }
}

TEST_CASE("a rule that the program names applies whatever the path", "[http][verdict]") {
    const ManualClock clock;
    auto login = rule_with({{limiter_of("login", TokenBucket{1, sluice::per_hour(1)}, clock)}});
    login.methods = {"POST"};
    auto rest = rule_with({});
    rest.name = "rest";
    const Rules rules{RuleSet{{login}, rest}};
    const Caller caller{.address = IpAddress::parse("192.0.2.1"), .block = IpAddress::parse("192.0.2.1")};
    CHECK(rules.check(asked({}, {}, caller, "r")).allowed());
    CHECK_FALSE(rules.check(asked({}, {}, caller, "r")).allowed());
    CHECK(rules.check(asked({}, {}, caller, "gone")).rule()->name == "rest");
    CHECK(Rules{RuleSet{}}.check(asked({}, {}, caller, "gone")).rule() == nullptr);
}

TEST_CASE("limits of remote stores are charged together, and a denial says who denied", "[http][verdict]") {
    const ManualClock clock;
    using Memory = MemoryStore<TokenBucket, ManualClock>;
    const ::FailingStore first{Memory{{.max_keys = 100}, clock}};
    const ::FailingStore second{Memory{{.max_keys = 100}, clock}};
    const auto limiter = [](const char* name, const auto& store, int capacity, sluice::FailureMode mode) {
        return AnyLimiter{
            RateLimiter{TokenBucket{capacity, sluice::per_hour(1)}, store, {.name = name, .on_failure = mode}}};
    };
    using enum sluice::FailureMode;
    const AnyLimiter wide = limiter("wide", first, 9, allow);
    const AnyLimiter narrow = limiter("narrow", second, 1, deny);
    const Guard guard{RuleSet{{rule_with({{wide}, {narrow}})}}};
    const auto passed = guard.handle({"GET", "/a", "192.0.2.1"});
    CHECK(passed.allowed);
    for (const auto& one : passed.verdict.answers()) CHECK((one.asked && one.decision.allowed));
    CHECK((first.calls() == 1 && second.calls() == 1));

    const auto violated = [&](int status) {
        const auto answer = guard.handle({"GET", "/a", "192.0.2.1"});
        CHECK_FALSE(answer.allowed);
        CHECK(answer.denial.status == status);
        const auto at = answer.denial.content.find("\"violated-policies\":");
        return answer.denial.content.substr(at + 20);
    };
    CHECK(violated(429) == "[\"narrow\"]}");
    CHECK(wide.peek("ip:192.0.2.1").remaining == 8);  // it has its unit back
    first.fail(Errc::timeout);                        // and lets all pass, as its mode says
    CHECK(violated(429) == "[\"narrow\"]}");
    first.recover();
    second.fail(Errc::timeout);
    CHECK(violated(503) == "[\"narrow\"]}");
    CHECK(wide.peek("ip:192.0.2.1").remaining == 8);
    second.fail(Errc::invalid_argument);
    CHECK(violated(400) == "[\"narrow\"]}");
    first.fail(Errc::timeout);
    second.recover();
    CHECK(guard.handle({"GET", "/a", "192.0.2.2"}).allowed);
}
