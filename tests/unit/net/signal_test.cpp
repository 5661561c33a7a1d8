// SPDX-License-Identifier: MIT

#include <atomic>
#include <chrono>

#include <sluice/net/signal.hpp>

#include "support/catch.hpp"
#include "support/threads.hpp"

using namespace std::chrono_literals;
using sluice::net::Signal;
using Clock = sluice::net::Deadline::Clock;

TEST_CASE("nobody waits for a number to change that has changed") {
    Signal signal;
    CHECK(signal.get() == 0);
    signal.set(7);
    CHECK(signal.get() == 7);
    signal.wait(0);
    signal.wait(0, Clock::time_point::max());
}

TEST_CASE("a wait ends at its deadline") {
    Signal signal;
    signal.wait(0, Clock::now() - 1s);
    const auto until = Clock::now() + 30ms;
    while (Clock::now() < until) signal.wait(0, until);
    CHECK(signal.get() == 0);
}

TEST_CASE("whoever waits is woken") {
    // In turn, so that a wake that gets lost hangs the test: 0 sets odd numbers, 1 even ones.
    Signal signal;
    run_threads(2, [&](int thread) {
        for (std::uint32_t i = 0; i != 2'000; ++i) {
            const std::uint32_t turn = 2 * i + static_cast<std::uint32_t>(thread);
            while (signal.get() != turn) signal.wait(turn - 1);
            signal.set(turn + 1);
            signal.wake_one();
        }
    });
    CHECK(signal.get() == 4'000);

    Signal all;
    std::atomic<int> woken{0};
    run_threads(5, [&](int thread) {
        if (thread == 0) {
            all.set(1);
            all.wake_all();
            return;
        }
        while (all.get() == 0) {
            if (thread % 2 == 0) {
                all.wait(0);
            } else {
                all.wait(0, Clock::now() + 1h);
            }
        }
        ++woken;
    });
    CHECK(woken == 4);
}
