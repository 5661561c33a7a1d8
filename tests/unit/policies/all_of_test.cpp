// SPDX-License-Identifier: MIT

#include <chrono>

#include <sluice/policies/all_of.hpp>
#include <sluice/policies/fixed_window.hpp>
#include <sluice/policies/leaky_bucket.hpp>
#include <sluice/policies/sliding_window.hpp>
#include <sluice/policies/token_bucket.hpp>

#include "support/catch.hpp"

using namespace std::chrono_literals;
using sluice::AllOf;
using sluice::FixedWindow;
using sluice::LeakyBucket;
using sluice::TokenBucket;

TEST_CASE("all of several policies, or none") {
    const AllOf policy{TokenBucket{3, sluice::per_second(1)}, FixedWindow{5, 100s}};
    decltype(policy)::State state;
    auto decision = policy.step(state, 10s, 2);
    CHECK(decision.allowed);
    CHECK(decision.remaining == 1);  // the bucket's, which is less than the window's 3
    CHECK(decision.limit == 3);
    CHECK(decision.reset_after == 90s);

    decision = policy.step(state, 10s, 2);  // the bucket denies, so the window counts nothing
    CHECK_FALSE(decision.allowed);
    CHECK(decision.limit == 3);
    CHECK(decision.retry_after == 1s);
    CHECK(policy.step(state, 20s, 3).remaining == 0);

    decision = policy.step(state, 21s, 2);  // both deny; the window longer
    CHECK(decision.limit == 5);
    CHECK(decision.retry_after == 79s);
    CHECK(policy.step(state, 22s, 1).retry_after == 78s);
    CHECK(policy.step(state, 22s, 0).remaining == 0);
    CHECK(policy.step(state, 100s, 3).allowed);
}

TEST_CASE("what can never pass is told by the least limit") {
    const AllOf policy{TokenBucket{3, sluice::per_second(1)}, FixedWindow{5, 100s}};
    decltype(policy)::State state;
    CHECK(policy.quota().limit == 3);
    const auto decision = policy.step(state, 10s, 4);
    CHECK_FALSE(decision.allowed);
    CHECK(decision.retry_after == sluice::Decision::never);
    CHECK(decision.limit == 3);
    CHECK(decision.remaining == 3);
}

TEST_CASE("the first listed binds on a tie") {
    const AllOf policy{FixedWindow{2, 10s}, FixedWindow{3, 10s}, FixedWindow{3, 20s}};
    decltype(policy)::State state;
    REQUIRE(policy.step(state, 0s, 2).limit == 2);
    CHECK(policy.step(state, 0s, 2).limit == 3);  // both windows of 3 deny, the one of 20 s longer
    CHECK(policy.step(state, 0s, 1).limit == 2);
    const AllOf equal{FixedWindow{2, 10s}, FixedWindow{3, 10s}};
    decltype(equal)::State other;
    REQUIRE(equal.step(other, 0s, 2).allowed);
    CHECK(equal.step(other, 0s, 2).limit == 2);
}

TEST_CASE("the longest delay counts, and none on a denial") {
    const AllOf policy{LeakyBucket{3, sluice::per_second(1)}, LeakyBucket{3, sluice::per_second(2)}};
    decltype(policy)::State state;
    CHECK(policy.step(state, 0s, 2).delay == 0s);
    CHECK(policy.step(state, 0s, 1).delay == 2s);
    CHECK(policy.step(state, 0s, 1).delay == 0s);
}

TEST_CASE("a refund goes to every part, and a log among them gets its room") {
    const AllOf policy{sluice::SlidingWindow{4, 10s}, FixedWindow{5, 10s}};
    decltype(policy)::State state;
    policy.reserve(state, 1s, 4);
    REQUIRE(policy.step(state, 1s, 4).remaining == 0);
    policy.refund(state, 1s, 3);
    const auto idle = sluice::peek(policy, state, 1s, 0);
    CHECK(idle.remaining == 3);
    CHECK(policy.expires_at(state) == 11s);
}
