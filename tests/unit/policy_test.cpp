// SPDX-License-Identifier: MIT

#include <array>
#include <chrono>
#include <cstdint>
#include <string_view>

#include <sluice/policy.hpp>
#include <sluice/sluice.hpp>

#include "support/catch.hpp"

using namespace std::chrono_literals;
using std::chrono::nanoseconds;

namespace {

/// The least that a policy may have: no peek, no refund.
struct Two {
    struct State {
        int used = 0;
    };
    static constexpr std::string_view kind = "two";
    std::array<int, 1> parameters() const { return {2}; }
    sluice::Quota quota() const { return {2, 1h}; }
    sluice::Decision step(State& state, nanoseconds, std::uint64_t cost) const noexcept {
        sluice::Decision decision;
        decision.limit = 2;
        decision.allowed = cost + static_cast<unsigned>(state.used) <= 2;
        if (decision.allowed) state.used += static_cast<int>(cost);
        decision.remaining = static_cast<std::uint64_t>(2 - state.used);
        decision.retry_after = decision.allowed ? 0ns : sluice::Decision::never;
        decision.delay = decision.allowed ? 7ns : 0ns;
        return decision;
    }
    nanoseconds expires_at(const State&) const noexcept { return nanoseconds::max(); }
};

}  // namespace

TEST_CASE("concepts tell what a policy can do") {
    STATIC_REQUIRE(sluice::Policy<Two>);
    STATIC_REQUIRE_FALSE(sluice::RefundablePolicy<Two>);
    STATIC_REQUIRE_FALSE(sluice::GrowingPolicy<Two>);
    STATIC_REQUIRE_FALSE(sluice::WordPolicy<Two>);
    STATIC_REQUIRE_FALSE(sluice::Policy<int>);

    STATIC_REQUIRE(sluice::WordPolicy<sluice::TokenBucket>);
    STATIC_REQUIRE(sluice::WordPolicy<sluice::LeakyBucket>);
    STATIC_REQUIRE(sluice::WordPolicy<sluice::FixedWindow>);
    STATIC_REQUIRE(sluice::WordPolicy<sluice::SlidingWindowCounter>);
    STATIC_REQUIRE_FALSE(sluice::WordPolicy<sluice::SlidingWindow>);
    STATIC_REQUIRE(sluice::GrowingPolicy<sluice::SlidingWindow>);
    STATIC_REQUIRE(sluice::RefundablePolicy<sluice::AllOf<sluice::TokenBucket, sluice::FixedWindow>>);
    STATIC_REQUIRE_FALSE(sluice::RefundablePolicy<sluice::AllOf<sluice::TokenBucket, Two>>);
}

TEST_CASE("peek asks on a copy where a policy has no peek") {
    const Two policy;
    const Two::State state{1};
    const auto allowed = sluice::peek(policy, state, 0ns, 1);
    CHECK(allowed.allowed);
    CHECK(allowed.remaining == 1);  // of the unchanged state
    CHECK(allowed.delay == 7ns);
    const auto denied = sluice::peek(policy, state, 0ns, 2);
    CHECK_FALSE(denied.allowed);
    CHECK(denied.remaining == 1);
    CHECK(denied.retry_after == sluice::Decision::never);
    CHECK(state.used == 1);
}

TEST_CASE("a store says so where a policy cannot refund") {
    const sluice::RateLimiter limiter{Two{}};
    CHECK(limiter.try_consume("key"));
    CHECK(limiter.refund("key", 1) == sluice::Errc::unsupported);
    CHECK(limiter.peek("key").remaining == 1);
}

TEST_CASE("a fingerprint stands for the kind and every parameter") {
    using sluice::fingerprint;
    const auto bucket = fingerprint(sluice::TokenBucket{10, sluice::per_second(1)});
    CHECK(bucket == fingerprint(sluice::TokenBucket{10U, sluice::Rate{1, 1000ms}}));
    CHECK(bucket != fingerprint(sluice::TokenBucket{11, sluice::per_second(1)}));
    CHECK(bucket != fingerprint(sluice::TokenBucket{10, sluice::per_second(2)}));
    CHECK(bucket != fingerprint(sluice::TokenBucket{10, sluice::per_minute(60)}));
    CHECK(bucket != fingerprint(sluice::LeakyBucket{10, sluice::per_second(1)}));
    CHECK(fingerprint(sluice::FixedWindow{10, 1s}) != fingerprint(sluice::SlidingWindow{10, 1s}));
    CHECK(fingerprint(sluice::FixedWindow{10, 1s}) != fingerprint(sluice::FixedWindow{10, 2s}));
    const sluice::FixedWindow a{1, 1s};
    const sluice::FixedWindow b{2, 1s};
    CHECK(fingerprint(sluice::AllOf{a, b}) != fingerprint(sluice::AllOf{b, a}));
    CHECK(fingerprint(sluice::AllOf{a}) != fingerprint(a));
    // Stored by servers: the number may never change.
    CHECK(bucket == 0xf3c6b4b15a1011d3);
}
