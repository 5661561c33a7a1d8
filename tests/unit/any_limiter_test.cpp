// SPDX-License-Identifier: MIT

#include <array>
#include <string_view>
#include <vector>

#include <sluice/any_limiter.hpp>
#include <sluice/sluice.hpp>

#include "support/catch.hpp"

using namespace std::chrono_literals;

TEST_CASE("an AnyLimiter does what its limiter does") {
    const sluice::AnyLimiter limiter =
        sluice::RateLimiter{sluice::FixedWindow{3, 24h}, sluice::LimiterOptions{.name = "daily"}};
    CHECK(limiter.name() == "daily");
    CHECK(limiter.quota() == sluice::Quota{3, 24h});
    CHECK(limiter.try_consume("key", 2).remaining == 1);
    CHECK_FALSE(limiter.peek("key", 2));
    CHECK_FALSE(limiter.refund("key", 1));
    CHECK(limiter.peek("key").remaining == 2);
    CHECK_FALSE(limiter.reset("key"));
    CHECK(limiter.peek("key").remaining == 3);

    const std::array<std::string_view, 3> keys{"a", "b", "a"};
    std::array<sluice::Decision, 3> decisions;
    limiter.try_consume_many(keys, decisions);
    CHECK(decisions[1].remaining == 2);
    CHECK(decisions[2].remaining == 1);
}

TEST_CASE("copies of an AnyLimiter share the limiter, and kinds mix in one container") {
    std::vector<sluice::AnyLimiter> limiters;
    limiters.push_back(sluice::RateLimiter{sluice::TokenBucket{1, sluice::per_hour(1)}});
    limiters.push_back(sluice::RateLimiter{sluice::SlidingWindow{2, 1h}});
    limiters.push_back(limiters.front());
    CHECK(limiters[0].try_consume("key"));
    CHECK_FALSE(limiters[2].try_consume("key"));
    CHECK(limiters[1].try_consume("key"));
}
