// SPDX-License-Identifier: MIT

#include <chrono>
#include <cstdint>

#include <sluice/detail/ticks.hpp>

#include "support/catch.hpp"
#include "support/random.hpp"

using namespace std::chrono_literals;
using sluice::detail::Ticks;

namespace {

using wide = sluice::detail::int128;

wide floor_div(wide a, wide b) { return a / b - (a % b < 0 ? 1 : 0); }
wide ceil_div(wide a, wide b) { return -floor_div(-a, b); }

}  // namespace

TEST_CASE("a unit takes a whole number of ticks") {
    CHECK(Ticks{sluice::per_second(10)}.per_unit() == 100'000'000);
    CHECK(Ticks{sluice::per_second(10)}.are_nanoseconds());
    CHECK(Ticks{sluice::per_second(3)}.per_unit() == 333'333'333);
    CHECK_FALSE(Ticks{sluice::per_second(3)}.are_nanoseconds());
    CHECK(Ticks{sluice::per_second(3), 1us}.per_unit() == 333'333);
    CHECK(Ticks{sluice::per_second(1'000'000'000), 1us}.per_unit() == 1);  // never none
    CHECK(Ticks{sluice::per_second(3)}.per_period() == 999'999'999);
}

TEST_CASE("ticks count time exactly") {
    Random random{"ticks"};
    const int count = cases(1'000'000);
    for (int i = 0; i < count; ++i) {
        const auto period = random.magnitude<std::int64_t>(1, sluice::detail::max_period_ns);
        const auto units = random.magnitude<std::int64_t>(1, std::min(period, (std::int64_t{1} << 53) - 1));
        const Ticks ticks{sluice::Rate{units, std::chrono::nanoseconds{period}}};
        const auto in_period = static_cast<std::int64_t>(ticks.per_period());
        const auto ns = static_cast<std::int64_t>(random.bits()) >> random.between(1, 40);
        const auto tick = ticks.at(ns);
        if (tick != floor_div(wide{ns} * in_period, period)) FAIL("at " << ns << " for " << units << " in " << period);
        const auto start = ticks.start_of(tick);
        if (start != ceil_div(wide{tick} * period, in_period))
            FAIL("start of " << tick << " for " << units << " in " << period);
        if (start > ns || ticks.at(start) != tick || ticks.at(start - 1) != tick - 1) {
            FAIL("the first nanosecond of a tick: " << ns << " for " << units << " in " << period);
        }
    }
    SUCCEED();
}
