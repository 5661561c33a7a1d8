// SPDX-License-Identifier: MIT
//
// acquire(): by a manual clock, so that who is served when is told exactly.
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include <sluice/sluice.hpp>

#include "support/catch.hpp"
#include "support/failing_store.hpp"

using namespace std::chrono_literals;
using sluice::Errc;
using Bucket = sluice::TokenBucket;
using Leaky = sluice::LeakyBucket;

namespace {

template <class P>
using Memory = sluice::MemoryStore<P, sluice::ManualClock>;

template <class P>
auto limiter_of(const P& policy, const sluice::ManualClock& clock, sluice::LimiterOptions options = {}) {
    return sluice::RateLimiter{policy, Memory<P>{{}, clock}, std::move(options)};
}

/// Threads that wait, in the order in which they came, and who was served.
class Crowd {
public:
    explicit Crowd(sluice::ManualClock clock) : clock_(std::move(clock)) {}
    ~Crowd() {
        for (std::thread& thread : threads_) thread.join();
    }

    /// Returns when the new one waits.
    template <class L>
    void add(const L& limiter, std::uint64_t cost, std::chrono::nanoseconds max_wait, std::stop_token stop = {}) {
        const int number = static_cast<int>(threads_.size());
        threads_.emplace_back([&, number, cost, max_wait, stop] {
            const auto waited = limiter.acquire("key", cost, max_wait, stop);
            const std::lock_guard lock{mutex_};
            (waited.decision.allowed ? served_ : denied_).push_back(number);
            last_ = waited;
        });
        settle();
    }
    /// Moves the clock, and waits until all have acted.
    void advance(std::chrono::nanoseconds by, int ended_then) {
        clock_.advance(by);
        while (ended() < ended_then) std::this_thread::yield();
        settle();
    }
    /// Until all wait, but those that have ended.
    void settle() const {
        while (clock_.waiting() + ended() != static_cast<int>(threads_.size())) std::this_thread::yield();
    }
    void wait_for_end(int count) const {
        while (ended() != count) std::this_thread::yield();
    }
    int ended() const {
        const std::lock_guard lock{mutex_};
        return static_cast<int>(served_.size() + denied_.size());
    }
    std::vector<int> served() const {
        const std::lock_guard lock{mutex_};
        return served_;
    }
    std::vector<int> denied() const {
        const std::lock_guard lock{mutex_};
        return denied_;
    }
    sluice::Waited last() const {
        const std::lock_guard lock{mutex_};
        return last_;
    }

private:
    sluice::ManualClock clock_;
    mutable std::mutex mutex_;
    std::vector<int> served_, denied_;
    sluice::Waited last_;
    std::vector<std::thread> threads_;
};

/// Not of this process, as far as limiters know; counts what it is asked.
template <class S>
struct Distant {
    S store;
    std::shared_ptr<std::atomic<int>> calls = std::make_shared<std::atomic<int>>(0);

    template <sluice::Policy P>
    sluice::Decision decide(const sluice::Request<P>& request) const noexcept {
        ++*calls;
        return store.decide(request);
    }
    template <sluice::Policy P>
    sluice::Consumption consume(const sluice::Request<P>& request) const noexcept {
        ++*calls;
        return store.consume(request);
    }
    const auto& clock() const noexcept { return store.clock(); }
};

/// A store with nothing but the one required operation.
template <class S>
struct Plain {
    S store;
    template <sluice::Policy P>
    sluice::Decision decide(const sluice::Request<P>& request) const noexcept {
        return store.decide(request);
    }
    const auto& clock() const noexcept { return store.clock(); }
};

/// Denies so many times, telling to come again in a second, and then allows; counts how often it was asked.
struct Denying {
    sluice::ManualClock told;
    int denials;
    std::shared_ptr<std::atomic<int>> asked = std::make_shared<std::atomic<int>>(0);

    template <sluice::Policy P>
    sluice::Decision decide(const sluice::Request<P>&) const noexcept {
        sluice::Decision decision{.allowed = ++*asked > denials};
        if (!decision.allowed) decision.retry_after = 1s;
        return decision;
    }
    const auto& clock() const noexcept { return told; }
};

}  // namespace

