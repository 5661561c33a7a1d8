// SPDX-License-Identifier: MIT

#include <chrono>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <tuple>

#include <sluice/policies/sliding_window.hpp>

#include "support/catch.hpp"
#include "support/random.hpp"

using namespace std::chrono_literals;
using sluice::SlidingWindow;

namespace {

sluice::Decision step(const SlidingWindow& policy, SlidingWindow::State& state, std::chrono::nanoseconds now,
                      std::uint64_t cost) {
    policy.reserve(state, now, cost);
    return policy.step(state, now, cost);
}

}  // namespace

TEST_CASE("each unit leaves one window after it came") {
    const SlidingWindow policy{3, 10s};
    SlidingWindow::State state;
    CHECK(step(policy, state, 1s, 1).remaining == 2);
    CHECK(step(policy, state, 4s, 2).reset_after == 10s);
    auto decision = step(policy, state, 5s, 1);
    CHECK_FALSE(decision.allowed);
    CHECK(decision.retry_after == 6s);
    CHECK(decision.reset_after == 9s);
    CHECK(step(policy, state, 5s, 2).retry_after == 9s);
    CHECK(step(policy, state, 5s, 4).retry_after == sluice::Decision::never);
    CHECK_FALSE(step(policy, state, 11s - 1ns, 1).allowed);
    CHECK(step(policy, state, 11s, 1).allowed);
    CHECK_FALSE(step(policy, state, 14s - 1ns, 1).allowed);
    CHECK(step(policy, state, 14s, 2).allowed);
}

TEST_CASE("the newest entries are what a refund takes back") {
    const SlidingWindow policy{3, 10s};
    SlidingWindow::State state;
    REQUIRE(step(policy, state, 1s, 1).allowed);
    REQUIRE(step(policy, state, 2s, 2).allowed);
    policy.refund(state, 3s, 2);
    CHECK(step(policy, state, 3s, 0).remaining == 2);
    CHECK(step(policy, state, 3s, 0).reset_after == 8s);
    policy.refund(state, 3s, 100);
    CHECK(step(policy, state, 3s, 0).remaining == 3);
}

TEST_CASE("entries from the future become entries of now") {
    const SlidingWindow policy{2, 10s};
    SlidingWindow::State state;
    REQUIRE(step(policy, state, 1h, 2).allowed);
    CHECK(policy.peek(state, 1min, 1).retry_after == 10s);
    CHECK(step(policy, state, 1min, 1).retry_after == 10s);
    CHECK(step(policy, state, 1min + 10s, 1).allowed);
}

TEST_CASE("a window at the first representable time forgets nothing") {
    constexpr std::chrono::nanoseconds first{std::numeric_limits<std::int64_t>::min()};
    const SlidingWindow policy{2, 10s};
    SlidingWindow::State state;
    REQUIRE(step(policy, state, first, 2).allowed);
    CHECK_FALSE(step(policy, state, first, 1).allowed);
    CHECK_FALSE(step(policy, state, first + 10s - 1ns, 1).allowed);
    CHECK(step(policy, state, first + 10s, 1).allowed);
}

TEST_CASE("what is given back after the clock was set back is there") {
    const SlidingWindow policy{5, 10s};
    SlidingWindow::State state;
    REQUIRE(step(policy, state, 100s, 3).allowed);
    policy.refund(state, 50s, 2);  // of a log that is full of now
    CHECK(policy.peek(state, 50s, 2).allowed);
    CHECK(policy.peek(state, 50s, 3).retry_after == 10s);
}

TEST_CASE("the log takes no more memory than its entries and gives it back") {
    const SlidingWindow policy{1000, 10s};
    SlidingWindow::State state;
    CHECK(state.log.capacity() == 1);  // which needs no memory
    REQUIRE(step(policy, state, 1s, 1).allowed);
    CHECK(state.log.capacity() == 1);
    REQUIRE(step(policy, state, 2s, 1).allowed);
    REQUIRE(step(policy, state, 2s, 500).allowed);  // one entry, whatever the cost
    CHECK(state.log.capacity() <= 9);
    for (int i = 1; i != 499; ++i) REQUIRE(step(policy, state, 2s + std::chrono::milliseconds{i}, 1).allowed);
    CHECK(state.log.size() == 500);
    CHECK(state.log.capacity() <= 600);
    REQUIRE(step(policy, state, 13s, 1).allowed);
    REQUIRE(step(policy, state, 14s, 1).allowed);
    CHECK(state.log.capacity() < 64);
}

