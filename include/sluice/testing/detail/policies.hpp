// SPDX-License-Identifier: MIT
#ifndef SLUICE_TESTING_DETAIL_POLICIES_HPP
#define SLUICE_TESTING_DETAIL_POLICIES_HPP

#include <chrono>

#include <sluice/policies/builtin.hpp>

// The policies that stores are asked to run. Times are whole microseconds, so that stores counting those are exact too.
namespace sluice::detail::conformance {

using namespace std::chrono_literals;
using std::chrono::nanoseconds;

inline constexpr nanoseconds start = std::chrono::seconds{1'767'225'600};  // 2026-01-01, an edge of every window below

/// Calls f(policy, its name) with one policy of each kind, all of limit 5 and idle again after twenty seconds.
template <class F>
void for_each_policy(F f) {
    f(sluice::TokenBucket{5, sluice::per_second(2)}, "token_bucket");
    f(sluice::LeakyBucket{5, sluice::per_second(2)}, "leaky_bucket");
    f(sluice::FixedWindow{5, 10s}, "fixed_window");
    f(sluice::SlidingWindow{5, 10s}, "sliding_window");
    f(sluice::SlidingWindowCounter{5, 10s}, "sliding_window_counter");
    f(sluice::AllOf{sluice::TokenBucket{5, sluice::per_second(2)}, sluice::FixedWindow{7, 10s}}, "all_of");
}

/// The same with policies of limit 5 to which a minute is nothing, and whose windows have no edge near.
template <class F>
void for_each_slow_policy(F f) {
    constexpr auto century = std::chrono::hours{24} * 36'500;  // the current one ends in 2069
    constexpr auto decades = std::chrono::hours{24} * 12'000;  // in 2035, and fits a word
    f(sluice::TokenBucket{5, sluice::per_day(1)}, "token_bucket");
    f(sluice::LeakyBucket{5, sluice::per_day(1)}, "leaky_bucket");
    f(sluice::FixedWindow{5, decades}, "fixed_window");
    f(sluice::FixedWindow{5, century}, "fixed_window of two words");
    f(sluice::SlidingWindow{5, century}, "sliding_window");
    f(sluice::SlidingWindowCounter{5, decades}, "sliding_window_counter");
    f(sluice::SlidingWindowCounter{5, century}, "sliding_window_counter of three words");
    f(sluice::AllOf{sluice::TokenBucket{5, sluice::per_day(1)}, sluice::FixedWindow{7, century}}, "all_of");
}

/// Those that settle differently.
template <class F>
void for_each_settling_policy(F f) {
    f(sluice::TokenBucket{5, sluice::per_second(2)}, "token_bucket");
    f(sluice::LeakyBucket{5, sluice::per_second(2)}, "leaky_bucket");
    f(sluice::LeakyBucket{5, sluice::per_second(2), 3}, "leaky_bucket with a burst");
    f(sluice::FixedWindow{5, 10s}, "fixed_window");
    f(sluice::SlidingWindow{5, 10s}, "sliding_window");
    f(sluice::SlidingWindowCounter{5, 10s}, "sliding_window_counter");
    f(sluice::AllOf{sluice::TokenBucket{5, sluice::per_second(2)}, sluice::FixedWindow{7, 10s}}, "all_of");
    f(sluice::AllOf{sluice::LeakyBucket{5, sluice::per_second(2), 2}, sluice::SlidingWindow{7, 10s}}, "all_of logs");
}

}  // namespace sluice::detail::conformance

#endif
