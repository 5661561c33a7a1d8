// SPDX-License-Identifier: MIT

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <sluice/layers/fallback.hpp>
#include <sluice/sluice.hpp>

#include "support/catch.hpp"
#include "support/failing_store.hpp"

using namespace std::chrono_literals;
using sluice::Errc;
using sluice::FailureMode;
using Bucket = sluice::TokenBucket;

namespace {

template <class P>
auto limiter_of(const P& policy, const sluice::ManualClock& clock, sluice::LimiterOptions options = {}) {
    return sluice::RateLimiter{policy, sluice::MemoryStore<P, sluice::ManualClock>{{}, clock}, std::move(options)};
}

}  // namespace

TEST_CASE("what is there is taken, and no more than asked") {
    const sluice::ManualClock clock;
    const auto limiter =
        limiter_of(sluice::AllOf{Bucket{10, sluice::per_second(1)}, sluice::FixedWindow{7, 10s}}, clock);
    auto taken = limiter.try_consume_up_to("key", 5);
    CHECK(taken);
    CHECK(taken.units == 5);
    CHECK(taken.decision.remaining == 2);
    taken = limiter.try_consume_up_to("key", 500);
    CHECK(taken.units == 2);
    taken = limiter.try_consume_up_to("key", 500);
    CHECK_FALSE(taken);
    CHECK(taken.units == 0);
    CHECK(taken.decision.retry_after == 10s);
    CHECK(limiter.try_consume_up_to("key", 0));
    CHECK(limiter.try_consume_up_to("key", -1).decision.error == Errc::invalid_argument);
    CHECK(limiter
              .try_consume_up_to("key", 3, sluice::AllOf{Bucket{2, sluice::per_second(1)}, sluice::FixedWindow{7, 10s}})
              .units == 2);
    CHECK(sluice::AnyLimiter{limiter}.try_consume_up_to("other key", 500).units == 7);
}

TEST_CASE("a reservation that cost less gives the rest back") {
    const sluice::ManualClock clock;
    const auto limiter = limiter_of(Bucket{1000, sluice::per_second(1)}, clock);
    auto reservation = limiter.reserve("key", 800);
    CHECK(reservation);
    CHECK(reservation.units() == 800);
    CHECK(reservation.decision().remaining == 200);
    CHECK_FALSE(limiter.reserve("key", 201));
    const auto settled = reservation.settle(650);
    CHECK(settled.missing == 0);
    CHECK_FALSE(settled.error);
    CHECK(limiter.peek("key").remaining == 350);
    CHECK(reservation.units() == 0);
    CHECK(reservation.settle(10).error == Errc::invalid_argument);  // once
    CHECK(limiter.peek("key").remaining == 350);
}

TEST_CASE("a reservation that cost more takes what is there, and says what is missing") {
    const sluice::ManualClock clock;
    const auto limiter = limiter_of(Bucket{10, sluice::per_second(1)}, clock);
    auto reservation = limiter.reserve("key", 4);
    CHECK(reservation.settle(-1).error == Errc::invalid_argument);
    auto settled = reservation.settle(8);
    CHECK(settled.missing == 0);
    CHECK(limiter.peek("key").remaining == 2);
    reservation = limiter.reserve("key", 1);
    settled = reservation.settle(20);
    CHECK(settled.missing == 18);
    CHECK_FALSE(settled.error);
    CHECK(limiter.peek("key").remaining == 0);
}

TEST_CASE("an unsettled reservation gives all back, wherever it went") {
    const sluice::ManualClock clock;
    std::optional<sluice::Reservation> kept;
    auto limiter = std::make_unique<const decltype(limiter_of(Bucket{10, sluice::per_second(1)}, clock))>(
        limiter_of(Bucket{10, sluice::per_second(1)}, clock, {.name = "a name that is longer than a short string"}));
    const auto copy = *limiter;
    const auto left = [&] { return copy.peek("key").remaining; };
    {
        const auto reservation = limiter->reserve(std::string{"key"}, 4);
        CHECK(left() == 6);
    }
    CHECK(left() == 10);
    kept = limiter->reserve("key", 3);
    kept = limiter->reserve("key", 2);  // the first goes back
    CHECK(left() == 8);
    auto moved = std::move(*kept);
    kept.reset();
    CHECK(left() == 8);
    limiter.reset();  // the reservation outlives it
    CHECK(left() == 8);
    moved = {};
    CHECK(left() == 10);
    CHECK_FALSE(sluice::Reservation{});
}

