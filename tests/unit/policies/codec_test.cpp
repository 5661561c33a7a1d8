// SPDX-License-Identifier: MIT

#include <array>
#include <chrono>
#include <cstdint>
#include <limits>

#include <sluice/sluice.hpp>

#include "support/catch.hpp"

using namespace std::chrono_literals;
using std::chrono::nanoseconds;

namespace {

constexpr nanoseconds start = 1'767'225'600s;

/// On the way, a state is told in integers after each step.
template <sluice::StateCodec P>
void survives_its_codec(const P& policy) {
    INFO(P::kind);
    typename P::State told{};
    typename P::State kept{};
    CHECK(policy.encode(policy.decode(policy.encode(told))) == policy.encode(told));
    for (int i = 0; i != 30; ++i) {
        const auto now = start + i * 700ms;
        const auto cost = static_cast<std::uint64_t>(i % 4);
        told = policy.decode(policy.encode(told));
        CHECK(policy.step(told, now, cost) == policy.step(kept, now, cost));
    }
}

/// Whatever integers a server tells, there are never more units than the limit.
template <sluice::StateCodec P>
void bears_any_integers(const P& policy) {
    INFO(P::kind);
    constexpr auto least = std::numeric_limits<std::int64_t>::min();
    constexpr auto most = std::numeric_limits<std::int64_t>::max();
    for (const std::int64_t first : {least, std::int64_t{-1}, std::int64_t{0}, start.count(), most}) {
        for (const std::int64_t others : {least, std::int64_t{-1}, std::int64_t{3}, most}) {
            auto integers = policy.encode({});
            integers.fill(others);
            integers[0] = first;
            auto state = policy.decode(integers);
            CHECK(policy.step(state, start, 1).remaining <= policy.quota().limit);
        }
    }
}

template <class F>
void for_each_policy(F f) {
    f(sluice::TokenBucket{5, sluice::per_second(2)});
    f(sluice::LeakyBucket{5, sluice::per_second(2), 2});
    f(sluice::FixedWindow{5, 3s});
    f(sluice::SlidingWindowCounter{5, 3s});
    f(sluice::AllOf{sluice::FixedWindow{5, 3s}, sluice::TokenBucket{5, sluice::per_second(2)},
                    sluice::SlidingWindowCounter{5, 3s}});
}

}  // namespace

TEST_CASE("states survive being told in integers") {
    for_each_policy([](const auto& policy) { survives_its_codec(policy); });
    static_assert(!sluice::StateCodec<sluice::SlidingWindow>);  // as many numbers as admissions
}

TEST_CASE("policies bear whatever integers they are told") {
    for_each_policy([](const auto& policy) { bears_any_integers(policy); });
}
