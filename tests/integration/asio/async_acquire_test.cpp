// SPDX-License-Identifier: MIT

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <asio/bind_cancellation_slot.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>
#include <asio/strand.hpp>
#include <asio/thread_pool.hpp>
#include <asio/use_awaitable.hpp>
#include <asio/use_future.hpp>

#include <sluice/asio.hpp>
#include <sluice/layers/denial_cache.hpp>
#include <sluice/layers/fallback.hpp>
#include <sluice/layers/share.hpp>
#include <sluice/sluice.hpp>

#include "support/catch.hpp"
#include "support/redis_server.hpp"

using namespace std::chrono_literals;
using sluice::AsioRedis;
using sluice::async_acquire;
using sluice::Decision;
using sluice::Errc;
using Clock = std::chrono::steady_clock;

namespace {

const sluice::RedisOptions patient{.timeout = 10s, .max_waiting = 100'000};

/// Units left, or what went wrong.
template <class Limiter>
std::uint64_t remaining(asio::io_context& io, const Limiter& limiter) {
    std::optional<Decision> answer;
    limiter.async_peek("key", 1, [&](Decision decision) { answer = decision; });
    io.restart();
    io.run();
    REQUIRE(answer);
    REQUIRE_FALSE(answer->error);
    return answer->remaining;
}

/// A store that does not mind Request::max_delay.
struct Careless {
    template <sluice::Policy P, class Done>
    void decide_async(const sluice::Request<P>& request, Done done) const noexcept {
        asked->push_back(request.operation);
        Decision decision;
        decision.allowed = true;
        decision.delay = 1h;
        done(decision);
    }
    std::shared_ptr<std::vector<sluice::Operation>> asked = std::make_shared<std::vector<sluice::Operation>>();
};

}  // namespace

TEST_CASE("coroutines wait for units of a bucket in the order of their arrival") {
    RedisServer server;
    asio::io_context io;
    const AsioRedis redis{io, server.url(), patient};
    // One unit each 20 ms; a large cost is not overtaken by small ones.
    const sluice::RateLimiter limiter{sluice::TokenBucket{3, sluice::per_second(50)}, redis, {.name = "line"}};
    std::vector<int> order;
    const std::vector<int> costs{3, 1, 3, 1, 1};
    const auto start = Clock::now();
    for (std::size_t i = 0; i != costs.size(); ++i) {
        asio::co_spawn(
            io,
            [&, i]() -> asio::awaitable<void> {
                const Decision decision = co_await async_acquire(limiter, "key", costs[i], 10s, asio::use_awaitable);
                CHECK(decision.allowed);
                CHECK(decision.delay == 0ns);
                order.push_back(static_cast<int>(i));
            },
            asio::detached);
    }
    io.run();
    CHECK(order == std::vector<int>{0, 1, 2, 3, 4});
    CHECK(Clock::now() - start >= 119ms);  // 9 units, of which 3 were there
}

TEST_CASE("a leaky bucket gives places in its queue, in one call each") {
    RedisServer server;
    asio::io_context io;
    const AsioRedis redis{io, server.url(), patient};
    const sluice::RateLimiter limiter{sluice::LeakyBucket{10, sluice::per_second(50)}, redis, {.name = "queue"}};
    int done = 0;
    const auto start = Clock::now();
    for (int i = 0; i != 6; ++i) {
        async_acquire(limiter, "key", 1, 10s, [&](Decision decision) {
            CHECK(decision.allowed);
            CHECK(decision.delay == 0ns);
            // The nth is not served before the nth place, whoever got which.
            CHECK(Clock::now() - start >= done * 20ms - 1ms);
            ++done;
        });
        // What is asked at once may get its places in any order.
        while (redis.stats().decisions != static_cast<std::uint64_t>(i) + 1) io.run_one();
    }
    io.run();
    CHECK(done == 6);
    CHECK(redis.stats().decisions == 6);
}

TEST_CASE("a wait that cannot end in time is refused at once") {
    RedisServer server;
    asio::io_context io;
    const AsioRedis redis{io, server.url(), patient};
    SECTION("of a bucket") {
        const sluice::RateLimiter limiter{sluice::TokenBucket{1, sluice::per_hour(1)}, redis, {.name = "late"}};
        auto first = async_acquire(limiter, "key", 1, 1min, asio::use_future);
        auto second = async_acquire(limiter, "key", 1, 1min, asio::use_future);
        const auto start = Clock::now();
        io.run();
        CHECK(first.get().allowed);
        const Decision refused = second.get();
        CHECK_FALSE(refused.allowed);
        CHECK_FALSE(refused.error);
        CHECK(refused.retry_after > 30min);
        CHECK(Clock::now() - start < 30s);
    }
    SECTION("behind one that waits, for as long as that") {
        const sluice::RateLimiter limiter{sluice::TokenBucket{1, sluice::per_hour(1)}, redis, {.name = "behind"}};
        CHECK(remaining(io, limiter) == 1);
        asio::cancellation_signal signal;
        std::optional<Decision> refused;
        async_acquire(limiter, "key", 1, 3h, [](Decision) {});
        async_acquire(limiter, "key", 1, 3h, asio::bind_cancellation_slot(signal.slot(), [](Decision) {}));
        async_acquire(limiter, "key", 1, 1s, [&](Decision decision) { refused = decision; });
        io.restart();
        while (!refused) io.run_one();
        CHECK_FALSE(refused->allowed);
        CHECK_FALSE(refused->error);
        CHECK(refused->retry_after > 30min);
        CHECK(refused->retry_after <= 1h);
        signal.emit(asio::cancellation_type::terminal);
        io.run();
    }
    SECTION("of a queue: it costs nothing") {
        const sluice::RateLimiter limiter{sluice::LeakyBucket{10, sluice::per_hour(1)}, redis, {.name = "late"}};
        auto first = async_acquire(limiter, "key", 1, 1s, asio::use_future);
        auto second = async_acquire(limiter, "key", 1, 1s, asio::use_future);
        io.run();
        CHECK(first.get().allowed);
        const Decision refused = second.get();
        CHECK_FALSE(refused.allowed);
        CHECK(refused.retry_after > 30min);
        CHECK(remaining(io, limiter) == 9);
    }
    SECTION("a cost that can never be had, and none at all") {
        const sluice::RateLimiter limiter{sluice::TokenBucket{1, sluice::per_hour(1)}, redis, {.name = "late"}};
        auto never = async_acquire(limiter, "key", 2, 1h, asio::use_future);
        auto nothing = async_acquire(limiter, "key", 0, 1h, asio::use_future);
        auto negative = async_acquire(limiter, "key", -1, 1h, asio::use_future);
        io.run();
        CHECK(never.get().retry_after == Decision::never);
        CHECK(nothing.get().allowed);
        CHECK(negative.get().error == Errc::invalid_argument);
    }
}

TEST_CASE("a place that a store gives behind the deadline goes back") {
    const Careless store;
    const sluice::RateLimiter limiter{sluice::LeakyBucket{10, sluice::per_hour(1)}, store, {.name = "careless"}};
    const Decision refused = async_acquire(limiter, "key", 1, 1s, asio::use_future).get();
    CHECK_FALSE(refused.allowed);
    CHECK(refused.delay == 0ns);
    CHECK(refused.retry_after >= 1h - 1s);
    CHECK(refused.retry_after <= 1h);
    CHECK(*store.asked == std::vector{sluice::Operation::consume, sluice::Operation::refund});
}

TEST_CASE("a signal ends a wait in every state, and what was given goes back") {
    RedisServer server;
    asio::io_context io;
    const AsioRedis redis{io, server.url(), patient};
    asio::cancellation_signal signal;
    std::optional<Decision> heard;
    const auto wait = [&](const auto& limiter) {
        async_acquire(limiter, "key", 1, 3h,
                      asio::bind_cancellation_slot(signal.slot(), [&](Decision decision) { heard = decision; }));
    };
    const auto end = [&] {
        signal.emit(asio::cancellation_type::terminal);
        io.restart();
        io.run();
        REQUIRE(heard);
        CHECK(heard->error == Errc::cancelled);
        CHECK_FALSE(heard->allowed);
    };
    const auto end_while_asked = [&](const auto& limiter) {
        server.freeze();
        wait(limiter);
        io.restart();
        for (int i = 0; i != 10; ++i) io.poll();
        signal.emit(asio::cancellation_type::terminal);
        for (int i = 0; i != 10; ++i) io.poll();
        server.thaw();
        end();
    };
    const sluice::RateLimiter bucket{sluice::TokenBucket{2, sluice::per_hour(1)}, redis, {.name = "bucket"}};
    const sluice::RateLimiter queue{sluice::LeakyBucket{10, sluice::per_hour(1)}, redis, {.name = "queue"}};
    SECTION("before it is asked") {
        wait(bucket);
        end();
        CHECK(remaining(io, bucket) == 2);
    }
    SECTION("while the store is asked") {
        CHECK(remaining(io, bucket) == 2);
        end_while_asked(bucket);
        CHECK(remaining(io, bucket) == 2);
    }
    SECTION("while the store is asked: what a window counted goes back, and nobody else's") {
        using namespace sluice;
        const auto goes_back = [&](const auto& limiter) {
            CHECK(remaining(io, limiter) == 5);
            async_acquire(limiter, "key", 1, 1h, [](Decision decision) { CHECK(decision.allowed); });
            io.restart();
            io.run();
            end_while_asked(limiter);
            CHECK(remaining(io, limiter) == 4);
            heard.reset();
        };
        goes_back(RateLimiter{FixedWindow{5, 24h}, redis, {.name = "fixed"}});
        goes_back(RateLimiter{
            FixedWindow{5, 24h}, Fallback{redis, Share{MemoryStore<FixedWindow>{}, 2}}, {.name = "behind"}});
        goes_back(RateLimiter{FixedWindow{5, 24h}, DenialCache{redis}, {.name = "cached"}});
        goes_back(RateLimiter{SlidingWindow{5, 1h}, redis, {.name = "log"}});
        goes_back(RateLimiter{SlidingWindowCounter{5, 24h}, redis, {.name = "counter"}});
        goes_back(RateLimiter{AllOf{TokenBucket{9, per_hour(1)}, FixedWindow{5, 24h}}, redis, {.name = "both"}});
    }
    SECTION("while it sleeps until it asks again") {
        bool first = false;
        async_acquire(bucket, "key", 2, 1h, [&](Decision decision) { first = decision.allowed; });
        while (!first) io.run_one();
        wait(bucket);
        io.run_for(50ms);
        CHECK_FALSE(heard);
        end();
        CHECK(remaining(io, bucket) == 0);
    }
    SECTION("while it waits in line, and the next goes on") {
        bool first = false;
        async_acquire(bucket, "key", 2, 1h, [&](Decision decision) { first = decision.allowed; });
        while (!first) io.run_one();
        asio::cancellation_signal other;
        int ended = 0;
        async_acquire(bucket, "key", 1, 3h, asio::bind_cancellation_slot(other.slot(), [&](Decision) { ++ended; }));
        wait(bucket);
        io.run_for(20ms);
        signal.emit(asio::cancellation_type::terminal);
        while (!heard) io.run_one();
        CHECK(ended == 0);
        other.emit(asio::cancellation_type::terminal);
        io.run();
        CHECK(ended == 1);
    }
    SECTION("while its delay goes by: its place goes back") {
        bool first = false;
        async_acquire(queue, "key", 1, 1h, [&](Decision decision) { first = decision.allowed; });
        while (!first) io.run_one();
        async_acquire(queue, "key", 1, 2h,
                      asio::bind_cancellation_slot(signal.slot(), [&](Decision decision) { heard = decision; }));
        io.run_for(50ms);
        CHECK_FALSE(heard);
        end();
        CHECK(remaining(io, queue) == 9);
    }
}

TEST_CASE("who finds its units taken by another process asks again") {
    RedisServer server;
    asio::io_context io;
    const AsioRedis redis{io, server.url(), patient};
    const sluice::TokenBucket bucket{1, sluice::per_second(4)};
    const sluice::RateLimiter limiter{bucket, redis, {.name = "rivals"}};
    const sluice::RateLimiter other{bucket, sluice::RedisStore{server.url(), {.timeout = 10s}}, {.name = "rivals"}};
    REQUIRE(other.try_consume("key").allowed);
    std::optional<Decision> served;
    async_acquire(limiter, "key", 1, 1h, [&](Decision decision) { served = decision; });
    for (std::uint64_t asked = 1; asked != 4; ++asked) {
        while (redis.stats().decisions < asked && !served) io.run_one();
        // Nobody runs the loop while the other one takes the unit that was told.
        while (asked != 3 && !served && !other.try_consume("key").allowed) std::this_thread::yield();
    }
    io.run();
    REQUIRE(served);
    CHECK(served->allowed);
    CHECK(served->delay == 0ns);
}

TEST_CASE("waits of two tiers have states and lines of their own") {
    RedisServer server;
    asio::io_context io;
    const AsioRedis redis{io, server.url(), patient};
    const sluice::RateLimiter limiter{sluice::TokenBucket{1, sluice::per_hour(1)}, redis, {.name = "tiers"}};
    const sluice::TokenBucket gold{3, sluice::per_hour(1)};
    std::vector<bool> allowed;
    for (int i = 0; i != 4; ++i)
        async_acquire(limiter, "key", 1, 1s, gold, [&](Decision decision) { allowed.push_back(decision.allowed); });
    auto standard = async_acquire(limiter, "key", 1, 1s, asio::use_future);
    auto never = async_acquire(limiter, "key", 2, 1s, asio::use_future);
    io.run();
    CHECK(allowed == std::vector<bool>{true, true, true, false});
    CHECK(standard.get().allowed);
    CHECK(never.get().retry_after == Decision::never);
}

TEST_CASE("a store that fails ends all waits for the key as the failure mode says") {
    RedisServer server;
    asio::io_context io;
    const AsioRedis redis{io, server.url(), patient};
    const sluice::RateLimiter limiter{sluice::TokenBucket{1, sluice::per_second(20)},
                                      redis,
                                      {.name = "fails", .on_failure = sluice::FailureMode::deny}};
    std::vector<Decision> heard;
    for (int i = 0; i != 5; ++i)
        async_acquire(limiter, "key", 1, 1h, [&](Decision decision) { heard.push_back(decision); });
    while (heard.empty()) io.run_one();
    server.kill();
    io.run();
    REQUIRE(heard.size() == 5);
    CHECK(heard.front().allowed);
    CHECK_FALSE(heard.back().allowed);
    CHECK(sluice::is_failure(heard.back().error));
}

TEST_CASE("an io_context that ends takes its waits with it, and out of the line") {
    RedisServer server;
    const auto alive = std::make_shared<int>(0);
    std::optional<asio::io_context> io{std::in_place};
    {
        const AsioRedis redis{*io, server.url(), patient};
        const sluice::RateLimiter limiter{sluice::TokenBucket{1, sluice::per_hour(1)}, redis, {.name = "ends"}};
        for (int i = 0; i != 3; ++i) async_acquire(limiter, "key", 1, 2h, [alive](Decision) {});
        io->run_for(50ms);
    }
    CHECK(alive.use_count() == 3);
    io.reset();
    CHECK(alive.use_count() == 1);
}

TEST_CASE("several threads run the loop of those who wait: the rate is kept, and all are served") {
    RedisServer server;
    asio::thread_pool pool{3};
    std::optional<AsioRedis> redis{std::in_place, asio::make_strand(pool), server.url(), patient};
    std::optional limiter{
        sluice::RateLimiter{sluice::TokenBucket{5, sluice::per_second(200)}, *redis, {.name = "threads"}}};
    std::atomic<int> allowed{0};
    const auto start = Clock::now();
    for (int i = 0; i != 45; ++i) {
        asio::co_spawn(
            pool,
            [&]() -> asio::awaitable<void> {
                allowed += (co_await async_acquire(*limiter, "key", 1, 20s, asio::use_awaitable)).allowed ? 1 : 0;
            },
            asio::detached);
    }
    pool.join();
    CHECK(allowed == 45);
    CHECK(Clock::now() - start >= 199ms);
    // The first asks for all: few calls beside those that are served.
    CHECK(redis->stats().decisions <= 45 * 2);
}
