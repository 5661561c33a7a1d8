// SPDX-License-Identifier: MIT

#include <atomic>
#include <chrono>

#include <sluice/remote/wake_word.hpp>

#include "support/catch.hpp"
#include "support/threads.hpp"

using namespace std::chrono_literals;
using sluice::detail::remote::WakeWord;
using Clock = sluice::detail::remote::Deadline::Clock;

TEST_CASE("nobody waits for a number to change that has changed") {
    WakeWord word;
    CHECK(word.get() == 0);
    word.set(7);
    CHECK(word.get() == 7);
    word.wait(0);
    word.wait(0, Clock::time_point::max());
}

TEST_CASE("a wait ends at its deadline") {
    WakeWord word;
    word.wait(0, Clock::now() - 1s);
    const auto until = Clock::now() + 30ms;
    while (Clock::now() < until) word.wait(0, until);
    CHECK(word.get() == 0);
}

TEST_CASE("whoever waits is woken") {
    // In turn, so that a wake that gets lost hangs the test: 0 sets odd numbers, 1 even ones.
    WakeWord word;
    run_threads(2, [&](int thread) {
        for (std::uint32_t i = 0; i != 2'000; ++i) {
            const std::uint32_t turn = 2 * i + static_cast<std::uint32_t>(thread);
            while (word.get() != turn) word.wait(turn - 1);
            word.set(turn + 1);
            word.wake_one();
        }
    });
    CHECK(word.get() == 4'000);

    WakeWord all;
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