TEST_CASE("acquire returns at once where the units are there, and waits exactly as long as they take") {
    const sluice::ManualClock clock;
    const auto limiter = limiter_of(Bucket{2, sluice::per_second(1)}, clock);
    const auto first = limiter.acquire("key", 2, 0s);
    CHECK(first);
    CHECK(first.waited == 0ns);
    Crowd crowd{clock};
    crowd.add(limiter, 2, 2s);
    crowd.advance(2s - 1ns, 0);
    CHECK(crowd.ended() == 0);
    crowd.advance(1ns, 1);
    CHECK(crowd.served() == std::vector{0});
    CHECK(crowd.last().waited == 2s);
    CHECK(crowd.last().decision.remaining == 0);
}

TEST_CASE("a wait that cannot end in time is refused at once and costs nothing") {
    const sluice::ManualClock clock;
    const auto check = [&](const auto& policy) {
        const auto limiter = limiter_of(policy, clock);
        CHECK(limiter.try_consume("key", 2));
        const auto before = limiter.peek("key");
        const auto refused = limiter.acquire("key", 2, 999ms);
        CHECK_FALSE(refused);
        CHECK(refused.waited == 0ns);
        CHECK_FALSE(refused.decision.error);
        CHECK(refused.decision.retry_after > 0ns);
        CHECK(limiter.peek("key") == before);
        CHECK(limiter.acquire("key", 3, 1h).decision.retry_after == sluice::Decision::never);
        CHECK(limiter.acquire("key", 0, 0s));
        CHECK(limiter.acquire("key", -1, 1h).decision.error == Errc::invalid_argument);
        CHECK(limiter.acquire("other key", 1, -1s));
        CHECK(limiter.peek("key") == before);
    };
    check(Bucket{2, sluice::per_second(1)});
    check(Leaky{2, sluice::per_second(1)});
    check(sluice::FixedWindow{2, 10s});
    check(sluice::SlidingWindow{2, 10s});
    check(sluice::SlidingWindowCounter{2, 10s});
    check(sluice::AllOf{Bucket{2, sluice::per_second(1)}, sluice::FixedWindow{2, 10s}});
}

TEST_CASE("callers are served in the order of arrival, and a large cost is not starved") {
    const sluice::ManualClock clock;
    const auto limiter = limiter_of(Bucket{5, sluice::per_second(1)}, clock);
    REQUIRE(limiter.try_consume("key", 5));
    Crowd crowd{clock};
    crowd.add(limiter, 1, 1h);
    crowd.add(limiter, 5, 1h);
    for (int i = 0; i != 4; ++i) crowd.add(limiter, 1, 1h);
    crowd.advance(1s, 1);
    CHECK(crowd.served() == std::vector{0});
    crowd.advance(4s, 1);
    CHECK(crowd.served() == std::vector{0});
    crowd.advance(1s, 2);
    CHECK(crowd.served() == std::vector{0, 1});
    for (int served = 3; served <= 5; ++served) crowd.advance(1s, served);
    CHECK(crowd.served() == std::vector{0, 1, 2, 3, 4});
    crowd.add(limiter, 1, 1h);
    crowd.advance(10s, 7);  // both at once
}

TEST_CASE("many who wait are served at exactly the policy's rate") {
    constexpr int waiters = 40;
    const sluice::ManualClock clock;
    const auto limiter = limiter_of(Bucket{1, sluice::per_second(1)}, clock);
    REQUIRE(limiter.try_consume("key"));
    Crowd crowd{clock};
    for (int i = 0; i != waiters; ++i) crowd.add(limiter, 1, 1h);
    for (int second = 1; second <= waiters; ++second) {
        crowd.advance(999ms, second - 1);
        REQUIRE(crowd.ended() == second - 1);
        crowd.advance(1ms, second);
        REQUIRE(crowd.served().size() == static_cast<std::size_t>(second));
    }
}

TEST_CASE("who stands behind others and cannot be served in time is refused at once") {
    const sluice::ManualClock clock;
    const auto limiter = limiter_of(Bucket{5, sluice::per_second(1)}, clock);
    REQUIRE(limiter.try_consume("key", 5));
    Crowd crowd{clock};
    crowd.add(limiter, 2, 2s);
    const auto refused = limiter.acquire("key", 2, 4s - 1ns);
    CHECK_FALSE(refused);
    CHECK(refused.waited == 0ns);
    crowd.add(limiter, 2, 4s);
    // Somebody who does not wait takes what the first needs: it cannot be in time any more, and the next goes on.
    clock.set(1s);
    REQUIRE(limiter.try_consume("key"));
    crowd.advance(1s, 1);
    CHECK(crowd.denied() == std::vector{0});
    crowd.advance(1s, 2);
    CHECK(crowd.served() == std::vector{1});
}

