// SPDX-License-Identifier: MIT
#ifndef SLUICE_TESTS_SUPPORT_CARRYING_HPP
#define SLUICE_TESTS_SUPPORT_CARRYING_HPP

#include <atomic>
#include <chrono>
#include <string>
#include <tuple>

#include <sluice/carry_over.hpp>
#include <sluice/sluice.hpp>

#include "support/catch.hpp"
#include "support/threads.hpp"

// What a store on a server has to do with a limit whose numbers change.

/// Of 100 units with 92 used, from each kind of policy to each.
template <class S>
void carries_over_between_all_policies(const S& store) {
    using namespace std::chrono_literals;
    constexpr auto long_time = 24h * 30'000;  // no window ends during a test
    const auto policies = [&](int limit) {
        const sluice::TokenBucket bucket{limit, sluice::Rate{1, 1h}};
        const sluice::FixedWindow window{limit, long_time};
        return std::tuple{bucket,
                          sluice::LeakyBucket{limit, sluice::Rate{1, 1h}},
                          window,
                          sluice::SlidingWindow{limit, 24h},
                          sluice::SlidingWindowCounter{limit, long_time},
                          sluice::AllOf{bucket, sluice::FixedWindow{limit + 1, long_time}}};
    };
    const auto limiter = [&](const std::string& name, const auto& policy) -> sluice::AnyLimiter {
        return sluice::RateLimiter{policy, store, {.name = name}};
    };
    const auto check = [&](const auto& old_policy, const auto& policy, std::uint64_t left) {
        const auto name = std::string{old_policy.kind} + std::string{policy.kind} + std::to_string(left);
        INFO(name);
        const auto old = limiter(name, old_policy);
        REQUIRE(old.try_consume("key", 92));
        REQUIRE(old.try_consume("twice", 92));
        const auto one = sluice::carry_over(limiter(name, policy), old);
        const auto other = sluice::carry_over(limiter(name, policy), old);  // as another process
        CHECK_FALSE(one.is_in_process());
        CHECK(one.peek("key").remaining == left);
        CHECK(one.try_consume("key", left).allowed);
        CHECK_FALSE(other.try_consume("key"));
        CHECK(other.try_consume("unused", policy.quota().limit));
        CHECK(old.peek("key").remaining == 100);  // it has moved
        // The new limit alone decides about keys that it knows already.
        REQUIRE(limiter(name, policy).try_consume("twice", 1));
        CHECK(one.peek("twice").remaining == policy.quota().limit - 1);
    };
    std::apply(
        [&](const auto&... old) {
            const auto each = [&](const auto& old_policy) {
                std::apply([&](const auto&... policy) { (check(old_policy, policy, 0), ...); }, policies(50));
                std::apply([&](const auto&... policy) { (check(old_policy, policy, 108), ...); }, policies(200));
            };
            (each(old), ...);
        },
        policies(100));
}

/// However many ask at a time, in two processes.
template <class S>
void carries_over_once(const S& store) {
    for (int round = 0; round != 20; ++round) {
        const auto make = [&](int limit) {
            return sluice::AnyLimiter{
                sluice::RateLimiter{sluice::TokenBucket{limit, sluice::Rate{1, std::chrono::hours{1}}},
                                    store,
                                    {.name = "once" + std::to_string(round)}}};
        };
        const auto old = make(20);
        REQUIRE(old.try_consume("key", 3));
        const auto one = sluice::carry_over(make(30), old), other = sluice::carry_over(make(30), old);
        std::atomic<int> allowed{0};
        run_threads(4, [&](int i) {
            for (int n = 0; n != 10; ++n) allowed += (i % 2 == 0 ? one : other).try_consume("key").allowed ? 1 : 0;
        });
        REQUIRE(allowed == 27);
    }
}

#endif