TEST_CASE("an admission that needs no search and no memory is made at once, as any other") {
    const SlidingWindow policy{50, 100us};
    SlidingWindow::State quick, slow;
    Random random{"at once"};
    std::chrono::nanoseconds now = 1s;
    const int count = cases(10'000);
    for (int i = 0; i != count; ++i) {
        now += std::chrono::nanoseconds{static_cast<std::int64_t>(random.bits() % 1'000)} - 100ns;
        if (random.bits() % 100 == 0) now += 100us;
        const std::uint64_t cost = random.bits() % 4;
        const auto before = std::tuple{slow.log.size() != 0, slow.log.capacity(), slow.log.oldest()};
        const bool is_late = slow.log.size() != 0 && now.count() < slow.log.newest();
        policy.reserve(slow, now, cost);
        const auto expected = policy.step(slow, now, cost);
        const auto after = std::tuple{true, slow.log.capacity(), slow.log.oldest()};
        auto decision = policy.step_at_once(quick, now, cost);
        REQUIRE(decision.allowed == (expected.allowed && cost != 0 && !is_late && before == after));
        if (!decision.allowed) {
            policy.reserve(quick, now, cost);
            decision = policy.step(quick, now, cost);
        }
        REQUIRE(decision == expected);
    }
}

TEST_CASE("a sliding window out of range is refused") {
    CHECK_THROWS_AS((SlidingWindow{0, 1s}), std::invalid_argument);
    CHECK_THROWS_AS((SlidingWindow{(1 << 20) + 1, 1s}), std::invalid_argument);
    CHECK_NOTHROW(SlidingWindow{1 << 20, 1s});
    CHECK_THROWS_AS((SlidingWindow{1, -1s}), std::invalid_argument);
    CHECK((SlidingWindow{5, 15min}.quota()) == sluice::Quota{5, 15min});
}

TEST_CASE("units go back from the entry of their time alone") {
    const SlidingWindow policy{4, 10s};
    SlidingWindow::State state;
    CHECK(step(policy, state, 1s, 1).allowed);
    CHECK(step(policy, state, 2s, 2).allowed);
    CHECK(step(policy, state, 3s, 1).allowed);
    policy.give_back(state, 4s, 2s + 1ns, 1);
    CHECK(step(policy, state, 4s, 0).remaining == 0);
    policy.give_back(state, 4s, 2s, 1);
    CHECK(step(policy, state, 4s, 0).remaining == 1);
    policy.give_back(state, 4s, 2s, 5);  // no more than is left of it
    CHECK(step(policy, state, 4s, 0).remaining == 2);
    CHECK(state.log.size() == 2);
    CHECK(step(policy, state, 4s, 3).retry_after == 7s);  // until the one of 1 s leaves
    policy.give_back(state, 4s, 3s, 1);
    CHECK(step(policy, state, 4s, 0).reset_after == 7s);
    policy.give_back(state, 4s, 1s, 1);
    CHECK(state.log.size() == 0);
    policy.give_back(state, 4s, 1s, 1);
    CHECK(step(policy, state, 4s, 0).reset_after == 0s);
}

TEST_CASE("a log that is given back from keeps to its bounds") {
    const SlidingWindow policy{8, 100s};
    SlidingWindow::State state;
    for (int round = 0; round != 20; ++round) {
        const std::chrono::nanoseconds now = std::chrono::milliseconds{round};
        CHECK(step(policy, state, now, 1).allowed);
        if (round % 3 != 0) policy.give_back(state, now, now, 1);  // else it would be full after eight
    }
    CHECK(state.log.size() == 7);
    CHECK(state.log.units() == 7);
    CHECK(state.log.capacity() <= 8);
}