TEST_CASE("those behind the first leave as soon as it learns that they cannot be served in time") {
    const sluice::ManualClock clock;
    const auto limiter = limiter_of(Bucket{5, sluice::per_second(1)}, clock);
    REQUIRE(limiter.try_consume("key", 5));
    Crowd crowd{clock};
    crowd.add(limiter, 2, 1h);
    crowd.add(limiter, 1, 3s);
    clock.set(1s);
    REQUIRE(limiter.try_consume("key"));
    clock.set(2s);  // the first is told to wait until 3 s, which the second could still take
    crowd.settle();
    CHECK(crowd.ended() == 0);
    REQUIRE(limiter.try_consume("key"));
    crowd.advance(1s, 1);
    CHECK(crowd.denied() == std::vector{1});
    CHECK(crowd.last().waited == 3s);
    crowd.advance(1s, 2);
    CHECK(crowd.served() == std::vector{0});
}

TEST_CASE("a leaky bucket gives each its place, in one call") {
    const sluice::ManualClock clock;
    const Distant<Memory<Leaky>> store{Memory<Leaky>{{}, clock}};
    const sluice::RateLimiter limiter{Leaky{4, sluice::per_second(2)}, store};
    Crowd crowd{clock};
    CHECK(limiter.acquire("key", 1, 0s));
    for (int i = 0; i != 3; ++i) crowd.add(limiter, 1, 10s);
    CHECK(*store.calls == 4);
    CHECK(limiter.acquire("key", 1, 10s).decision.retry_after == 500ms);  // the queue is full
    const sluice::RateLimiter impatient{Leaky{4, sluice::per_second(2)}, store};
    CHECK_FALSE(impatient.acquire("key", 1, 1s));
    CHECK(*store.calls == 6);
    for (int i = 1; i <= 3; ++i) {
        crowd.advance(499ms, i - 1);
        CHECK(crowd.ended() == i - 1);
        crowd.advance(1ms, i);
        CHECK(crowd.last().waited == i * 500ms);
        CHECK(crowd.last().decision.delay == 0ns);
    }
    CHECK(crowd.served() == std::vector{0, 1, 2});
    CHECK(*store.calls == 6);
}

TEST_CASE("a stop token ends a wait, and what was reserved goes back") {
    const sluice::ManualClock clock;
    std::stop_source stop;
    const auto queue = limiter_of(Leaky{4, sluice::per_second(1)}, clock);
    const auto bucket = limiter_of(Bucket{1, sluice::per_second(1)}, clock);
    REQUIRE(queue.try_consume("key", 2));
    REQUIRE(bucket.try_consume("key"));
    Crowd crowd{clock};
    crowd.add(queue, 1, 1h, stop.get_token());
    CHECK(queue.peek("key").remaining == 1);
    crowd.add(bucket, 1, 1h, stop.get_token());
    crowd.add(bucket, 1, 1h, stop.get_token());
    crowd.add(bucket, 1, 1h);
    stop.request_stop();
    crowd.wait_for_end(3);
    CHECK(crowd.denied().size() == 3);
    CHECK(crowd.last().decision.error == Errc::cancelled);
    CHECK(queue.peek("key").remaining == 2);
    crowd.advance(1s, 4);
    CHECK(crowd.served() == std::vector{3});
    const auto late = bucket.acquire("new key", 1, 1s, stop.get_token());
    CHECK(late.decision.error == Errc::cancelled);
    CHECK(bucket.peek("new key").remaining == 1);
}

TEST_CASE("a tier waits for itself, and a limiter's copies wait together") {
    const sluice::ManualClock clock;
    const auto limiter = limiter_of(Bucket{1, sluice::per_second(1)}, clock);
    const Bucket tier{1, sluice::per_second(2)};
    const auto copy = limiter;
    REQUIRE(limiter.try_consume("key"));
    Crowd crowd{clock};
    crowd.add(limiter, 1, 1h);
    crowd.add(copy, 1, 1h);
    const sluice::AnyLimiter erased{limiter};
    crowd.add(erased, 1, 1h);
    CHECK(limiter.acquire("key", 1, 0s, tier));
    CHECK_FALSE(limiter.acquire("key", 1, 499ms, tier));
    for (int i = 1; i <= 3; ++i) crowd.advance(1s, i);
    CHECK(crowd.served() == std::vector{0, 1, 2});
}

