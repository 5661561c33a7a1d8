// SPDX-License-Identifier: MIT
// A thread that reads the clock and is then held up, while others go on, must not undo what they did.
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <type_traits>

#include <sluice/sluice.hpp>

#include "support/catch.hpp"

using namespace std::chrono_literals;

namespace {

/// Its next readings, if told so, are old ones: those of a thread that was held up since, once or several times.
class HeldUpClock {
public:
    std::chrono::nanoseconds now() const noexcept {
        const bool is_late = shared_->late_readings.load() != 0;
        if (is_late) shared_->late_readings.fetch_sub(1);
        return std::chrono::nanoseconds{shared_->now.load() - (is_late ? shared_->late_by.load() : 0)};
    }
    void set(std::chrono::nanoseconds now) const { shared_->now.store(now.count()); }
    void be_late(std::chrono::nanoseconds by, int readings = 1) const {
        shared_->late_by.store(by.count());
        shared_->late_readings.store(readings);
    }

private:
    struct Shared {
        std::atomic<std::int64_t> now{0};
        std::atomic<std::int64_t> late_by{0};
        std::atomic<int> late_readings{0};
    };
    std::shared_ptr<Shared> shared_ = std::make_shared<Shared>();
};

constexpr std::chrono::nanoseconds edge{1'767'225'600'000'000'000};  // where windows begin

template <class P>
void keeps_the_present(const P& policy) {
    const HeldUpClock clock;
    const sluice::RateLimiter limiter{policy, sluice::MemoryStore<P, HeldUpClock>{{}, clock}};
    clock.set(edge + 1ms);
    for (int i = 0; i != 10; ++i) REQUIRE(limiter.try_consume("hot").allowed);
    clock.be_late(40ms);
    CHECK_FALSE(limiter.try_consume("hot").allowed);
    clock.set(edge + 2ms);
    CHECK_FALSE(limiter.try_consume("hot").allowed);
    clock.be_late(40ms);
    CHECK_FALSE(limiter.refund("hot", 1));
    CHECK(limiter.try_consume("hot").allowed);
    CHECK_FALSE(limiter.try_consume("hot").allowed);
}

/// However often the thread is held up, before the mutex and after it, a key that is used up stays so.
template <class P>
void stays_used_up(const P& policy, sluice::MemoryOptions options = {}) {
    for (const auto late_by : {40ms, 400ms, 4'900ms}) {
        for (int readings = 1; readings <= 5; ++readings) {
            const HeldUpClock clock;
            const sluice::RateLimiter limiter{policy, sluice::MemoryStore<P, HeldUpClock>{options, clock}};
            clock.set(edge + 1ms);
            REQUIRE(limiter.try_consume("hot", 10).allowed);
            for (int i = 0; i != 5; ++i) {
                clock.be_late(late_by, readings);
                CHECK_FALSE(limiter.try_consume("hot").allowed);
                clock.be_late(late_by, readings);
                CHECK_FALSE(limiter.peek("hot").allowed);
                clock.be_late(late_by, readings);
                CHECK_FALSE(limiter.refund("hot", 0));  // takes the mutex
            }
            clock.be_late(0ms, 0);
            clock.set(edge + 2ms);
            CHECK_FALSE(limiter.try_consume("hot").allowed);
        }
    }
}

/// A thread reads the clock and is held up. Meanwhile the key's state expires, and another key state comes and goes that
/// leaves no trace of its time. What the thread then consumes counts from now on, not from its reading.
template <class P, class Forget>
void counts_from_now_on(const P& policy, Forget forget, sluice::MemoryOptions options = {}) {
    const HeldUpClock clock;
    const sluice::RateLimiter limiter{policy, sluice::MemoryStore<P, HeldUpClock>{options, clock}};
    clock.set(edge + 1ms);
    REQUIRE(limiter.try_consume("hot", 10).allowed);
    clock.set(edge + 4s);
    REQUIRE(limiter.try_consume("hot").remaining == 9);
    forget(limiter);
    clock.be_late(4s - 1ms);
    CHECK(limiter.try_consume("hot", 3).remaining == 7);
    clock.be_late(0ms, 0);
    CHECK(limiter.peek("hot").remaining == 7);
}

/// Arrival times of requests that were queued: late by up to the tolerance, in any order.
template <class P>
std::uint64_t admitted_by_late_calls(const P& policy, std::chrono::nanoseconds late_by) {
    const sluice::RateLimiter limiter{policy, sluice::MemoryStore<P>{}};
    std::uint64_t admitted = 0;
    for (int round = 0; round != 50; ++round) {
        for (int i = 0; i != 10; ++i) admitted += limiter.try_consume_at(edge + 5ms, "hot").allowed ? 1U : 0U;
        admitted += limiter.try_consume_at(edge + 5ms - late_by, "hot").allowed ? 1U : 0U;
    }
    return admitted;
}

template <class F>
void for_each_policy_of_ten(F f) {
    f(sluice::TokenBucket{10, sluice::per_second(10)});
    f(sluice::LeakyBucket{10, sluice::per_second(10)});
    f(sluice::FixedWindow{10, 1s});
    f(sluice::FixedWindow{10, 500ms});
    f(sluice::FixedWindow{10, 1us * 100'000'007});  // of no power of two's length
    f(sluice::SlidingWindowCounter{10, 1s});
    f(sluice::SlidingWindowCounter{10, std::chrono::hours{24} * 36'500});  // of two words
    f(sluice::SlidingWindow{10, 1s});
    f(sluice::AllOf{sluice::FixedWindow{10, 1s}, sluice::TokenBucket{1'000, sluice::per_second(1)}});
}

}  // namespace

TEST_CASE("an old reading of the clock admits nothing") {
    keeps_the_present(sluice::TokenBucket{10, sluice::per_second(10)});
    keeps_the_present(sluice::LeakyBucket{10, sluice::per_second(10)});
    keeps_the_present(sluice::FixedWindow{10, 1s});
    keeps_the_present(sluice::FixedWindow{10, 500ms});
    keeps_the_present(sluice::SlidingWindowCounter{10, 1s});
    keeps_the_present(sluice::SlidingWindow{10, 1s});
    keeps_the_present(sluice::AllOf{sluice::FixedWindow{10, 1s}, sluice::TokenBucket{1'000, sluice::per_second(1)}});
}

TEST_CASE("a clock that really went back is believed") {
    const sluice::ManualClock clock{edge + 1h};
    const sluice::RateLimiter limiter{sluice::TokenBucket{10, sluice::per_second(10)},
                                      sluice::MemoryStore<sluice::TokenBucket, sluice::ManualClock>{{}, clock}};
    REQUIRE(limiter.try_consume("hot", 10).allowed);
    clock.set(edge);
    CHECK_FALSE(limiter.try_consume("hot").allowed);
    clock.advance(1s);
    CHECK(limiter.try_consume("hot", 10).allowed);
}

TEST_CASE("a key that is used up stays so, however often a thread is held up") {
    for_each_policy_of_ten([](const auto& policy) {
        stays_used_up(policy);
        stays_used_up(policy, {.wide_fingerprints = true});
    });
}

TEST_CASE(
    "what a thread consumes that was held up does not vanish with a state that was reset, or given back, meanwhile") {
    const auto reset = [](const auto& limiter) { REQUIRE_FALSE(limiter.reset("hot")); };
    const auto refund = [](const auto& limiter) { REQUIRE_FALSE(limiter.refund("hot", 1)); };
    for_each_policy_of_ten([&](const auto& policy) {
        if (policy.quota().window > 1s) return;
        counts_from_now_on(policy, reset);
        counts_from_now_on(policy, reset, {.wide_fingerprints = true});
        // A log is locked before the clock is read: nobody comes in between.
        if constexpr (!sluice::GrowingPolicy<std::remove_cvref_t<decltype(policy)>>) counts_from_now_on(policy, refund);
    });
}

TEST_CASE("late calls admit nothing twice") {
    for (const auto late_by : {10ms, 1'000ms, 4'990ms}) {
        for_each_policy_of_ten([&](const auto& policy) { CHECK(admitted_by_late_calls(policy, late_by) <= 10); });
    }
}

TEST_CASE("a late call finds the state of its time, though others have seen it expire") {
    const sluice::RateLimiter limiter{sluice::FixedWindow{10, 1s},
                                      sluice::MemoryStore<sluice::FixedWindow>{{.max_keys = 64}}};
    REQUIRE(limiter.try_consume_at(edge + 900ms, "hot", 10).allowed);
    for (int i = 0; i != 1'000; ++i) static_cast<void>(limiter.try_consume_at(edge + 1'100ms, std::to_string(i)));
    CHECK_FALSE(limiter.try_consume_at(edge + 950ms, "hot").allowed);
}

TEST_CASE("a wait that is over by the time of the answer is not announced") {
    const HeldUpClock clock;
    using Store = sluice::MemoryStore<sluice::TokenBucket, HeldUpClock>;
    const sluice::RateLimiter limiter{sluice::TokenBucket{1, sluice::per_second(20)}, Store{{}, clock}};
    clock.set(edge);
    REQUIRE(limiter.try_consume("hot").allowed);
    clock.set(edge + 60ms);
    clock.be_late(20ms);  // 10 ms too early, as it was read
    CHECK(limiter.try_consume("hot").allowed);
}

TEST_CASE("a clock that goes back a little finds the states that had expired") {
    const HeldUpClock clock;
    const sluice::RateLimiter limiter{sluice::FixedWindow{10, 1s},
                                      sluice::MemoryStore<sluice::FixedWindow, HeldUpClock>{{.max_keys = 64}, clock}};
    clock.set(edge + 900ms);
    REQUIRE(limiter.try_consume("hot", 10).allowed);
    clock.set(edge + 2s);
    for (int i = 0; i != 1'000; ++i) static_cast<void>(limiter.try_consume(std::to_string(i)));
    clock.set(edge + 950ms);
    CHECK_FALSE(limiter.try_consume("hot").allowed);
}

TEST_CASE("a denial by one of several policies takes nothing from the others, for late calls neither") {
    const sluice::AllOf both{sluice::SlidingWindow{4, 1s}, sluice::FixedWindow{5, 24h}};
    const sluice::RateLimiter limiter{both, sluice::MemoryStore<std::decay_t<decltype(both)>>{}};
    for (const auto time : {0ms, 100ms, 200ms, 300ms}) REQUIRE(limiter.try_consume_at(edge + time, "hot").allowed);
    REQUIRE_FALSE(limiter.try_consume_at(edge + 1'250ms, "hot", 3).allowed);
    CHECK_FALSE(limiter.try_consume_at(edge + 350ms, "hot").allowed);
}
