// SPDX-License-Identifier: MIT
// What a window's state is worth after it was packed into one word.
#include <chrono>
#include <cstdint>

#include <sluice/policies/fixed_window.hpp>
#include <sluice/policies/sliding_window_counter.hpp>

#include "support/catch.hpp"
#include "support/random.hpp"

using namespace std::chrono_literals;
using sluice::FixedWindow;
using sluice::SlidingWindowCounter;

namespace {

/// Of the window that ends at 700 s.
template <class P>
typename P::State busy() {
    if constexpr (requires(typename P::State state) { state.previous; })
        return {700'000'000'000, 42, 17};
    else
        return {700'000'000'000, 42};
}

}  // namespace

TEMPLATE_TEST_CASE("a packed window decides as it did before, around the edges of several", "", FixedWindow,
                   SlidingWindowCounter) {
    const TestType policy{100, 7s};
    for (const auto around : {679s, 686s, 693s, 700s, 707s, 714s, 721s}) {
        for (const auto offset : {-500'001ns, -1ns, 0ns, 1ns, 2'300'000'000ns}) {
            const auto at = std::chrono::nanoseconds{around} + offset;
            INFO(at.count());
            auto exact = busy<TestType>();
            auto packed = policy.unpack(policy.pack(exact));
            for (const std::uint64_t cost : {1U, 30U, 60U}) {
                const sluice::Decision of_exact = policy.step(exact, at, cost);
                const sluice::Decision of_packed = policy.step(packed, at, cost);
                CHECK(of_packed.allowed == of_exact.allowed);
                CHECK(of_packed.remaining == of_exact.remaining);
                CHECK(of_packed.retry_after == of_exact.retry_after);
                CHECK(of_packed.reset_after == of_exact.reset_after);
                packed = policy.unpack(policy.pack(packed));
            }
        }
    }
}

// Its end would have to be rounded beyond the end of time.
TEMPLATE_TEST_CASE("one word holds no window that is too long for it", "", FixedWindow, SlidingWindowCounter) {
    constexpr auto year = 365 * 24h;
    CHECK_FALSE(TestType{5, 100 * year}.fits_word());
    const TestType policy{5, 36 * year};
    REQUIRE(policy.fits_word());
    std::uint64_t word = policy.pack({});
    int admitted = 0;
    for (int i = 0; i != 20; ++i) {
        auto state = policy.unpack(word);
        admitted += policy.step(state, 120 * year, 1).allowed ? 1 : 0;
        word = policy.pack(state);
    }
    CHECK(admitted == 5);
}

TEST_CASE("a step on a packed state is one on the state") {
    Random random{"packed steps"};
    const auto run = [&](const auto& policy) {
        const std::int64_t window = policy.window().count();
        std::uint64_t word = policy.pack({});
        std::int64_t now = 1'750'000'000'000'000'000;
        for (int i = 0, steps = cases(20'000); i != steps; ++i) {
            now += random.between<std::int64_t>(-window / 8, window / 4);
            if (random.between(0, 99) == 0) now += random.between<std::int64_t>(-3, 3) * window;
            const auto cost = random.between<std::uint64_t>(0, random.between(0, 9) == 0 ? policy.limit() + 1 : 2);
            auto state = policy.unpack(word);
            const auto before = word;
            const bool is_ahead = policy.is_ahead(state, std::chrono::nanoseconds{now});
            const auto expected = policy.step(state, std::chrono::nanoseconds{now}, cost);
            const auto decision = policy.step_word(word, std::chrono::nanoseconds{now}, cost);
            if (is_ahead) {  // left to step()
                REQUIRE(word == before);
                REQUIRE(decision == sluice::Decision{});
                word = policy.pack(state);
            } else {
                REQUIRE(word == policy.pack(state));
                REQUIRE(decision == expected);
            }
        }
    };
    const FixedWindow last{7, 1s};  // what is left from the beginning of time does not count at its end
    std::uint64_t oldest = last.pack({std::chrono::nanoseconds::min().count(), 3});
    CHECK(last.step_word(oldest, std::chrono::nanoseconds::max(), 1).remaining == 6);
    const SlidingWindowCounter counter{7, 60s};
    SlidingWindowCounter::State state;
    REQUIRE(counter.step(state, std::chrono::nanoseconds::min(), 3).remaining == 4);
    CHECK(counter.step(state, std::chrono::nanoseconds::max(), 1).remaining == 6);

    run(FixedWindow{7, 1s});
    run(FixedWindow{1, 60s});
    run(SlidingWindowCounter{7, 1s});
    run(SlidingWindowCounter{100, 60s});
}
