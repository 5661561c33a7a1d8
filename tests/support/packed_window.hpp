// SPDX-License-Identifier: MIT
#ifndef SLUICE_TESTS_SUPPORT_PACKED_WINDOW_HPP
#define SLUICE_TESTS_SUPPORT_PACKED_WINDOW_HPP

#include <chrono>
#include <cstdint>

#include <sluice/decision.hpp>

#include "support/catch.hpp"

// What a window's state is worth after it was packed into one word.
namespace packed_window {

/// `state` ends at 700 s, its window is 7 s long: asked around the edges of several windows.
template <class P>
void check_decides_alike(const P& policy, const typename P::State& state) {
    using namespace std::chrono_literals;
    for (const auto around : {679s, 686s, 693s, 700s, 707s, 714s, 721s}) {
        for (const auto offset : {-500'001ns, -1ns, 0ns, 1ns, 2'300'000'000ns}) {
            const auto at = std::chrono::nanoseconds{around} + offset;
            INFO(at.count());
            auto exact = state;
            auto packed = policy.unpack(policy.pack(state));
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

/// Of twenty requests at one time, when each finds the state as the one before has packed it.
template <class P>
int admitted_of_twenty(const P& policy, std::chrono::nanoseconds now) {
    std::uint64_t word = policy.pack({});
    int admitted = 0;
    for (int i = 0; i != 20; ++i) {
        auto state = policy.unpack(word);
        admitted += policy.step(state, now, 1).allowed ? 1 : 0;
        word = policy.pack(state);
    }
    return admitted;
}

}  // namespace packed_window

#endif
