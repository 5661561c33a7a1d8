// SPDX-License-Identifier: MIT

#include <chrono>
#include <stdexcept>

#include <sluice/policies/leaky_bucket.hpp>

#include "support/catch.hpp"

using namespace std::chrono_literals;
using sluice::LeakyBucket;

TEST_CASE("a leaky bucket lets requests leave evenly") {
    const LeakyBucket policy{3, sluice::per_second(5)};
    LeakyBucket::State state;
    CHECK(policy.step(state, 1s, 1).delay == 0ms);
    CHECK(policy.step(state, 1s, 1).delay == 200ms);
    const auto last = policy.step(state, 1s, 1);
    CHECK(last.delay == 400ms);
    CHECK(last.remaining == 0);
    CHECK(last.reset_after == 600ms);
    const auto denied = policy.step(state, 1s, 1);
    CHECK_FALSE(denied.allowed);
    CHECK(denied.delay == 0ms);
    CHECK(denied.retry_after == 200ms);
    CHECK(policy.step(state, 1s + 250ms, 1).delay == 350ms);
}

TEST_CASE("the delay counts units and is rounded up") {
    const LeakyBucket policy{10, sluice::per_second(3)};
    LeakyBucket::State state;
    CHECK(policy.step(state, 1s, 4).delay == 0ns);
    CHECK(policy.step(state, 1s, 1).delay == 1'333'333'334ns);
    policy.refund(state, 1s, 5);
    CHECK(policy.step(state, 1s, 1).delay == 0ns);
}

TEST_CASE("a clock that goes back finds a queue full at most") {
    const LeakyBucket policy{3, sluice::per_second(5)};
    LeakyBucket::State state;
    CHECK(policy.step(state, 100s, 1).allowed);
    const auto look = policy.step(state, 1s, 0);
    CHECK(look.allowed);
    CHECK(look.remaining == 0);
    CHECK(look.delay == 600ms);
    CHECK(look.reset_after == 600ms);
    CHECK(policy.step(state, 1s, 1).retry_after == 200ms);
}

TEST_CASE("what a leaky bucket tells of itself") {
    const LeakyBucket policy{20, sluice::per_second(5)};
    CHECK(policy.queue() == 20);
    CHECK(policy.drain() == sluice::per_second(5));
    CHECK(policy.quota() == sluice::Quota{20, 4s});
    CHECK_THROWS_WITH((LeakyBucket{0, sluice::per_second(5)}), contains_text("queue must be from 1 to"));
}
