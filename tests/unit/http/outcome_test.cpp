// SPDX-License-Identifier: MIT
#include "support/catch.hpp"

#include <chrono>
#include <string>
#include <vector>

#include <sluice/http/guard.hpp>
#include <sluice/sluice.hpp>

using namespace std::chrono_literals;
using namespace sluice::http;
using sluice::ManualClock;
using sluice::MemoryStore;
using sluice::RateLimiter;

namespace {

struct Fixture {
    ManualClock clock;
    MemoryStore<sluice::FixedWindow, ManualClock> store{{.max_keys = 100}, clock};

    Limit limit(const char* name, int units, Counted counted, int cost = 1) const {
        return {.limiter = RateLimiter{sluice::FixedWindow{units, 60s}, store, {.name = name}},
                .cost = cost,
                .counted = counted};
    }
    static Guard guard(std::vector<Limit> limits) {
        Rule rule{.name = "r", .routes = {RoutePattern{"/a"}}};
        rule.tiers = {{.limits = std::move(limits)}};
        return Guard{RuleSet{{rule}}};
    }
};

Answer ask(const Guard& guard) { return guard.handle({"POST", "/a", "192.0.2.1"}); }
std::uint64_t left(const Limit& limit) { return limit.limiter.peek("ip:192.0.2.1").remaining; }

}  // namespace

TEST_CASE("only failed logins count", "[http][outcome]") {
    const Fixture f;
    const Limit limit = f.limit("login", 3, Counted::failures);
    const Guard guard = f.guard({limit});
    for (int i = 0; i < 10; ++i) {
        const auto answer = ask(guard);
        REQUIRE(answer.allowed);
        CHECK(left(limit) == 2);  // held while it is tried
        answer.verdict.settle(i % 2 == 0 ? 200 : 302);
        CHECK(left(limit) == 3);
    }
    for (const int status : {400, 401, 500}) ask(guard).verdict.settle(status);
    CHECK_FALSE(ask(guard).allowed);
}

TEST_CASE("all four limits of a request are settled, each by what it counts", "[http][outcome]") {
    const Fixture f;
    const std::vector<Limit> limits{f.limit("first", 9, Counted::failures), f.limit("second", 9, Counted::successes),
                                    f.limit("third", 9, Counted::reported, 2), f.limit("last", 9, Counted::failures)};
    const auto answer = ask(f.guard(limits));
    for (const Limit& limit : limits) CHECK(left(limit) < 9);
    answer.verdict.report_cost(5);
    answer.verdict.settle(399);
    CHECK((left(limits[0]) == 9 && left(limits[1]) == 8 && left(limits[2]) == 4 && left(limits[3]) == 9));
}

TEST_CASE("attempts at the same time are no way around a limit of failures", "[http][outcome]") {
    const Fixture f;
    const Guard guard = f.guard({f.limit("login", 3, Counted::failures)});
    std::vector<Answer> pending;
    for (int i = 0; i < 3; ++i) pending.push_back(ask(guard));
    CHECK_FALSE(ask(guard).allowed);
    pending.back().verdict.settle(200);
    CHECK(ask(guard).allowed);
}

TEST_CASE("only successes count", "[http][outcome]") {
    const Fixture f;
    const Limit limit = f.limit("orders", 2, Counted::successes);
    const Guard guard = f.guard({limit});
    for (const int status : {400, 404, 500, 503}) ask(guard).verdict.settle(status);
    CHECK(left(limit) == 2);
    ask(guard).verdict.settle(201);
    CHECK(left(limit) == 1);
}

TEST_CASE("the real cost takes the place of the estimate", "[http][outcome]") {
    const Fixture f;
    const Limit limit = f.limit("tokens", 100, Counted::reported, 30);
    const Guard guard = f.guard({limit});
    const auto cheap = ask(guard);
    CHECK(left(limit) == 70);
    cheap.verdict.report_cost(10);
    cheap.verdict.settle(200);
    CHECK(left(limit) == 90);
    const auto dear = ask(guard);
    dear.verdict.report_cost(50);
    dear.verdict.settle(500);
    CHECK(left(limit) == 40);
    ask(guard).verdict.settle(200);  // nothing reported: the estimate
    CHECK(left(limit) == 10);
}

TEST_CASE("a request that nobody settles stays charged, and one is settled once", "[http][outcome]") {
    const Fixture f;
    const Limit limit = f.limit("login", 5, Counted::failures);
    const Guard guard = f.guard({limit});
    static_cast<void>(ask(guard));  // the client went away
    CHECK(left(limit) == 4);
    const auto answer = ask(guard);
    const Verdict copy = answer.verdict;
    answer.verdict.settle(401);
    copy.settle(200);
    CHECK(left(limit) == 3);
}

TEST_CASE("what is given back after its window has ended is nobody else's", "[http][outcome]") {
    const Fixture f;
    const Limit limit = f.limit("login", 2, Counted::failures);
    const Guard guard = f.guard({limit});
    const auto slow = ask(guard);
    f.clock.advance(61s);
    ask(guard).verdict.settle(401);
    CHECK(left(limit) == 1);
    slow.verdict.settle(200);
    CHECK(left(limit) == 1);
}

TEST_CASE("a limit that denies gives back what limits by outcome have taken", "[http][outcome]") {
    const Fixture f;
    const Limit first = f.limit("failures", 5, Counted::failures);
    const Limit second = f.limit("all", 1, Counted::all);
    const Guard guard = f.guard({first, second});
    ask(guard).verdict.settle(401);
    const auto denied = ask(guard);
    CHECK_FALSE(denied.allowed);
    CHECK(denied.verdict.answers()[0].decision.remaining == 4);
    denied.verdict.settle(429);
    CHECK(left(first) == 4);
}
