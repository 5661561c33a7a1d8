// SPDX-License-Identifier: MIT
#include "support/catch.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <sluice/http/guard.hpp>
#include <sluice/http/rules/limiter_factory.hpp>
#include <sluice/redis.hpp>
#include <sluice/sluice.hpp>

#include "support/redis_server.hpp"

using namespace std::chrono_literals;
using namespace sluice::http;

namespace {

Limit limit(const LimiterFactory& make, const char* name, int units, std::vector<KeySource> key = {KeyPart::address}) {
    return {.limiter = make(sluice::FixedWindow{units, 24h * 365}, {.name = name}), .key = std::move(key)};
}

}  // namespace

TEST_CASE("a rule with four limits on one Redis takes one round trip, and charges all or none", "[redis][http]") {
    const RedisServer server;
    const sluice::RedisStore redis{server.url(), {.timeout = 10s}};
    const auto make = limiters_in(redis);
    Rule rule{.name = "r", .routes = {RoutePattern{"/a"}}};
    const Limit wide = limit(make, "wide", 100);
    rule.tiers = {{.limits = {wide, limit(make, "narrow", 3, {}), limit(make, "user", 50, {KeyPart::user}),
                              limit(make, "method", 60, {KeyPart::method})}}};
    const Guard guard{RuleSet{{rule}}};
    const auto ask = [&] { return guard.handle({"GET", "/a", "192.0.2.1"}); };
    REQUIRE(ask().allowed);  // dials and loads scripts
    const auto before = redis.stats().round_trips;
    const auto second = ask();
    CHECK(second.allowed);
    CHECK(redis.stats().round_trips - before == 1);
    REQUIRE(second.verdict.answers().size() == 4);
    CHECK(second.verdict.answers()[0].decision.remaining == 98);
    CHECK(ask().allowed);

    const auto denied = ask();
    CHECK_FALSE(denied.allowed);
    CHECK(denied.denial.status == 429);
    CHECK(denied.denial.content.find("\"violated-policies\":[\"narrow\"]") != std::string::npos);
    CHECK(denied.verdict.answers()[0].decision.allowed);
    CHECK(denied.verdict.answers()[0].decision.remaining == 97);
    CHECK(wide.limiter.peek("ip:192.0.2.1").remaining == 97);
}

TEST_CASE("rules that are replaced keep what is used in Redis, with memory behind it or leases before it",
          "[redis][http]") {
    const RedisServer server;
    const sluice::RedisStore redis{server.url(), {.timeout = 10s}};
    const auto plain = limiters_in(redis), backed = limiters_in(redis, MemoryLimiters{}, 4);
    const auto set = [&](int units) {
        Rule rule{.name = "r", .routes = {RoutePattern{"/a"}}};
        rule.tiers = {{.limits = {limit(plain, "plain", units),
                                  limit(backed, "backed", units),
                                  {.limiter = backed.leased(sluice::FixedWindow{units, 24h * 365}, {.name = "leased"}),
                                   .key = {KeyPart::address}}}}};
        return RuleSet{{rule}};
    };
    const Guard guard{set(100)};
    const auto ask = [&] { return guard.handle({"GET", "/a", "192.0.2.1"}); };
    for (int i = 0; i != 30; ++i) REQUIRE(ask().allowed);
    REQUIRE(guard.rules().replace(set(200)).empty());
    const auto answer = ask();
    REQUIRE(answer.verdict.answers().size() == 3);
    for (const auto& one : answer.verdict.answers()) {
        INFO(one.name);
        CHECK_FALSE(one.decision.error);
        CHECK(one.decision.limit == 200);
        // What a lease is taking in the background counts as used.
        CHECK(std::min<std::uint64_t>(one.decision.remaining, 169) == one.decision.remaining);
        if (one.name != "leased") CHECK(one.decision.remaining == 169);
    }
    REQUIRE(guard.rules().replace(set(20)).empty());
    CHECK_FALSE(ask().allowed);
}
