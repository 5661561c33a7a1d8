// SPDX-License-Identifier: MIT
//
// The table behind the memory store: whatever comes and goes, each key's state is the one it ought to be.
#include <chrono>
#include <cstdint>
#include <map>
#include <string>

#include <sluice/sluice.hpp>

#include "support/catch.hpp"
#include "support/random.hpp"

using namespace std::chrono_literals;
using std::chrono::nanoseconds;

namespace {

constexpr nanoseconds start{1'767'225'600'000'000'000};

template <class P>
auto make_limiter(const P& policy, const sluice::ManualClock& clock, sluice::MemoryOptions options) {
    return sluice::RateLimiter{policy, sluice::MemoryStore<P, sluice::ManualClock>{options, clock}};
}

std::string name(int key) { return "key " + std::to_string(key); }

}  // namespace

TEST_CASE("no growth loses or doubles a state, at whatever point it comes") {
    const int keys = slow_build ? 3'000 : 12'000;
    // From one shard that grows all the way to many that grow at times of their own.
    for (const std::size_t max_keys : {std::size_t{12'000}, std::size_t{100'000}, std::size_t{1'048'576}}) {
        const sluice::ManualClock clock{start};
        const sluice::TokenBucket policy{1'000'000, sluice::per_second(1)};
        const auto limiter = make_limiter(policy, clock, {.max_keys = max_keys});
        const auto used = [](int key) { return static_cast<std::uint64_t>(key % 1'000 + 1); };
        int wrong = 0;
        for (int key = 0; key < keys; ++key) {
            wrong += limiter.try_consume(name(key), used(key)).remaining != 1'000'000 - used(key) ? 1 : 0;
            // After each insertion some of the others, and every so often all.
            const int step = key % 499 == 0 ? 1 : key / 4 + 1;
            for (int other = key % 7; other <= key; other += step) {
                wrong += limiter.peek(name(other)).remaining != 1'000'000 - used(other) ? 1 : 0;
            }
        }
        CHECK(wrong == 0);
        CHECK(limiter.store().keys() == static_cast<std::size_t>(keys));
        CHECK(limiter.store().overflowed() == 0);
    }
}

TEST_CASE("freeing expired states leaves the live ones where they are found") {
    constexpr int keys = 2'650;  // in 4,096 slots: most keys lie behind others
    const int runs = slow_build ? 4 : 20;
    for (int run = 0; run != runs; ++run) {
        const sluice::ManualClock clock{start};
        const auto limiter = make_limiter(sluice::TokenBucket{2, sluice::per_second(1)}, clock, {.max_keys = keys});
        for (int key = 0; key != keys; ++key) REQUIRE(limiter.try_consume(name(key), key % 2 == 0 ? 1 : 2));
        REQUIRE(limiter.store().keys() == keys);
        clock.advance(1s);  // the even ones are as good as new
        for (int key = keys; key != keys + keys / 4; ++key) REQUIRE(limiter.try_consume(name(key)).remaining == 1);
        int lost = 0;
        for (int key = 1; key < keys; key += 2) lost += limiter.peek(name(key)).remaining != 1 ? 1 : 0;
        for (int key = keys; key != keys + keys / 4; ++key) lost += limiter.peek(name(key)).remaining != 1 ? 1 : 0;
        REQUIRE(lost == 0);
        REQUIRE(limiter.store().overflowed() == 0);
    }
}

TEMPLATE_TEST_CASE("a store answers as a map of states while keys come, expire and go", "", sluice::TokenBucket,
                   sluice::FixedWindow, sluice::SlidingWindowCounter, sluice::SlidingWindow) {
    Random random{"memory store"};
    const TestType policy = [] {
        if constexpr (std::is_same_v<TestType, sluice::TokenBucket>)
            return TestType{4, sluice::per_second(2)};
        else
            return TestType{4, 2s};
    }();
    const int runs = cases(40);
    for (int run = 0; run < runs; ++run) {
        const sluice::ManualClock clock{start};
        const int keys = random.magnitude(10, 3'000);
        const auto limiter = make_limiter(
            policy, clock, {.max_keys = static_cast<std::size_t>(keys), .wide_fingerprints = run % 4 == 3});
        std::map<int, typename TestType::State> states;
        for (int i = 0; i != 5'000; ++i) {
            if (random.one_in(8)) clock.advance(nanoseconds{random.magnitude<std::int64_t>(1, 500'000'000)});
            if (random.one_in(1'000)) clock.advance(1h);
            const nanoseconds now = clock.now();
            const int key = random.between(0, keys - 1);
            const auto units = random.between<std::uint64_t>(1, 5);
            auto& state = states[key];
            if (random.one_in(20)) {
                static_cast<void>(limiter.reset(name(key)));
                state = {};
            } else if (random.one_in(20)) {
                static_cast<void>(limiter.refund(name(key), units));
                policy.refund(state, now, units);
            } else {
                if constexpr (sluice::GrowingPolicy<TestType>) policy.reserve(state, now, units);
                const auto expected = policy.step(state, now, units);
                const auto got = limiter.try_consume(name(key), units);
                if (got.error || got.allowed != expected.allowed || got.remaining != expected.remaining ||
                    got.retry_after != expected.retry_after || got.reset_after != expected.reset_after) {
                    FAIL("operation " << i << " of run " << run << ": remaining " << got.remaining << " instead of "
                                      << expected.remaining);
                }
            }
        }
        if (limiter.store().overflowed() != 0) FAIL("all keys fit, yet a new one overflowed in run " << run);
    }
    SUCCEED();
}
