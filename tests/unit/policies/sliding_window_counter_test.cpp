// SPDX-License-Identifier: MIT

#include <chrono>
#include <cstdint>
#include <stdexcept>

#include <sluice/policies/sliding_window_counter.hpp>

#include "support/catch.hpp"

using namespace std::chrono_literals;
using sluice::SlidingWindowCounter;

TEST_CASE("the previous window counts as far as it is still in sight") {
    const SlidingWindowCounter policy{10, 10s};
    SlidingWindowCounter::State state;
    auto decision = policy.step(state, 5s, 8);
    CHECK(decision.allowed);
    CHECK(decision.limit == 10);
    CHECK(decision.remaining == 2);
    CHECK(decision.reset_after == 15s);

    CHECK(policy.step(state, 10s, 0).remaining == 2);          // 8 * 10/10
    CHECK(policy.step(state, 12s, 0).remaining == 3);          // 8 * 8/10 = 6.4
    CHECK(policy.step(state, 12s + 500ms, 0).remaining == 4);  // 8 * 7.5/10 = 6
    CHECK(policy.step(state, 15s, 0).remaining == 6);          // 8 * 5/10 = 4
    decision = policy.step(state, 15s, 7);
    CHECK_FALSE(decision.allowed);
    CHECK(decision.retry_after == 1250ms);  // 8 * 3.75/10 = 3
    CHECK(policy.step(state, 16s + 250ms - 1ns, 7).retry_after == 1ns);
    CHECK(policy.step(state, 16s + 250ms, 7).allowed);
    CHECK(policy.step(state, 16s + 250ms, 0).reset_after == 13s + 750ms);
    CHECK(policy.step(state, 30s, 0).remaining == 10);
    CHECK(policy.step(state, 30s, 0).reset_after == 0s);
}

TEST_CASE("a wait may reach into the window after the next") {
    const SlidingWindowCounter policy{4, 10s};
    SlidingWindowCounter::State state;
    REQUIRE(policy.step(state, 0s, 4).allowed);
    CHECK(policy.step(state, 1s, 4).retry_after == 19s);
    CHECK(policy.step(state, 1s, 1).retry_after == 11s + 500ms);
    CHECK(policy.step(state, 1s, 5).retry_after == sluice::Decision::never);
}

TEST_CASE("a refund takes from the current, then from the previous count") {
    const SlidingWindowCounter policy{10, 10s};
    SlidingWindowCounter::State state;
    REQUIRE(policy.step(state, 5s, 6).allowed);
    REQUIRE(policy.step(state, 10s, 3).allowed);
    policy.refund(state, 10s, 4);
    CHECK(state.current == 0);
    CHECK(state.previous == 5);
    policy.refund(state, 10s, ~std::uint64_t{0});
    CHECK(policy.step(state, 10s, 0).remaining == 10);
}

TEST_CASE("a late reading is counted into the state's window, as at its beginning") {
    const SlidingWindowCounter policy{10, 10s};
    SlidingWindowCounter::State state;
    REQUIRE(policy.step(state, 5s, 9).allowed);
    REQUIRE(policy.step(state, 11s, 1).allowed);  // 9 * 9/10 + 1
    CHECK(policy.step(state, 11s, 0).remaining == 0);
    CHECK(policy.step(state, 9s + 900ms, 0).remaining == 0);
    CHECK_FALSE(policy.step(state, 9s + 900ms, 1).allowed);
    CHECK_FALSE(policy.step(state, 15s, 5).allowed);  // 9 * 5/10 + 1: nothing was changed by it
    CHECK(policy.step(state, 15s, 4).allowed);
    SlidingWindowCounter::State early;
    REQUIRE(policy.step(early, 10s, 2).allowed);
    CHECK(policy.step(early, 9s, 7).reset_after == 21s);  // until the end of the window after [10s, 20s)
    CHECK(policy.step(early, 11s, 0).remaining == 1);
}

TEST_CASE("a clock set back finds the counter used up") {
    const SlidingWindowCounter policy{10, 10s};
    SlidingWindowCounter::State state;
    REQUIRE(policy.step(state, 100s, 1).allowed);
    CHECK(policy.step(state, 94s, 0).remaining == 0);
    CHECK_FALSE(policy.step(state, 94s, 1).allowed);
    CHECK(policy.step(state, 99s, 1).retry_after == 2s);  // 10 * 9/10 + 1 at 101s
}

TEST_CASE("one word holds the counts that it says it holds") {
    CHECK(SlidingWindowCounter{2'047, 1s}.fits_word());
    CHECK_FALSE(SlidingWindowCounter{2'048, 1s}.fits_word());
    CHECK(SlidingWindowCounter{16'383, 1min}.fits_word());
    CHECK_FALSE(SlidingWindowCounter{16'384, 1min}.fits_word());
    CHECK(SlidingWindowCounter{131'071, 1h}.fits_word());
    CHECK_FALSE(SlidingWindowCounter{131'072, 1h}.fits_word());

    const SlidingWindowCounter policy{100, 7s};
    const SlidingWindowCounter::State state{700'000'000'000, 42, 17};
    const auto unpacked = policy.unpack(policy.pack(state));
    CHECK(policy.pack(unpacked) == policy.pack(state));
    CHECK(unpacked.previous == 42);
    CHECK(unpacked.current == 17);
    CHECK(SlidingWindowCounter::word_expires_at(policy.pack(state)) >= policy.expires_at(state));
}

TEST_CASE("a sliding window counter out of range is refused") {
    CHECK_THROWS_AS((SlidingWindowCounter{0, 1s}), std::invalid_argument);
    CHECK_THROWS_AS((SlidingWindowCounter{std::uint64_t{1} << 53, 1s}), std::invalid_argument);
    CHECK_THROWS_AS((SlidingWindowCounter{1, 0s}), std::invalid_argument);
    CHECK((SlidingWindowCounter{100, 60s}.quota()) == sluice::Quota{100, 60s});
}

TEST_CASE("a refund of nothing changes nothing") {
    const SlidingWindowCounter policy{5, 10s};
    SlidingWindowCounter::State state;
    REQUIRE(policy.step(state, 5s, 2).allowed);
    policy.refund(state, 12s, 0);
    CHECK(policy.step(state, 9s, 1).reset_after == 11s);  // still in the window that it came to
}

TEST_CASE("units go back into the count of their window") {
    const SlidingWindowCounter policy{10, 10s};
    SlidingWindowCounter::State state;
    CHECK(policy.step(state, 5s, 4).allowed);
    CHECK(policy.step(state, 15s, 3).allowed);
    policy.give_back(state, 15s, 16s, 1);
    CHECK(state.current == 2);
    CHECK(state.previous == 4);
    policy.give_back(state, 15s, 5s, 1);
    CHECK(state.previous == 3);
    policy.give_back(state, 15s, 25s, 1);
    policy.give_back(state, 35s, -5s, 1);
    CHECK(state.current == 2);
    CHECK(state.previous == 3);
    policy.give_back(state, 15s, 5s, 100);
    CHECK(state.previous == 0);
    CHECK(state.current == 2);
}
