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

TEST_CASE("the units of a burst are not delayed") {
    const LeakyBucket policy{5, sluice::per_second(2), 3};
    LeakyBucket::State state;
    CHECK(policy.step(state, 1s, 2).delay == 0ns);
    CHECK(policy.step(state, 1s, 1).delay == 0ns);
    CHECK(policy.step(state, 1s, 1).delay == 500ms);
    CHECK(policy.step(state, 1s, 1).delay == 1s);
    CHECK_FALSE(policy.step(state, 1s, 1).allowed);
    CHECK(policy.step(state, 2s + 250ms, 1).delay == 250ms);  // two and a half before it
    const LeakyBucket whole{5, sluice::per_second(2), 5};
    state = {};
    CHECK(whole.step(state, 1s, 4).delay == 0ns);
    CHECK(whole.step(state, 1s, 1).delay == 0ns);
    CHECK_FALSE(whole.step(state, 1s, 1).allowed);
    // On a grid of microseconds, too.
    const auto coarse = LeakyBucket{5, sluice::per_second(3), 2}.at_resolution(1us);
    state = {};
    CHECK(coarse.step(state, 1s, 2).delay == 0ns);
    CHECK(coarse.step(state, 1s, 1).delay == 333'333'334ns);
}

TEST_CASE("a burst of 1 is the queue without one, and any other is another policy") {
    constexpr LeakyBucket plain{20, sluice::per_second(5)};
    CHECK(sluice::fingerprint(plain) == 0xacb3650f0d5415ac);  // of states that are in use
    CHECK(sluice::fingerprint(LeakyBucket{20, sluice::per_second(5), 1}) == sluice::fingerprint(plain));
    CHECK(sluice::fingerprint(LeakyBucket{20, sluice::per_second(5), 2}) != sluice::fingerprint(plain));
    CHECK(LeakyBucket{20, sluice::per_second(5), 2}.burst() == 2);
    CHECK(plain.burst() == 1);
    CHECK_THROWS_WITH((LeakyBucket{20, sluice::per_second(5), 0}), contains_text("burst must be from 1 to 20, not 0"));
    CHECK_THROWS_WITH((LeakyBucket{20, sluice::per_second(5), 21}), contains_text("not 21"));
    CHECK_THROWS_WITH((LeakyBucket{20, sluice::per_second(5), -1}), contains_text("not -1"));
}

TEST_CASE("a request may say how long a delay it takes") {
    const LeakyBucket policy{5, sluice::per_second(2)};
    LeakyBucket::State state;
    CHECK(sluice::step_within(policy, state, 1s, 1, 0s).allowed);
    const auto denied = sluice::step_within(policy, state, 1s, 1, 300ms);
    CHECK_FALSE(denied.allowed);
    CHECK(denied.retry_after == 200ms);
    CHECK(denied.remaining == 4);
    CHECK(denied.delay == 0ns);
    CHECK(sluice::step_within(policy, state, 1s, 0, 0s).allowed);  // changes nothing
    CHECK(sluice::step_within(policy, state, 1s, 6, 0s).retry_after == sluice::Decision::never);
    CHECK(sluice::step_within(policy, state, 1s, 1, -1s).retry_after == 500ms);  // as of 0
    CHECK(sluice::step_within(policy, state, 1s, 1, 500ms).delay == 500ms);
    CHECK(sluice::step_within(policy, state, 1s, 4, 900ms).retry_after ==
          500ms);  // the queue's, which is the longer one
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
