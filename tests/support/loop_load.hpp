// SPDX-License-Identifier: MIT
#ifndef SLUICE_TESTS_SUPPORT_LOOP_LOAD_HPP
#define SLUICE_TESTS_SUPPORT_LOOP_LOAD_HPP

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <sluice/redis.hpp>
#include <sluice/sluice.hpp>

#include "support/poll_loop.hpp"
#include "support/threads.hpp"

/// A call, as its caller saw it.
struct SeenCall {
    std::chrono::steady_clock::time_point at{};  ///< when it was answered
    std::size_t key = 0;
    std::error_code error{};
};
struct LoopReport {
    std::vector<SeenCall> seen{};
    std::chrono::nanoseconds slowest{0};  ///< of the calls
    sluice::RedisStats stats{};

    std::size_t decided() const {
        return static_cast<std::size_t>(
            std::count_if(seen.begin(), seen.end(), [](const SeenCall& one) { return !one.error; }));
    }
};

/// Runs an event loop on a thread of its own, which asks for six keys each millisecond, one key after the other, until the
/// story is over and all is answered.
template <class Limiter, class Story>
LoopReport under_loop_load(const Limiter& limiter, const std::vector<std::string>& keys, Story story) {
    using Clock = std::chrono::steady_clock;
    LoopReport report;
    std::atomic<bool> is_over{false};
    std::thread loop{[&] {
        std::size_t asked = 0;
        auto next = Clock::now();
        while (!is_over || report.seen.size() != asked) {
            const auto now = Clock::now();
            if (!is_over && now >= next) {
                next = now + std::chrono::milliseconds{1};
                for (int i = 0; i != 6; ++i) {
                    const std::size_t key = asked++ % keys.size();
                    limiter.async_try_consume(keys[key], 1, [&report, key, now](sluice::Decision decision) {
                        const auto at = Clock::now();
                        report.seen.push_back({at, key, decision.error});
                        report.slowest = std::max<std::chrono::nanoseconds>(report.slowest, at - now);
                    });
                }
            }
            turn(limiter.store(), 1);
        }
    }};
    run_then(story, [&] {
        is_over = true;
        loop.join();
    });
    report.stats = limiter.store().stats();
    return report;
}

#endif
