// SPDX-License-Identifier: MIT
// Threads that are held up between reading the clock and using it get nothing for it: on the default clock, with more
// threads than processors, no more than capacity + rate * time is admitted.
#include <atomic>
#include <chrono>
#include <cstdint>

#include <sluice/sluice.hpp>

#include "support/catch.hpp"
#include "support/threads.hpp"

using namespace std::chrono_literals;

namespace {

/// `most(elapsed)` bounds what may be admitted in a time that is longer than the run's.
template <class P, class Most>
void admits_at_most(const P& policy, Most most) {
    const sluice::RateLimiter limiter{policy};
    std::atomic<std::uint64_t> admitted{0};
    const auto begin = std::chrono::steady_clock::now();
    run_threads(8, [&](int) {
        std::uint64_t mine = 0;
        for (int i = 0; i != 400'000; ++i) mine += limiter.try_consume("hot").allowed ? 1U : 0U;
        admitted.fetch_add(mine);
    });
    // The clock may differ from steady_clock by 50 us at either end.
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begin + 1ms;
    CHECK(static_cast<double>(admitted.load()) <= most(elapsed.count()));
}

}  // namespace

TEST_CASE("8 threads on one key are admitted at most capacity + rate * time") {
    admits_at_most(sluice::TokenBucket{1'000'000, sluice::per_second(5'000'000)},
                   [](double seconds) { return 1e6 + 5e6 * seconds; });
    admits_at_most(sluice::TokenBucket{100, sluice::per_second(300'000)},
                   [](double seconds) { return 100 + 3e5 * seconds; });
    admits_at_most(sluice::LeakyBucket{100, sluice::per_second(300'000)},
                   [](double seconds) { return 100 + 3e5 * seconds; });
}

TEST_CASE("8 threads on one key are admitted at most the limit in each window") {
    const auto windows = [](double seconds) { return 1'000 * (seconds / 1e-3 + 2); };
    admits_at_most(sluice::FixedWindow{1'000, 1ms}, windows);
    admits_at_most(sluice::SlidingWindow{1'000, 1ms}, windows);
    admits_at_most(sluice::SlidingWindowCounter{1'000, 1ms}, windows);
}