TEST_CASE("limits of several kinds wait for all, and for their place") {
    const sluice::ManualClock clock;
    const sluice::AllOf policy{Leaky{10, sluice::per_second(1)}, sluice::FixedWindow{3, 10s}};
    const auto limiter = limiter_of(policy, clock);
    CHECK(limiter.acquire("key", 1, 0s));
    CHECK_FALSE(limiter.acquire("key", 1, 999ms));
    Crowd crowd{clock};
    crowd.add(limiter, 1, 1s);
    crowd.advance(1s, 1);
    CHECK(crowd.last().waited == 1s);
    crowd.add(limiter, 1, 1s);
    crowd.advance(1s, 2);
    CHECK_FALSE(limiter.acquire("key", 1, 7s));  // the window ends at 10 s
    crowd.add(limiter, 1, 8s);
    crowd.advance(8s, 3);
    CHECK(crowd.served() == std::vector{0, 1, 2});
}

TEST_CASE("a store that knows no greatest delay is asked, and what takes too long given back") {
    const sluice::ManualClock clock;
    const Plain<Memory<Leaky>> store{Memory<Leaky>{{}, clock}};
    const sluice::RateLimiter limiter{Leaky{4, sluice::per_second(1)}, store};
    CHECK(limiter.acquire("key", 2, 0s));
    const auto refused = limiter.acquire("key", 1, 1999ms);
    CHECK_FALSE(refused);
    CHECK(refused.decision.retry_after == 1ms);
    CHECK(limiter.peek("key").remaining == 2);
    Crowd crowd{clock};
    crowd.add(limiter, 1, 2s);
    crowd.advance(2s, 1);
    CHECK(crowd.last().waited == 2s);
}

TEST_CASE("those who wait cost a distant store about one call each") {
    constexpr int waiters = 100;
    const auto run = [&](const auto& policy, const auto& step) {
        using P = std::decay_t<decltype(policy)>;
        const sluice::ManualClock clock;
        const Distant<Memory<P>> store{Memory<P>{{}, clock}};
        const sluice::RateLimiter limiter{policy, store};
        REQUIRE(limiter.try_consume("key", policy.quota().limit));
        *store.calls = 0;
        Crowd crowd{clock};
        for (int i = 0; i != waiters; ++i) crowd.add(limiter, 1, 1h);
        while (crowd.ended() != waiters) {
            clock.advance(step);
            crowd.settle();
        }
        CHECK(crowd.served().size() == waiters);
        CHECK(*store.calls <= waiters * 11 / 10);
    };
    run(Bucket{10, sluice::per_second(10)}, 10ms);
    run(Bucket{1, sluice::per_second(10)}, 10ms);
    run(sluice::FixedWindow{20, 1s}, 10ms);
}

TEST_CASE("who stands behind one that waits to ask a distant store waits no longer than it may") {
    const sluice::ManualClock clock;
    const Distant<Memory<Bucket>> store{Memory<Bucket>{{}, clock}};
    const sluice::RateLimiter limiter{Bucket{1, sluice::per_hour(1)}, store};
    REQUIRE(limiter.try_consume("key"));
    Crowd crowd{clock};
    crowd.add(limiter, 1, 3h);
    crowd.add(limiter, 1, 3h);
    crowd.add(limiter, 1, 1h + 1s);
    crowd.advance(1h, 2);  // the first is served, and the second asks in an hour
    CHECK(crowd.served() == std::vector{0});
    CHECK(crowd.denied() == std::vector{2});
    CHECK_FALSE(crowd.last().decision.error);
    CHECK(crowd.last().waited == 1h);
    const int asked = *store.calls;
    const auto late = limiter.acquire("key", 1, 1h - 1s);
    CHECK_FALSE(late);
    CHECK(late.waited == 0s);
    CHECK(late.decision.limit == 1);
    CHECK(late.decision.retry_after == 1h);
    CHECK(*store.calls == asked);
    crowd.advance(1h, 3);
    CHECK(crowd.served() == std::vector{0, 1});
}

