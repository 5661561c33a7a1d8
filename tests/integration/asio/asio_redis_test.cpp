// SPDX-License-Identifier: MIT

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <future>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <asio/bind_cancellation_slot.hpp>
#include <asio/bind_executor.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/experimental/awaitable_operators.hpp>
#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>
#include <asio/strand.hpp>
#include <asio/thread_pool.hpp>
#include <asio/use_awaitable.hpp>
#include <asio/use_future.hpp>

#include <sluice/asio.hpp>
#include <sluice/layers/fallback.hpp>
#include <sluice/layers/share.hpp>
#include <sluice/redis/wire/key.hpp>
#include <sluice/redis/wire/slot.hpp>
#include <sluice/sluice.hpp>

#include "support/catch.hpp"
#include "support/deferred.hpp"
#include "support/fake_server.hpp"
#include "support/redis_cluster.hpp"
#include "support/redis_server.hpp"

using namespace std::chrono_literals;
using sluice::AsioRedis;
using sluice::async_acquire;
using sluice::async_try_consume;
using sluice::Decision;
using sluice::Errc;

namespace {

const sluice::RedisOptions patient{.timeout = 10s, .max_waiting = 100'000};
using Limiter = sluice::RateLimiter<sluice::TokenBucket, AsioRedis>;

Limiter limiter_on(const AsioRedis& redis, int capacity = 1'000) {
    return Limiter{sluice::TokenBucket{capacity, sluice::per_hour(1)}, redis, {.name = "asio"}};
}

asio::awaitable<Decision> ask(const Limiter& limiter, std::string key) {
    co_return co_await async_try_consume(limiter, key, 1, asio::use_awaitable);
}

struct {
    int times = 0;
    int live = 0;
} allocated;

template <class T>
struct CountingAllocator {
    using value_type = T;
    CountingAllocator() = default;
    template <class U>
    CountingAllocator(const CountingAllocator<U>&) {}
    T* allocate(std::size_t n) {
        ++allocated.times;
        ++allocated.live;
        return std::allocator<T>{}.allocate(n);
    }
    void deallocate(T* memory, std::size_t n) {
        --allocated.live;
        std::allocator<T>{}.deallocate(memory, n);
    }
    bool operator==(const CountingAllocator&) const { return true; }
};

struct CountedHandler {
    using allocator_type = CountingAllocator<char>;
    allocator_type get_allocator() const noexcept { return {}; }
    int* live_when_called;
    void operator()(Decision) const { *live_when_called = allocated.live; }
};

}  // namespace

TEST_CASE("all completion tokens are told the decision") {
    RedisServer server;
    asio::io_context io;
    const AsioRedis redis{io, server.url(), patient};
    const Limiter limiter = limiter_on(redis);
    SECTION("a callback, on the associated executor") {
        asio::thread_pool pool{1};
        std::promise<std::thread::id> heard;
        async_try_consume(limiter, "key", 1, asio::bind_executor(pool, [&](Decision decision) {
                              CHECK(decision.remaining == 999);
                              heard.set_value(std::this_thread::get_id());
                          }));
        io.run();
        CHECK(heard.get_future().get() != std::this_thread::get_id());
    }
    SECTION("a callback without one, on the store's") {
        std::optional<Decision> heard;
        async_try_consume(limiter, "key", 1, [&](Decision decision) { heard = decision; });
        CHECK_FALSE(heard);
        io.run();
        REQUIRE(heard);
        CHECK(heard->remaining == 999);
    }
    SECTION("a future") {
        auto future = async_try_consume(limiter, "key", 2, asio::use_future);
        io.run();
        CHECK(future.get().remaining == 998);
    }
    SECTION("an operation that begins when it is called, with a key that was given away and a wait") {
        std::string key = "a key that is longer than a short string's memory";
        auto call = async_try_consume(limiter, std::move(key), 1, deferred_token);
        auto wait = async_acquire(limiter, "key", 3, 1s, deferred_token);
        io.run();
        CHECK(redis.stats().decisions == 0);
        std::vector<std::uint64_t> heard;
        std::move(call)([&](Decision decision) { heard.push_back(decision.remaining); });
        io.restart();
        io.run();
        std::move(wait)([&](Decision decision) { heard.push_back(decision.remaining); });
        io.restart();
        io.run();
        CHECK(heard == std::vector<std::uint64_t>{999, 997});
    }
    SECTION("a coroutine that begins late, with a key that was given away and a tier") {
        const sluice::TokenBucket tier{5, sluice::per_hour(1)};
        std::string key = "a key that is longer than a short string's memory";
        auto first = async_try_consume(limiter, std::move(key), 1, tier, asio::use_awaitable);
        auto future = asio::co_spawn(io, std::move(first), asio::use_future);
        io.run();
        CHECK(future.get().remaining == 4);
    }
}

TEST_CASE("what is asked on an idle client does not keep run() from returning") {
    RedisServer server;
    asio::io_context io;
    const AsioRedis redis{io, server.tcp_url(), {.timeout = 60s}};
    const Limiter limiter = limiter_on(redis);
    for (int i = 0; i != 3; ++i) {
        auto future = asio::co_spawn(io, ask(limiter, "key"), asio::use_future);
        const auto start = std::chrono::steady_clock::now();
        io.restart();
        io.run();
        CHECK(std::chrono::steady_clock::now() - start < 30s);
        CHECK(future.get().remaining == 999U - static_cast<unsigned>(i));
    }
    CHECK(redis.stats().dials == 1);
}

TEST_CASE("10,000 coroutines on one loop are admitted exactly") {
    RedisServer server;
    asio::io_context io;
    const AsioRedis redis{io, server.url(), patient};
    const Limiter limiter = limiter_on(redis, 5'000);
    int allowed = 0;
    int failed = 0;
    for (int i = 0; i != 10'000; ++i) {
        asio::co_spawn(
            io,
            [&]() -> asio::awaitable<void> {
                const Decision decision = co_await ask(limiter, "key");
                allowed += decision.allowed ? 1 : 0;
                failed += decision.error ? 1 : 0;
            },
            asio::detached);
    }
    io.run();
    CHECK(allowed == 5'000);
    CHECK(failed == 0);
    CHECK(redis.stats().round_trips < 100);
}

TEST_CASE("coroutines ask all masters of a cluster at once, and find what has moved") {
    RedisCluster cluster{3};
    asio::io_context io;
    const AsioRedis redis{io, cluster.url(), patient};
    const Limiter limiter = limiter_on(redis);
    const auto ask_all = [&](std::uint64_t expected) {
        int answered = 0;
        for (int i = 0; i != 300; ++i) {
            asio::co_spawn(
                io,
                [&, i]() -> asio::awaitable<void> {
                    const Decision decision = co_await ask(limiter, "key" + std::to_string(i));
                    CHECK(decision.remaining == expected);
                    ++answered;
                },
                asio::detached);
        }
        io.restart();
        io.run();
        CHECK(answered == 300);
    };
    ask_all(999);
    ask_all(998);
    CHECK(redis.stats().nodes.size() == 3);
    CHECK(redis.stats().connections >= 3);
    CHECK(redis.stats().map_requests == 1);
    const auto slot = sluice::detail::redis::slot_of(
        sluice::detail::redis::key_prefix("sluice", "asio", sluice::Scope{"asio", limiter.policy()}.id, false) +
        "key7");
    const auto owner = slot * std::size_t{3} / sluice::detail::redis::slot_count;
    cluster.move(slot, owner, (owner + 1) % 3);
    ask_all(997);
    const auto redirections = redis.stats().redirections;
    CHECK(redirections >= 1);
    ask_all(996);
    CHECK(redis.stats().redirections == redirections);
    CHECK(redis.stats().failures == 0);
}

TEST_CASE("several threads ask a client on a strand, and are admitted exactly") {
    RedisServer server;
    asio::thread_pool pool{4};
    std::optional<AsioRedis> redis{std::in_place, asio::make_strand(pool), server.url(), patient};
    std::optional<Limiter> limiter{limiter_on(*redis, 500)};
    std::atomic<int> allowed{0}, answered{0};
    for (int i = 0; i != 50; ++i) {
        asio::co_spawn(
            pool,
            [&]() -> asio::awaitable<void> {
                for (int k = 0; k != 20; ++k) {
                    allowed += (co_await ask(*limiter, "key")).allowed ? 1 : 0;
                    ++answered;
                }
            },
            asio::detached);
    }
    pool.join();
    CHECK(answered == 1'000);
    CHECK(allowed == 500);
}

TEST_CASE("a signal of the cancellation slot ends a call in every state") {
    RedisServer server;
    asio::io_context io;
    const AsioRedis redis{io, server.url(), patient};
    const Limiter limiter = limiter_on(redis);
    asio::cancellation_signal signal;
    std::vector<std::error_code> heard;
    const auto ask_once = [&] {
        async_try_consume(limiter, "key", 1, asio::bind_cancellation_slot(signal.slot(), [&](Decision decision) {
                              heard.push_back(decision.error);
                          }));
    };
    const auto peek = [&] {
        std::optional<Decision> answer;
        limiter.async_peek("key", 1, [&](Decision decision) { answer = decision; });
        io.restart();
        io.run();
        return answer->remaining;
    };
    SECTION("before it is sent: it costs nothing") {
        ask_once();
        signal.emit(asio::cancellation_type::total);
        io.run();
        REQUIRE(heard.size() == 1);
        CHECK(heard[0] == Errc::cancelled);
        CHECK(peek() == 1'000);
    }
    SECTION("while the server answers") {
        static_cast<void>(peek());  // dials
        server.freeze();
        ask_once();
        io.restart();
        io.poll();
        io.poll();
        signal.emit(asio::cancellation_type::terminal);
        while (heard.empty()) io.poll();
        CHECK(heard[0] == Errc::cancelled);
        server.thaw();
        CHECK(peek() == 999);
    }
    SECTION("after the answer: it is heard once") {
        ask_once();
        io.run();
        signal.emit(asio::cancellation_type::terminal);
        io.restart();
        io.run();
        CHECK(heard == std::vector{std::error_code{}});
    }
}

TEST_CASE("a timer beside it cancels a call") {
    using namespace asio::experimental::awaitable_operators;
    FakeServer server{[](const FakePeer& peer) { peer.fall_silent(); }};
    asio::io_context io;
    const AsioRedis redis{io, server.url(), {.timeout = 60s}};
    const Limiter limiter = limiter_on(redis);
    auto first = asio::co_spawn(
        io,
        [&]() -> asio::awaitable<std::size_t> {
            asio::steady_timer timer{io, 20ms};
            co_return (co_await (ask(limiter, "key") || timer.async_wait(asio::use_awaitable))).index();
        },
        asio::use_future);
    while (first.wait_for(0s) != std::future_status::ready) io.run_one_for(1s);
    CHECK(first.get() == 1);
    redis.cancel();  // what the server never answers
    io.run();
}

TEST_CASE("the last handle's end and cancel() complete what waits") {
    FakeServer server{[](const FakePeer& peer) { peer.fall_silent(); }};
    asio::io_context io;
    std::optional<AsioRedis> redis{std::in_place, io, server.url(), patient};
    std::optional<Limiter> limiter{limiter_on(*redis)};
    std::vector<std::error_code> heard;
    const auto done = [&](Decision decision) { heard.push_back(decision.error); };
    async_try_consume(*limiter, "sent", 1, done);
    while (redis->stats().connections == 0) io.run_one();
    async_try_consume(*limiter, "waiting", 1, done);
    SECTION("the last handle's end, on another thread") {
        redis.reset();
        std::thread{[&] { limiter.reset(); }}.join();
        io.run();
    }
    SECTION("cancel(), on another thread") {
        std::thread{[&] { redis->cancel(); }}.join();
        io.run();
    }
    CHECK(heard == std::vector<std::error_code>(2, Errc::cancelled));
}

TEST_CASE("an io_context that ends takes what waits with it") {
    FakeServer server{[](const FakePeer& peer) { peer.fall_silent(); }};
    const auto alive = std::make_shared<int>(0);
    {
        asio::io_context io;
        const AsioRedis redis{io, server.url(), patient};
        const Limiter limiter = limiter_on(redis);
        for (int i = 0; i != 3; ++i) {
            async_try_consume(limiter, "key", 1, [alive](Decision) { FAIL("nobody is there to hear it"); });
            io.poll();
        }
        asio::co_spawn(
            io, [&, alive]() -> asio::awaitable<void> { co_await ask(limiter, "key"); }, asio::detached);
        io.poll();
        CHECK(alive.use_count() == 5);
    }
    CHECK(alive.use_count() == 1);
}

TEST_CASE("what a handler throws comes out of run(), and the client goes on") {
    RedisServer server;
    asio::io_context io;
    const AsioRedis redis{io, server.url(), patient};
    const Limiter limiter = limiter_on(redis);
    int heard = 0;
    for (int i = 0; i != 3; ++i) {
        async_try_consume(limiter, "key", 1, [&](Decision) {
            if (++heard == 2) throw std::runtime_error{"of the handler"};
        });
    }
    CHECK_THROWS_AS(io.run(), std::runtime_error);
    io.run();
    CHECK(heard == 3);
}

TEST_CASE("one call takes one allocation of the handler's, given back before it is called") {
    RedisServer server;
    asio::io_context io;
    const AsioRedis redis{io, server.url(), patient};
    const Limiter limiter = limiter_on(redis);
    int live = -1;
    async_try_consume(limiter, "a key that is longer than a short string's memory", 1, CountedHandler{&live});
    CHECK(allocated.times == 1);
    io.run();
    CHECK(live == 0);
    CHECK(allocated.times <= 2);  // the second to post the handler
}

TEST_CASE("a fallback's completions go to the executor of the store that it is made of") {
    asio::io_context io;
    const AsioRedis away{io, "redis://127.0.0.1:" + std::to_string(RedisServer::free_port())};
    const sluice::Fallback store{away, sluice::Share{sluice::MemoryStore<sluice::TokenBucket>{}, 2}};
    const sluice::RateLimiter limiter{sluice::TokenBucket{10, sluice::per_hour(1)}, store, {.name = "fallback"}};
    std::optional<Decision> heard;
    async_try_consume(limiter, "key", 1, [&](Decision decision) { heard = decision; });
    io.run();
    REQUIRE(heard);
    CHECK(heard->error == Errc::degraded);
    CHECK(heard->remaining == 4);
}
