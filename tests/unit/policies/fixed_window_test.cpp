// SPDX-License-Identifier: MIT

#include <chrono>
#include <cstdint>
#include <stdexcept>

#include <sluice/policies/fixed_window.hpp>

#include "support/catch.hpp"

using namespace std::chrono_literals;
using sluice::FixedWindow;

TEST_CASE("a fixed window is aligned to the epoch") {
    const FixedWindow policy{3, 10s};
    FixedWindow::State state;
    auto decision = policy.step(state, 19s, 2);
    CHECK(decision.allowed);
    CHECK(decision.limit == 3);
    CHECK(decision.remaining == 1);
    CHECK(decision.reset_after == 1s);
    decision = policy.step(state, 19s, 2);
    CHECK_FALSE(decision.allowed);
    CHECK(decision.retry_after == 1s);
    CHECK(policy.step(state, 20s - 1ns, 2).retry_after == 1ns);
    CHECK(policy.step(state, 20s, 3).allowed);  // five within a second, around an edge
    CHECK(policy.step(state, 25s, 4).retry_after == sluice::Decision::never);
    CHECK(policy.step(state, 30s, 0).remaining == 3);
    CHECK(policy.step(state, 30s, 0).reset_after == 0s);
}

TEST_CASE("windows before the epoch are windows too") {
    const FixedWindow policy{1, 10s};
    FixedWindow::State state;
    CHECK(policy.step(state, -1s, 1).reset_after == 1s);
    CHECK_FALSE(policy.step(state, -1ns, 1).allowed);
    CHECK(policy.step(state, 0s, 1).allowed);
}

TEST_CASE("a count goes along where the clock goes back") {
    const FixedWindow policy{2, 10s};
    FixedWindow::State state;
    REQUIRE(policy.step(state, 100s, 2).allowed);
    const auto decision = policy.step(state, 55s, 1);
    CHECK_FALSE(decision.allowed);
    CHECK(decision.retry_after == 5s);
    CHECK(policy.step(state, 60s, 1).allowed);
}

TEST_CASE("a refund gives back no more than was used, and nothing of an earlier window") {
    const FixedWindow policy{3, 10s};
    FixedWindow::State state;
    REQUIRE(policy.step(state, 12s, 2).allowed);
    policy.refund(state, 13s, 1);
    CHECK(policy.step(state, 13s, 0).remaining == 2);
    policy.refund(state, 14s, 5);
    CHECK(policy.step(state, 14s, 0).remaining == 3);
    CHECK_FALSE(policy.step(state, 14s, 4).allowed);
    REQUIRE(policy.step(state, 15s, 3).allowed);
    policy.refund(state, 20s, 3);
    CHECK(policy.step(state, 20s, 0).remaining == 3);
    REQUIRE(policy.step(state, 20s, 3).allowed);
    CHECK_FALSE(policy.step(state, 20s, 1).allowed);
}

TEST_CASE("threads may disagree on the time by a millisecond") {
    const FixedWindow policy{2, 10s};
    FixedWindow::State state;
    REQUIRE(policy.step(state, 100s, 1).allowed);
    CHECK(policy.step(state, 100s - 1us, 1).allowed);  // late into the window that another thread has opened
    CHECK_FALSE(policy.step(state, 100s, 1).allowed);
}

TEST_CASE("one word holds what it says it holds") {
    const auto largest = [](auto window) {
        std::uint64_t limit = 1;
        while (limit < std::uint64_t{1} << 52 && FixedWindow{limit * 2, window}.fits_word()) limit *= 2;
        return limit * 2 - 1;
    };
    CHECK(largest(1s) == 8'388'607);
    CHECK(FixedWindow{8'388'607, 1s}.fits_word());
    CHECK_FALSE(FixedWindow{8'388'608, 1s}.fits_word());
    CHECK(largest(1min) == 536'870'911);
    CHECK_FALSE(FixedWindow{1, 64ns}.fits_word());

    const FixedWindow policy{100, 7s};
    const FixedWindow::State state{700'000'000'000, 42};
    const auto unpacked = policy.unpack(policy.pack(state));
    CHECK(policy.pack(unpacked) == policy.pack(state));
    CHECK(unpacked.used == 42);
    CHECK(FixedWindow::word_expires_at(policy.pack(state)) >= policy.expires_at(state));
    CHECK(FixedWindow::word_expires_at(policy.pack(state)) <= policy.expires_at(state) + 7s);
}

TEST_CASE("a fixed window out of range is refused") {
    CHECK_THROWS_AS((FixedWindow{0, 1s}), std::invalid_argument);
    CHECK_THROWS_AS((FixedWindow{std::uint64_t{1} << 53, 1s}), std::invalid_argument);
    CHECK_THROWS_AS((FixedWindow{1, 0s}), std::invalid_argument);
    CHECK_THROWS_AS((FixedWindow{1, 36526 * 24h}), std::invalid_argument);
    CHECK((FixedWindow{7, 24h}.quota()) == sluice::Quota{7, 24h});
}

TEST_CASE("units go back into the window that they came from alone") {
    const FixedWindow policy{5, 10s};
    FixedWindow::State state;
    CHECK(policy.step(state, 9s, 4).allowed);
    policy.give_back(state, 9s, 1s, 1);
    CHECK(policy.step(state, 9s, 0).remaining == 2);
    policy.give_back(state, 9s, 9s, 100);
    CHECK(policy.step(state, 9s, 0).remaining == 5);
    CHECK(policy.step(state, 11s, 4).allowed);
    policy.give_back(state, 11s, 9s, 4);
    CHECK(policy.step(state, 11s, 0).remaining == 1);
    CHECK(policy.step(state, 8s, 1).allowed);  // a late reading, which counts in the state's window
    policy.give_back(state, 11s, 8s, 1);       // so that nothing is known to be given back
    CHECK(policy.step(state, 11s, 0).remaining == 0);
}
