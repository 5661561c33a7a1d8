// SPDX-License-Identifier: MIT
// A key takes its expired state up again in the very moment in which a new key takes the slot over.
#include <atomic>
#include <string>
#include <thread>

#include <sluice/sluice.hpp>

#include "support/catch.hpp"
#include "support/random.hpp"
#include "support/threads.hpp"

using namespace std::chrono_literals;

TEST_CASE("a request that meets the takeover of its slot is counted all the same") {
    const int rounds = slow_build ? 20'000 : 100'000;
    const sluice::ManualClock clock{1h};
    const sluice::RateLimiter limiter{
        sluice::TokenBucket{1, sluice::per_second(1)},
        sluice::MemoryStore<sluice::TokenBucket, sluice::ManualClock>{{.max_keys = 2}, clock}};
    std::atomic<int> arrived{0};
    std::atomic<int> admitted{0};
    std::atomic<int> too_many{0};
    const auto meet = [&](int round, int point) {
        arrived.fetch_add(1);
        while (arrived.load() < 2 * (3 * round + point)) std::this_thread::yield();
    };
    run_threads(2, [&](int thread) {
        for (int round = 0; round != rounds; ++round) {
            if (thread == 0) {
                clock.advance(1s);  // all states have expired
                admitted = 0;
            }
            const std::string new_key = "new " + std::to_string(round);
            meet(round, 1);
            if (thread == 0) {
                static_cast<void>(limiter.try_consume(new_key));
            } else {
                admitted += limiter.try_consume("known").allowed ? 1 : 0;
            }
            meet(round, 2);
            // At the same instant nothing is left of the one unit.
            if (thread == 1) {
                admitted += limiter.try_consume("known").allowed ? 1 : 0;
                if (admitted != 1) ++too_many;
            }
            meet(round, 3);
        }
    });
    CHECK(too_many == 0);
    CHECK(limiter.store().reclaimed() > 0);
}
