// SPDX-License-Identifier: MIT
// What a window's state is worth after it was packed into one word.
#include <chrono>
#include <cstdint>

#include <sluice/policies/fixed_window.hpp>
#include <sluice/policies/sliding_window_counter.hpp>

#include "support/catch.hpp"

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
