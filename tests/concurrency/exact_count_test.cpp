// SPDX-License-Identifier: MIT
// However many threads ask, exactly what the policy promises is admitted.
#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <sluice/sluice.hpp>

#include "support/catch.hpp"
#include "support/random.hpp"
#include "support/threads.hpp"

using namespace std::chrono_literals;

namespace {

constexpr std::chrono::nanoseconds start{1'767'225'600'000'000'000};  // a window's start, whatever its length in days

template <class P>
void admits_exactly_its_limit(const P& policy, std::uint64_t limit, sluice::MemoryOptions options = {}) {
    const sluice::ManualClock clock{start};
    const sluice::RateLimiter limiter{policy, sluice::MemoryStore<P, sluice::ManualClock>{options, clock}};
    std::atomic<std::uint64_t> admitted{0};
    run_threads(8, [&](int) {
        std::uint64_t mine = 0;
        for (int i = 0; i != 50'000; ++i) mine += limiter.try_consume("hot").allowed ? 1 : 0;
        admitted.fetch_add(mine);
    });
    CHECK(admitted.load() == limit);
    CHECK(limiter.peek("hot").remaining == 0);
}

}  // namespace

TEST_CASE("8 threads x 50,000 on one key at a frozen clock admit exactly the limit") {
    admits_exactly_its_limit(sluice::TokenBucket{123'457, sluice::per_second(3)}, 123'457);
    admits_exactly_its_limit(sluice::LeakyBucket{54'321, sluice::per_second(1)}, 54'321);
    admits_exactly_its_limit(sluice::FixedWindow{99'999, 1h}, 99'999);
    admits_exactly_its_limit(sluice::SlidingWindowCounter{99'991, 24h}, 99'991);
    admits_exactly_its_limit(sluice::SlidingWindow{77'777, 1h}, 77'777);
    admits_exactly_its_limit(
        sluice::AllOf{sluice::TokenBucket{33'333, sluice::per_second(1)}, sluice::FixedWindow{44'444, 1h}}, 33'333);
    // States of two words take another path.
    admits_exactly_its_limit(sluice::FixedWindow{99'999, 1us}, 99'999);
    admits_exactly_its_limit(sluice::SlidingWindowCounter{99'991, 1ms}, 99'991);
    admits_exactly_its_limit(sluice::TokenBucket{123'457, sluice::per_second(3)}, 123'457, {.wide_fingerprints = true});
}

TEST_CASE("units that come back while others are taken are neither lost nor doubled") {
    const sluice::ManualClock clock{start};
    const sluice::RateLimiter limiter{sluice::TokenBucket{1'000, sluice::per_day(1)},
                                      sluice::MemoryStore<sluice::TokenBucket, sluice::ManualClock>{{}, clock}};
    std::atomic<std::int64_t> held{0};
    run_threads(4, [&](int) {
        std::int64_t mine = 0;
        for (int i = 0; i != 20'000; ++i) {
            if (limiter.try_consume("hot", 3)) mine += 3;
            if (i % 2 == 0 && mine >= 2) {
                static_cast<void>(limiter.refund("hot", 2));
                mine -= 2;
            }
        }
        held.fetch_add(mine);
    });
    CHECK(limiter.peek("hot").remaining == 1'000 - static_cast<std::uint64_t>(held.load()));
}

TEMPLATE_TEST_CASE("no state is lost or doubled while the table grows", "", sluice::TokenBucket,
                   sluice::SlidingWindowCounter) {
    constexpr std::uint64_t limit = 3;
    const std::size_t keys = slow_build ? 20'000 : 200'000;
    const TestType policy = [] {
        if constexpr (std::is_same_v<TestType, sluice::TokenBucket>)
            return TestType{limit, sluice::per_day(1)};
        else
            return TestType{limit, 24h};
    }();
    const sluice::ManualClock clock{start};
    const sluice::RateLimiter limiter{policy, sluice::MemoryStore<TestType, sluice::ManualClock>{{}, clock}};
    const auto admitted = std::make_unique<std::atomic<std::uint64_t>[]>(keys);
    run_threads(4, [&](int thread) {
        // Every thread walks all keys, each from another place and in another order, so that known keys are asked for
        // all the time while new ones come.
        for (std::size_t i = 0; i != 2 * keys; ++i) {
            const std::size_t step = thread % 2 == 0 ? i : 2 * keys - i;
            const std::size_t key = (step + static_cast<std::size_t>(thread) * keys / 4) % keys;
            if (limiter.try_consume("key " + std::to_string(key))) admitted[key].fetch_add(1);
        }
    });
    std::size_t wrong = 0;
    for (std::size_t key = 0; key != keys; ++key) {
        wrong += admitted[key].load() != limit || limiter.peek("key " + std::to_string(key)).remaining != 0 ? 1 : 0;
    }
    CHECK(wrong == 0);
    CHECK(limiter.store().keys() == keys);
    CHECK(limiter.store().overflowed() == 0);
}

TEST_CASE("keys that expire and come back never get more than their bucket and its refill") {
    constexpr std::uint64_t capacity = 2;
    constexpr std::size_t keys = 3'000;  // on 512 slots at most 341 of them live: slots change hands all the time
    const int rounds = slow_build ? 40 : 400;
    const sluice::ManualClock clock{start};
    const sluice::RateLimiter limiter{
        sluice::TokenBucket{capacity, sluice::per_second(1'000)},
        sluice::MemoryStore<sluice::TokenBucket, sluice::ManualClock>{{.max_keys = 4'000}, clock}};
    const auto admitted = std::make_unique<std::atomic<std::uint64_t>[]>(keys);
    for (int round = 0; round != rounds; ++round) {
        run_threads(4, [&](int thread) {
            for (std::size_t i = 0; i != 300; ++i) {
                const std::size_t key =
                    (static_cast<std::size_t>(round) * 131 + i * static_cast<std::size_t>(thread + 1)) % keys;
                if (limiter.try_consume("key " + std::to_string(key))) admitted[key].fetch_add(1);
            }
        });
        clock.advance(700us);
    }
    const auto most = capacity + static_cast<std::uint64_t>(700us * rounds / 1ms);
    std::size_t over = 0;
    for (std::size_t key = 0; key != keys; ++key) over += admitted[key].load() > most ? 1 : 0;
    CHECK(over == 0);
    CHECK(limiter.store().reclaimed() > 0);
}
