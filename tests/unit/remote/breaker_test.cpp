// SPDX-License-Identifier: MIT

#include <chrono>

#include <sluice/remote/breaker.hpp>

#include "support/catch.hpp"

using namespace std::chrono_literals;
using sluice::detail::remote::Breaker;
using Permit = Breaker::Permit;
using Evidence = Breaker::Evidence;

namespace {

constexpr auto call_time = 100ms;
const Breaker::Clock::time_point start{1h};

void open(Breaker& breaker, Breaker::Clock::time_point now) {
    for (int i = 0; i != 5; ++i) {
        REQUIRE(breaker.ask(now, call_time) == Permit::normal);
        breaker.report(Permit::normal, Evidence::failure, now);
    }
    REQUIRE(breaker.is_open());
}

}  // namespace

TEST_CASE("a breaker opens after failures in a row, and only then") {
    Breaker breaker{{}};
    for (int round = 0; round != 3; ++round) {
        for (int i = 0; i != 4; ++i) breaker.report(Permit::normal, Evidence::failure, start);
        breaker.report(Permit::normal, Evidence::slow_answer, start);
        CHECK_FALSE(breaker.is_open());
        breaker.report(Permit::normal, Evidence::answer, start);
        breaker.report(Permit::normal, Evidence::slow_answer, start);
        breaker.report(Permit::normal, Evidence::answer, start);
    }
    open(breaker, start);
    CHECK(breaker.openings() == 1);
    CHECK(breaker.ask(start, call_time) == Permit::none);
    CHECK(breaker.ask(start + 39ms, call_time) == Permit::none);
}

TEST_CASE("after its pause a breaker lets one probe through") {
    Breaker breaker{{}};
    open(breaker, start);
    const auto later = start + 61ms;
    CHECK(breaker.ask(later, call_time) == Permit::probe);
    CHECK(breaker.ask(later, call_time) == Permit::none);
    CHECK(breaker.ask(later + call_time, call_time) == Permit::none);
    SECTION("whose success closes it") {
        breaker.report(Permit::probe, Evidence::answer, later);
        CHECK_FALSE(breaker.is_open());
        CHECK(breaker.ask(later, call_time) == Permit::normal);
        breaker.report(Permit::normal, Evidence::slow_answer, later);
        for (int i = 0; i != 4; ++i) breaker.report(Permit::normal, Evidence::failure, later);
        CHECK_FALSE(breaker.is_open());
        breaker.report(Permit::normal, Evidence::answer, later);
        open(breaker, later);
        CHECK(breaker.openings() == 2);
        CHECK(breaker.ask(later + 61ms, call_time) == Permit::probe);  // the first pause again
    }
    SECTION("whose failure begins a pause twice as long, up to the longest") {
        auto now = later;
        for (const auto pause : {100ms, 200ms, 400ms, 500ms, 500ms}) {
            breaker.report(Permit::probe, Evidence::failure, now);
            CHECK(breaker.ask(now + pause * 79 / 100, call_time) == Permit::none);
            now += pause * 121 / 100;
            REQUIRE(breaker.ask(now, call_time) == Permit::probe);
        }
        CHECK(breaker.openings() == 1);
    }
    SECTION("and another, should the first never report") {
        CHECK(breaker.ask(later + call_time + 51ms, call_time) == Permit::probe);
    }
    SECTION("which nobody else can close it for") {
        breaker.report(Permit::normal, Evidence::answer, later);
        CHECK(breaker.is_open());
        CHECK(breaker.ask(later + call_time, call_time) == Permit::none);
    }
    SECTION("and another at once if the first could not be sent") {
        breaker.report(Permit::probe, Evidence::nothing, later);
        CHECK(breaker.is_open());
        CHECK(breaker.ask(later, call_time) == Permit::probe);
    }
    SECTION("while late failures of calls from before change nothing") {
        for (int i = 0; i != 10; ++i) breaker.report(Permit::normal, Evidence::failure, later);
        CHECK(breaker.openings() == 1);
        CHECK(breaker.ask(later + call_time + 51ms, call_time) == Permit::probe);
    }
}

TEST_CASE("an answer that came late is half a failure, and what tells nothing is none") {
    Breaker breaker{{}};
    for (int i = 0; i != 9; ++i) {
        breaker.report(Permit::normal, Evidence::slow_answer, start);
        breaker.report(Permit::normal, Evidence::nothing, start);
    }
    CHECK_FALSE(breaker.is_open());
    breaker.report(Permit::normal, Evidence::slow_answer, start);
    CHECK(breaker.is_open());

    // A slow probe closes it, but less is needed to open it again, for longer.
    auto now = start + 61ms;
    for (const auto pause : {100ms, 200ms, 400ms}) {
        REQUIRE(breaker.ask(now, call_time) == Permit::probe);
        breaker.report(Permit::probe, Evidence::slow_answer, now);
        for (int i = 0; i != 5; ++i) {
            CHECK_FALSE(breaker.is_open());
            breaker.report(Permit::normal, Evidence::slow_answer, now);
        }
        CHECK(breaker.ask(now + pause * 79 / 100, call_time) == Permit::none);
        now += pause * 121 / 100;
    }
}
