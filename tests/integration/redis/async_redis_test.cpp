// SPDX-License-Identifier: MIT

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <poll.h>

#include <sluice/layers/fallback.hpp>
#include <sluice/layers/share.hpp>

#include "support/catch.hpp"
#include "support/fake_server.hpp"
#include "support/poll_loop.hpp"
#include "support/redis_server.hpp"

using namespace std::chrono_literals;
using sluice::AsyncRedis;
using sluice::Decision;
using sluice::Errc;

namespace {

using Limiter = sluice::RateLimiter<sluice::TokenBucket, AsyncRedis>;
const sluice::TokenBucket bucket{1'000, sluice::per_hour(1)};

Limiter limiter_on(const AsyncRedis& redis) { return Limiter{bucket, redis, {.name = "async"}}; }

Decision decide(const AsyncRedis& redis, std::string_view key = "key") {
    return answer_to(redis, [&](auto done) { limiter_on(redis).async_try_consume(key, 1, done); });
}

/// Answers nothing, and hangs up when the test ends.
const FakeServer::Behaviour silence = [](const FakePeer& peer) { peer.fall_silent(); };

}  // namespace

TEST_CASE("an event loop decides, peeks, refunds and resets") {
    RedisServer server;
    const AsyncRedis redis{server.tcp_url(), {.timeout = 10s}};
    const Limiter limiter = limiter_on(redis);
    CHECK(decide(redis).remaining == 999);
    CHECK(answer_to(redis, [&](auto done) { limiter.async_try_consume("key", 9, done); }).remaining == 990);
    CHECK(answer_to(redis, [&](auto done) { limiter.async_try_consume("key", 0, done); }).remaining == 990);
    CHECK_FALSE(answer_to(redis, [&](auto done) { limiter.async_refund("key", 5, done); }).error);
    CHECK(answer_to(redis, [&](auto done) { limiter.async_peek("key", 1, done); }).remaining == 995);
    CHECK_FALSE(answer_to(redis, [&](auto done) { limiter.async_reset("key", done); }).error);
    CHECK(answer_to(redis, [&](auto done) { limiter.async_peek("key", 1, done); }).remaining == 1'000);
    const auto never = answer_to(redis, [&](auto done) { limiter.async_try_consume("key", 1'001, done); });
    CHECK(never.retry_after == Decision::never);

    const auto negative = answer_to(redis, [&](auto done) { limiter.async_try_consume("key", -1, done); });
    CHECK(negative.error == Errc::invalid_argument);
    const std::string long_key(1'025, 'x');
    CHECK(decide(redis, long_key).error == Errc::invalid_argument);
    CHECK_FALSE(decide(redis, long_key).allowed);
    CHECK(redis.stats().connections == 1);
    CHECK(redis.stats().dials == 1);
}

TEST_CASE("nothing is done before process(), and nothing is watched while nothing is asked") {
    RedisServer server;
    const AsyncRedis redis{server.url(), {.timeout = 10s}};
    CHECK(redis.watches().empty());
    CHECK(redis.poll_timeout() == -1);
    std::optional<Decision> answer;
    limiter_on(redis).async_try_consume("key", 1, [&](Decision decision) { answer = decision; });
    CHECK(redis.poll_timeout() == 0);
    CHECK(redis.stats().dials == 0);
    turn_until(redis, [&] { return answer.has_value(); });
    CHECK(redis.watches().empty());
    CHECK(redis.poll_timeout() == -1);
}

TEST_CASE("what is asked while a request is under way goes together in the next") {
    RedisServer server;
    const AsyncRedis redis{server.url(), {.timeout = 10s}};
    REQUIRE_FALSE(decide(redis).error);
    const auto before = redis.stats();
    const Limiter limiter = limiter_on(redis);
    int answered = 0;
    const auto done = [&](Decision decision) {
        CHECK(decision.allowed);
        ++answered;
    };
    limiter.async_try_consume("first", 1, done);
    redis.process();  // sends it
    for (int i = 0; i != 100; ++i) limiter.async_try_consume("key" + std::to_string(i), 1, done);
    turn_until(redis, [&] { return answered == 101; });
    CHECK(redis.stats().round_trips - before.round_trips == 2);
    CHECK(redis.stats().scripts - before.scripts <= 3);  // the server did not know the script for many
}

TEST_CASE("calls to a far server do not wait for one another") {
    RedisServer redis;
    Proxy proxy{redis.socket_path()};
    proxy.set({.delay = 100ms});
    FakeServer server{[&](const FakePeer& peer) { proxy(peer); }};
    const AsyncRedis client{server.url(), {.timeout = 10s}};
    REQUIRE_FALSE(decide(client).error);
    int answered = 0;
    for (int i = 0; i != 3; ++i) {
        limiter_on(client).async_try_consume("key", 1, [&](Decision) { ++answered; });
        for (int turns = 0; turns != 10; ++turns) turn(client, 1);
    }
    turn_until(client, [&] { return answered == 3; });
    CHECK(client.stats().connections == 3);
    CHECK(client.stats().round_trips == 4);
}

TEST_CASE("a completion may ask again") {
    RedisServer server;
    const AsyncRedis redis{server.url(), {.timeout = 10s}};
    struct Chain {
        Limiter limiter;
        int left = 0;
        void ask() {
            limiter.async_try_consume("key", 1, [this](Decision decision) {
                CHECK(decision.allowed);
                if (--left != 0) ask();
            });
        }
    };
    Chain chain{limiter_on(redis), 100};
    chain.ask();
    turn_until(redis, [&] { return chain.left == 0; });
    CHECK(answer_to(redis, [&](auto done) { chain.limiter.async_peek("key", 1, done); }).remaining == 900);
}

TEST_CASE("who asks again at once after a failure does not keep the loop") {
    const AsyncRedis redis{"redis://127.0.0.1:" + std::to_string(RedisServer::free_port())};
    struct Chain {
        Limiter limiter;
        int asked = 0, answered = 0;
        bool goes_on = true;
        void ask() {
            ++asked;
            limiter.async_try_consume("key", 1, [this](Decision) {
                ++answered;
                if (goes_on) ask();
            });
        }
    };
    Chain chain{limiter_on(redis)};
    chain.ask();
    for (int i = 0; i != 50; ++i) turn(redis);
    CHECK(chain.asked <= 101);
    chain.goes_on = false;  // the client outlives the chain
    turn_until(redis, [&] { return chain.answered == chain.asked; });
}

TEST_CASE("a completion may destroy the client: the others are cancelled, each once") {
    RedisServer server;
    std::optional<AsyncRedis> redis{std::in_place, server.url(), sluice::RedisOptions{.timeout = 10s}};
    std::vector<int> calls(10);
    int cancelled = 0;
    {
        const Limiter limiter = limiter_on(*redis);
        for (std::size_t i = 0; i != calls.size(); ++i) {
            limiter.async_try_consume("key", 1, [&, i](Decision decision) {
                ++calls[i];
                if (decision.error == Errc::cancelled) ++cancelled;
                if (i == 0) {
                    // One more, that has not been sent.
                    limiter_on(*redis).async_try_consume("key", 1, [&](Decision last) {
                        CHECK(last.error == Errc::cancelled);
                        ++cancelled;
                    });
                    redis.reset();
                }
            });
        }
    }
    while (redis) {
        const auto watches = redis->watches();
        pollfd item{watches.empty() ? -1 : watches[0].fd, watches.empty() ? short{0} : watches[0].events, 0};
        ::poll(&item, 1, redis->poll_timeout());
        redis->process();
        if (redis && item.revents != 0) redis->process(item.fd, item.revents);
    }
    CHECK(calls == std::vector<int>(10, 1));
    CHECK(cancelled == 1);
}

TEST_CASE("what waits is cancelled in every state") {
    SECTION("while a name is looked up") {
        const auto over =
            std::make_shared<std::atomic<bool>>(false);  // also for the look-up's thread, which outlives the test
        const sluice::RedisOptions options{.timeout = 10s, .resolve = [over](const std::string&) {
                                               while (!*over) std::this_thread::sleep_for(1ms);
                                               return std::vector<std::string>{};
                                           }};
        std::optional<AsyncRedis> redis{std::in_place, "redis://name.test", options};
        std::optional<Decision> answer;
        limiter_on(*redis).async_try_consume("key", 1, [&](Decision decision) { answer = decision; });
        for (int i = 0; i != 3; ++i) turn(*redis, 1);
        CHECK_FALSE(answer);
        redis.reset();
        REQUIRE(answer);
        CHECK(answer->error == Errc::cancelled);
        *over = true;
    }
    SECTION("before anything is done") {
        RedisServer server;
        std::optional<AsyncRedis> redis{std::in_place, server.url()};
        std::optional<Decision> answer;
        limiter_on(*redis).async_try_consume("key", 1, [&](Decision decision) { answer = decision; });
        redis->cancel();
        REQUIRE(answer);
        CHECK(answer->error == Errc::cancelled);
        CHECK(answer->allowed);                  // the failure mode's answer
        CHECK(decide(*redis).remaining == 999);  // it was not charged
    }
    SECTION("while it waits for the server's answer, and for the connection") {
        FakeServer server{silence};
        std::optional<AsyncRedis> redis{std::in_place, server.url(), sluice::RedisOptions{.timeout = 10s}};
        int cancelled = 0;
        const auto done = [&](Decision decision) { cancelled += decision.error == Errc::cancelled ? 1 : 0; };
        limiter_on(*redis).async_try_consume("key", 1, done);
        while (redis->stats().connections == 0) turn(*redis, 1);
        turn(*redis, 1);
        limiter_on(*redis).async_try_consume("key", 1, done);
        redis->process();
        SECTION("by the last handle's end") { redis.reset(); }
        SECTION("by cancel()") { redis->cancel(); }
        CHECK(cancelled == 2);
    }
    SECTION("an answer that comes after cancel() is nobody's, and the connection goes on") {
        RedisServer server;
        const AsyncRedis redis{server.url(), {.timeout = 10s, .connections = 1}};
        REQUIRE(decide(redis).remaining == 999);
        int cancelled = 0;
        limiter_on(redis).async_try_consume(
            "key", 1, [&](Decision decision) { cancelled += decision.error == Errc::cancelled ? 1 : 0; });
        redis.process();  // sends it
        redis.cancel();
        CHECK(cancelled == 1);
        CHECK(decide(redis).remaining == 997);
        CHECK(redis.stats().dials == 1);
    }
}

TEST_CASE("a call that its asker has abandoned is not sent") {
    struct Abandoned {
        std::optional<Decision>* answer;
        void operator()(Decision decision) const { *answer = decision; }
        bool is_abandoned() const noexcept { return true; }
    };
    RedisServer server;
    const AsyncRedis redis{server.url(), {.timeout = 10s}};
    std::optional<Decision> answer;
    limiter_on(redis).async_try_consume("key", 1, Abandoned{&answer});
    turn_until(redis, [&] { return answer.has_value(); });
    CHECK(answer->error == Errc::cancelled);
    CHECK(decide(redis).remaining == 999);
}

TEST_CASE("a slow look-up holds no loop up, and ends by the timeout") {
    std::atomic<bool> over{false};
    RedisServer server;
    const sluice::RedisOptions options{.timeout = 1s, .resolve = [&](const std::string&) {
                                           while (!over) std::this_thread::sleep_for(1ms);
                                           return std::vector<std::string>{"127.0.0.1"};
                                       }};
    const AsyncRedis redis{"redis://name.test:" + std::to_string(server.port()), options};
    std::optional<Decision> answer;
    limiter_on(redis).async_try_consume("key", 1, [&](Decision decision) { answer = decision; });
    std::chrono::nanoseconds longest{0};
    while (!answer) {
        ::poll(nullptr, 0, 1);
        const auto start = std::chrono::steady_clock::now();
        redis.process();
        longest = std::max<std::chrono::nanoseconds>(longest, std::chrono::steady_clock::now() - start);
    }
    CHECK(answer->error == Errc::timeout);
    CHECK(longest < 900ms);
    over = true;
    // The look-up has gone on, and the loop is told when it ends.
    CHECK_FALSE(decide(redis).error);
}

TEST_CASE("too many that wait are turned away, those that cannot be answered in time too") {
    FakeServer server{silence};
    const AsyncRedis redis{server.url(), {.timeout = 100ms, .max_waiting = 3}};
    std::vector<std::error_code> errors;
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i != 5; ++i)
        limiter_on(redis).async_try_consume("key", 1, [&](Decision decision) { errors.push_back(decision.error); });
    turn_until(redis, [&] { return errors.size() == 5; });
    CHECK(errors[0] == Errc::busy);
    CHECK(errors[1] == Errc::busy);
    for (std::size_t i = 2; i != 5; ++i) CHECK(errors[i] == Errc::timeout);
    CHECK(std::chrono::steady_clock::now() - start >= 99ms);
    CHECK(redis.stats().errors(Errc::busy) == 2);
    CHECK(redis.stats().errors(Errc::timeout) == 3);
}

TEST_CASE("an idle connection that the server has closed is noticed before a call is lost") {
    RedisServer server;
    const AsyncRedis redis{server.url(), {.timeout = 10s}};
    REQUIRE_FALSE(decide(redis).error);
    server.command({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"});
    std::this_thread::sleep_for(20ms);
    CHECK_FALSE(decide(redis).error);
    CHECK(redis.stats().dials == 2);
}

TEST_CASE("the breaker's probe is one call, and closes it") {
    RedisServer server;
    const AsyncRedis redis{server.url(), {.timeout = 5s}};
    REQUIRE_FALSE(decide(redis).error);
    server.kill();
    for (int i = 0; i != 20; ++i) CHECK(decide(redis).error);
    CHECK(redis.stats().breaker_is_open);
    CHECK(decide(redis).error == Errc::breaker_open);
    server.restart();
    const auto end = std::chrono::steady_clock::now() + 5s;
    while (decide(redis).error && std::chrono::steady_clock::now() < end) std::this_thread::sleep_for(5ms);
    CHECK_FALSE(redis.stats().breaker_is_open);
    CHECK_FALSE(decide(redis).error);
}

TEST_CASE("a fallback and a share answer event loops, too") {
    const AsyncRedis away{"redis://127.0.0.1:" + std::to_string(RedisServer::free_port())};
    const sluice::Fallback store{away, sluice::Share{sluice::MemoryStore<sluice::TokenBucket>{}, 4}};
    const sluice::RateLimiter limiter{bucket, store, {.name = "layers"}};
    const auto ask = [&](int cost) {
        return answer_to(away, [&](auto done) { limiter.async_try_consume("key", cost, done); });
    };
    const auto decision = ask(1);
    CHECK(decision.allowed);
    CHECK(decision.error == Errc::degraded);
    CHECK(decision.remaining == 249);
    CHECK_FALSE(ask(500).allowed);
    CHECK(ask(500).retry_after != Decision::never);
    CHECK(ask(1'001).retry_after == Decision::never);
    CHECK(sluice::is_failure(answer_to(away, [&](auto done) { limiter.async_reset("key", done); }).error));
    CHECK(answer_to(away, [&](auto done) { limiter.async_peek("key", 1, done); }).remaining == 250);
}

TEST_CASE("an observer hears of a call when it is answered") {
    struct Ear : sluice::Observer {
        std::vector<std::string> heard;
        void on_decision(const sluice::DecisionEvent& event) override {
            heard.push_back(std::string{event.limiter} + "/" + std::string{event.key} + "/" +
                            std::to_string(event.cost) + (event.decision.allowed ? " allowed" : " denied"));
        }
    };
    RedisServer server;
    const AsyncRedis redis{server.url(), {.timeout = 10s}};
    const auto ear = std::make_shared<Ear>();
    std::optional<Decision> answer;
    {
        const Limiter limiter{bucket, redis, {.name = "heard", .observer = ear}};
        const std::string key = "a key that is longer than a short string's memory";
        limiter.async_try_consume(key, 3, [&](Decision decision) { answer = decision; });
        CHECK(ear->heard.empty());
    }
    turn_until(redis, [&] { return answer.has_value(); });
    CHECK(ear->heard == std::vector<std::string>{"heard/a key that is longer than a short string's memory/3 allowed"});
}
