// SPDX-License-Identifier: MIT

#include <type_traits>

#include <sluice/decision.hpp>

#include "support/catch.hpp"

TEST_CASE("a Decision is a denial until it says otherwise") {
    const sluice::Decision decision;
    CHECK_FALSE(decision);
    CHECK(decision.limit == 0);
    CHECK(decision.remaining == 0);
    CHECK(decision.retry_after.count() == 0);
    CHECK(decision.reset_after.count() == 0);
    CHECK(decision.delay.count() == 0);
    CHECK_FALSE(decision.error);
}

TEST_CASE("a Decision converts to bool only where a condition is asked for") {
    sluice::Decision decision;
    decision.allowed = true;
    CHECK(static_cast<bool>(decision));
    CHECK_FALSE(std::is_convertible_v<sluice::Decision, bool>);
    CHECK(sluice::Decision::never == std::chrono::nanoseconds::max());
}
