// SPDX-License-Identifier: MIT

#include <chrono>
#include <cstdint>
#include <stdexcept>

#include <sluice/policies/token_bucket.hpp>

#include "support/catch.hpp"

using namespace std::chrono_literals;
using sluice::TokenBucket;

TEST_CASE("a token bucket starts full and refills continuously") {
    const TokenBucket policy{10, sluice::per_second(2)};
    TokenBucket::State state;
    auto decision = policy.step(state, 100s, 4);
    CHECK(decision.allowed);
    CHECK(decision.limit == 10);
    CHECK(decision.remaining == 6);
    CHECK(decision.reset_after == 2s);
    CHECK(decision.delay == 0s);

    CHECK(policy.step(state, 101s, 0).remaining == 8);
    CHECK(policy.step(state, 101s + 499ms, 0).remaining == 8);
    CHECK(policy.step(state, 101s + 500ms, 0).remaining == 9);
    CHECK(policy.step(state, 102s, 0).remaining == 10);
    CHECK(policy.step(state, 200s, 0).remaining == 10);

    CHECK(policy.step(state, 200s, 10).allowed);
    decision = policy.step(state, 200s, 3);
    CHECK_FALSE(decision.allowed);
    CHECK(decision.retry_after == 1500ms);
    CHECK(decision.reset_after == 5s);
    CHECK(decision.remaining == 0);
}

TEST_CASE("no cost and no time is too large") {
    const TokenBucket policy{10, sluice::per_second(1)};
    TokenBucket::State state;
    REQUIRE(policy.step(state, 1'767'225'600s, 10).allowed);
    for (const std::uint64_t cost : {11ULL, 8'000'000'000ULL, 18'000'000'000ULL, ~0ULL}) {
        const auto decision = policy.step(state, 1'767'225'600s, cost);
        CHECK_FALSE(decision.allowed);
        CHECK(decision.retry_after == sluice::Decision::never);
        CHECK(decision.reset_after == 10s);
    }
    const TokenBucket century{36'500, sluice::Rate{1, 24h}};
    TokenBucket::State used;
    REQUIRE(century.step(used, 3'500'000'000s, 36'500).allowed);
    CHECK(century.step(used, 3'500'000'000s, 36'500).retry_after == 36'500 * 24h);
}

TEST_CASE("a third of a second is not rounded away") {
    const TokenBucket policy{3, sluice::per_second(3)};
    TokenBucket::State state;
    REQUIRE(policy.step(state, 1s, 3).allowed);
    CHECK(policy.step(state, 1s, 1).retry_after == 333'333'334ns);
    for (std::int64_t second = 2; second != 10'000; ++second) {  // three each second, for hours
        for (int i = 0; i != 3; ++i) REQUIRE(policy.step(state, std::chrono::seconds{second}, 1).allowed);
        REQUIRE_FALSE(policy.step(state, std::chrono::seconds{second}, 1).allowed);
    }
}

TEST_CASE("a bucket whose clock went back is used up at most") {
    const TokenBucket policy{10, sluice::per_second(1)};
    TokenBucket::State state;
    REQUIRE(policy.step(state, 1h, 10).allowed);
    const auto decision = policy.step(state, 1min, 1);
    CHECK_FALSE(decision.allowed);
    CHECK(decision.retry_after == 1s);
    CHECK(decision.reset_after == 10s);
    CHECK(policy.step(state, 1min + 1s, 1).allowed);
}

TEST_CASE("a refund to a bucket stops at its capacity") {
    const TokenBucket policy{10, sluice::per_second(1)};
    TokenBucket::State state;
    policy.refund(state, 1s, 5);
    CHECK(policy.step(state, 1s, 7).remaining == 3);
    policy.refund(state, 1s, 2);
    CHECK(policy.step(state, 1s, 0).remaining == 5);
    policy.refund(state, 1s, ~std::uint64_t{0});
    CHECK(policy.step(state, 1s, 11).retry_after == sluice::Decision::never);
    CHECK(policy.step(state, 1s, 10).remaining == 0);
}

TEST_CASE("what a token bucket tells of itself") {
    const TokenBucket policy{short{10}, sluice::per_minute(7)};
    CHECK(policy.capacity() == 10);
    CHECK(policy.refill() == sluice::per_minute(7));
    CHECK(policy.quota() == sluice::Quota{10, 85'714'285'715ns});  // rounded up
    CHECK(TokenBucket::kind == "token_bucket");
}

TEST_CASE("a bucket out of range is refused") {
    CHECK_THROWS_AS((TokenBucket{0, sluice::per_second(1)}), std::invalid_argument);
    CHECK_THROWS_AS((TokenBucket{-1, sluice::per_second(1)}), std::invalid_argument);
    CHECK_THROWS_AS((TokenBucket{std::uint64_t{1} << 53, sluice::per_second(1'000'000'000)}), std::invalid_argument);
    CHECK_THROWS_AS((TokenBucket{101, sluice::Rate{1, 36525 * 24h}}), std::invalid_argument);
    CHECK_THROWS_WITH((TokenBucket{2, sluice::Rate{1, 36525 * 24h}}),
                      contains_text("2 at 1 per 3155760000000000000 ns"));
    CHECK_NOTHROW(TokenBucket{1, sluice::Rate{1, 36525 * 24h}});
    CHECK_NOTHROW(TokenBucket{(std::uint64_t{1} << 53) - 1, sluice::per_second(1'000'000'000)});
}