TEST_CASE("who is denied after a wait as told comes again within a quarter more") {
    for (int round = 0; round != 10; ++round) {
        const sluice::ManualClock clock;
        const Denying store{clock, 3};
        const sluice::RateLimiter limiter{Bucket{1, sluice::per_second(1)}, store};
        Crowd crowd{clock};
        crowd.add(limiter, 1, 1h);
        const auto is_asked = [&](int times) {
            const auto deadline = std::chrono::steady_clock::now() + 30s;
            while (store.asked->load() < times && std::chrono::steady_clock::now() < deadline)
                std::this_thread::yield();
            return store.asked->load() == times;
        };
        clock.advance(1s);
        bool is_in_time = is_asked(2);
        for (const int times : {3, 4}) {
            crowd.settle();
            clock.advance(1s - 1ns);
            crowd.settle();
            CHECK(store.asked->load() == times - 1);
            clock.advance(250ms + 1ns);
            is_in_time = is_in_time && is_asked(times);
        }
        CHECK(is_in_time);
        if (!is_in_time) clock.advance(1h);
    }
}

TEST_CASE("when the store fails, all waits end with what the failure mode says") {
    const Memory<Bucket> memory;
    for (const auto mode : {sluice::FailureMode::allow, sluice::FailureMode::deny}) {
        const FailingStore store{sluice::MemoryStore<Bucket>{}};
        const sluice::RateLimiter limiter{Bucket{1, sluice::per_second(2)}, store, {.on_failure = mode}};
        REQUIRE(limiter.try_consume("key"));
        std::vector<std::thread> threads;
        std::atomic<int> allowed{0};
        std::atomic<int> failed{0};
        for (int i = 0; i != 5; ++i) {
            threads.emplace_back([&] {
                const auto waited = limiter.acquire("key", 1, 1h);
                allowed += waited ? 1 : 0;
                failed += waited.decision.error == Errc::timeout ? 1 : 0;
            });
        }
        while (store.calls() < 2) std::this_thread::yield();  // the first has been told to wait
        store.fail(Errc::timeout);
        for (std::thread& thread : threads) thread.join();
        CHECK(failed == 5);
        CHECK(allowed == (mode == sluice::FailureMode::allow ? 5 : 0));
    }
}

TEST_CASE("a real clock is waited for, too") {
    const sluice::RateLimiter bucket{Bucket{1, sluice::per_second(50)}};
    const sluice::RateLimiter queue{Leaky{10, sluice::per_second(50)}};
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i != 4; ++i) {
        CHECK(bucket.acquire("key", 1, 10s));
        CHECK(queue.acquire("key", 1, 10s));
    }
    CHECK(std::chrono::steady_clock::now() - start >= 59ms);
}

TEST_CASE("an observer hears of a wait once") {
    struct Counter final : sluice::Observer {
        void on_decision(const sluice::DecisionEvent& event) override {
            (event.decision.allowed ? allowed : denied) += 1;
        }
        std::atomic<int> allowed{0}, denied{0};
    };
    const auto counter = std::make_shared<Counter>();
    const sluice::ManualClock clock;
    const auto limiter = limiter_of(Bucket{1, sluice::per_second(1)}, clock, {.observer = counter});
    CHECK(limiter.acquire("key", 1, 0s));
    CHECK_FALSE(limiter.acquire("key", 1, 0s));
    Crowd crowd{clock};
    crowd.add(limiter, 1, 1s);
    crowd.advance(1s, 1);
    CHECK(counter->allowed == 2);
    CHECK(counter->denied == 1);
}

TEST_CASE("no more wait for a key than a line takes") {
    using namespace sluice::detail::waiting;
    const Room::Key key{1, 2, "no more wait for a key than a line takes"};
    Room& room = Room::of(key);
    std::vector<Waiter> waiters(Line::max_waiters + 1);
    const auto no_hint = [](std::uint64_t) { return 0ns; };
    for (Waiter& waiter : waiters) room.enter(key, waiter);
    CHECK(waiters.front().turn == Turn::first);
    CHECK(waiters[1].turn == Turn::waiting);
    CHECK(waiters.back().turn == Turn::full);
    room.leave(key, waiters.back(), {}, no_hint);
    room.leave(key, waiters[1], {}, no_hint);
    room.leave(key, waiters[0], {}, no_hint);
    CHECK(waiters[2].turn == Turn::first);
    for (std::size_t i = 2; i != Line::max_waiters; ++i) {
        CHECK(waiters[i].turn == Turn::first);
        room.leave(key, waiters[i], {}, no_hint);
    }
    Waiter later;
    CHECK(room.enter(key, later) == 0);
    CHECK(later.turn == Turn::first);
    room.leave(key, later, {}, no_hint);
}