TEST_CASE("a window gives back only while it is the one") {
    const sluice::ManualClock clock;
    const auto check = [&](const auto& policy, std::uint64_t left) {
        clock.set(1s);
        const auto limiter = limiter_of(policy, clock);
        auto reservation = limiter.reserve("key", 4);
        clock.set(12s);
        CHECK(limiter.try_consume("key", 4));
        reservation = {};
        CHECK(limiter.peek("key").remaining == left);
    };
    check(sluice::FixedWindow{5, 10s}, 1);
    check(sluice::SlidingWindow{5, 10s}, 1);
    check(sluice::SlidingWindowCounter{9, 10s}, 5);  // the previous window is part of it
    check(Bucket{5, sluice::per_second(1)}, 5);
}

TEST_CASE("a denied reservation holds nothing") {
    const sluice::ManualClock clock;
    const auto limiter = limiter_of(Bucket{3, sluice::per_second(1)}, clock);
    {
        auto denied = limiter.reserve("key", 4);
        CHECK_FALSE(denied);
        CHECK(denied.decision().retry_after == sluice::Decision::never);
        CHECK(denied.settle(2).missing == 2);
        CHECK(limiter.reserve("key", -1).decision().error == Errc::invalid_argument);
    }
    CHECK(limiter.peek("key").remaining == 3);
    CHECK(limiter.reserve("key", 2, Bucket{2, sluice::per_second(1)}));
    const auto erased = sluice::AnyLimiter{limiter}.reserve("key", 2);
    CHECK(erased.units() == 2);
    CHECK(limiter.peek("key").remaining == 1);
}

TEST_CASE("what a failure mode allows is uncounted, until it is settled") {
    const FailingStore store{sluice::MemoryStore<Bucket>{}};
    const Bucket policy{10, sluice::per_day(1)};
    const sluice::RateLimiter open{policy, store};
    const sluice::RateLimiter closed{policy, store, {.on_failure = FailureMode::deny}};
    store.fail(Errc::timeout);
    CHECK(open.try_consume_up_to("key", 500).units == 10);
    CHECK(open.try_consume_up_to("key", 4).units == 4);
    CHECK(closed.try_consume_up_to("key", 4).units == 0);
    CHECK_FALSE(closed.reserve("key", 1));
    auto reservation = open.reserve("key", 5);
    CHECK(reservation);
    CHECK(reservation.units() == 0);
    CHECK(reservation.decision().error == Errc::timeout);
    store.recover();
    CHECK(reservation.settle(3).missing == 0);
    CHECK(open.peek("key").remaining == 7);

    reservation = open.reserve("key", 5);
    store.fail(Errc::timeout);
    CHECK(reservation.settle(3).error == Errc::timeout);
    reservation = open.reserve("key", 5);
    CHECK(reservation.settle(6).missing == 6);
    store.recover();
    CHECK(open.peek("key").remaining == 2);
}

TEST_CASE("a reservation goes back to the store that it came from") {
    const FailingStore primary{sluice::MemoryStore<Bucket>{}};
    const FailingStore secondary{sluice::MemoryStore<Bucket>{}};
    const Bucket policy{10, sluice::per_day(1)};
    const sluice::RateLimiter limiter{policy, sluice::Fallback{primary, secondary}};
    const sluice::RateLimiter second{policy, secondary};
    auto from_primary = limiter.reserve("key", 5);
    primary.fail(Errc::timeout);
    auto from_secondary = limiter.reserve("key", 4);
    CHECK(from_secondary.decision().error == Errc::degraded);
    CHECK(second.peek("key").remaining == 6);
    primary.recover();
    from_secondary = {};
    CHECK(second.peek("key").remaining == 10);
    from_primary = {};
    CHECK(limiter.peek("key").remaining == 10);
}
