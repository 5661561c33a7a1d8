// SPDX-License-Identifier: MIT

#include <chrono>

#include <sluice/detail/saturate.hpp>

#include "support/catch.hpp"

using namespace std::chrono_literals;
using namespace sluice::detail;

TEST_CASE("sums stop at the ends") {
    CHECK(add(1, 2) == 3);
    CHECK(add(int64_max, 1) == int64_max);
    CHECK(add(int64_min, -1) == int64_min);
    CHECK(add(int64_max, int64_min) == -1);
    CHECK(clamp_to_int64(int128{int64_max} + 1) == int64_max);
    CHECK(clamp_to_int64(int128{int64_min} - 1) == int64_min);
    CHECK(clamp_to_int64(-5) == -5);
}

TEST_CASE("a wait is never negative, and never `never`") {
    CHECK(wait(5, 8) == 3ns);
    CHECK(wait(8, 5) == 0ns);
    CHECK(wait(8, 8) == 0ns);
    CHECK(wait(-1, int64_max) == sluice::Decision::never - 1ns);
    CHECK(wait(int64_min, int64_max) == sluice::Decision::never - 1ns);
    CHECK(wait(0, int64_max) == sluice::Decision::never - 1ns);
}
