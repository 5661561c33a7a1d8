// SPDX-License-Identifier: MIT
// A full store: inventing keys wins nobody a token.
#include <atomic>
#include <cstdint>
#include <string>

#include <sluice/sluice.hpp>

#include "support/catch.hpp"
#include "support/threads.hpp"

using namespace std::chrono_literals;

namespace {

constexpr std::chrono::nanoseconds midnight{1'767'225'600'000'000'000};

template <class P>
using Store = sluice::MemoryStore<P, sluice::ManualClock>;

}  // namespace

TEMPLATE_TEST_CASE("a known key keeps its state while ten times as many new keys are sprayed", "", sluice::TokenBucket,
                   sluice::SlidingWindow) {
    constexpr std::size_t max_keys = 5'000;
    constexpr std::uint64_t limit = 4;
    const TestType policy = [] {
        if constexpr (std::is_same_v<TestType, sluice::TokenBucket>)
            return TestType{limit, sluice::per_day(1)};
        else
            return TestType{limit, 24h};
    }();
    const sluice::ManualClock clock{midnight};
    const sluice::RateLimiter limiter{policy, Store<TestType>{{.max_keys = max_keys}, clock}};
    for (std::size_t i = 0; i != max_keys; ++i) REQUIRE(limiter.try_consume("known " + std::to_string(i)).allowed);
    REQUIRE(limiter.store().keys() == max_keys);

    std::atomic<std::uint64_t> known{0};
    std::atomic<std::uint64_t> sprayed{0};
    run_threads(4, [&](int thread) {
        for (std::size_t i = 0; i != max_keys * 10 / 4; ++i) {
            if (limiter.try_consume("new " + std::to_string(thread) + ' ' + std::to_string(i))) sprayed.fetch_add(1);
            if (limiter.try_consume("known " + std::to_string(i % max_keys))) known.fetch_add(1);
        }
    });
    CHECK(known.load() == max_keys * (limit - 1));
    const std::size_t shared_states = 64;
    CHECK(sprayed.load() == shared_states * limit);
    CHECK(limiter.store().keys() <= max_keys * 102 / 100);
    CHECK(limiter.store().overflowed() == max_keys * 10 / 4 * 4);
}

TEST_CASE("a full store denies or allows new keys if told to, and says so") {
    const sluice::ManualClock clock{midnight};
    const auto answer = [&](sluice::OnFull on_full) {
        const sluice::RateLimiter limiter{sluice::TokenBucket{1, sluice::per_day(1)},
                                          Store<sluice::TokenBucket>{{.max_keys = 10, .on_full = on_full}, clock},
                                          {.on_failure = sluice::FailureMode::deny}};
        for (int i = 0; i != 10; ++i) REQUIRE(limiter.try_consume(std::to_string(i)).allowed);
        CHECK(limiter.store().keys() == 10);
        return limiter.try_consume("one more");
    };
    const sluice::Decision denied = answer(sluice::OnFull::deny);
    CHECK_FALSE(denied.allowed);
    CHECK(denied.error == sluice::Errc::store_full);
    const sluice::Decision allowed = answer(sluice::OnFull::allow);
    CHECK(allowed.allowed);
    CHECK(allowed.error == sluice::Errc::store_full);
    CHECK_FALSE(answer(sluice::OnFull::overflow).error);
}

TEST_CASE("a full store takes new keys again as soon as states expire, wherever they are") {
    constexpr std::size_t max_keys = 20'000;  // several shards
    const sluice::ManualClock clock{midnight};
    const sluice::RateLimiter limiter{sluice::TokenBucket{2, sluice::per_second(1)},
                                      Store<sluice::TokenBucket>{{.max_keys = max_keys}, clock}};
    for (std::size_t i = 0; i != max_keys; ++i) {
        REQUIRE(limiter.try_consume(std::to_string(i), i % 2 == 0 ? 1 : 2).allowed);
    }
    clock.advance(1s);  // half of them are as good as new
    for (std::size_t i = 0; i != max_keys / 2; ++i)
        REQUIRE(limiter.try_consume("new " + std::to_string(i)).remaining == 1);
    CHECK(limiter.store().overflowed() == 0);
    CHECK(limiter.store().reclaimed() == max_keys / 2);
    CHECK(limiter.store().keys() == max_keys);
    REQUIRE(limiter.try_consume("one more").allowed);
    CHECK(limiter.store().overflowed() == 1);
    CHECK(limiter.peek("1").remaining == 1);  // and none of the live ones was touched
    CHECK_FALSE(limiter.reset("1"));
    CHECK_FALSE(limiter.reset("3"));  // two, as the overflow state has a slot too
    REQUIRE(limiter.try_consume("yet one more").allowed);
    CHECK(limiter.store().overflowed() == 1);
}

TEST_CASE("overflow states are no way round the limit for a second tier or limiter") {
    const sluice::ManualClock clock{midnight};
    const Store<sluice::TokenBucket> store{{.max_keys = 5'000}, clock};
    const sluice::TokenBucket tier{4, sluice::per_day(1)};
    const sluice::RateLimiter first{tier, store, {.name = "first"}};
    const sluice::RateLimiter second{tier, store, {.name = "second"}};
    for (int i = 0; i != 5'000; ++i) REQUIRE(first.try_consume("known " + std::to_string(i)).allowed);
    std::uint64_t admitted = 0;
    for (const auto* limiter : {&first, &second}) {
        for (int i = 0; i != 20'000; ++i) admitted += limiter->try_consume("new " + std::to_string(i)).allowed ? 1 : 0;
    }
    CHECK(admitted <= 64 * 4);
    const sluice::Decision refused = second.try_consume("one more");
    CHECK_FALSE(refused.allowed);
    CHECK(refused.error == sluice::Errc::store_full);
    CHECK(refused.limit == 4);
}
