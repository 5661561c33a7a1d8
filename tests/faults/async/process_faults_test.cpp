// SPDX-License-Identifier: MIT

#include <csignal>

#include <unistd.h>

#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include "faults/async/faults.hpp"
#include "support/fake_server.hpp"
#include "support/poll_loop.hpp"
#include "support/process.hpp"

namespace {

sluice::Decision decide(const sluice::AsyncRedis& redis) {
    const sluice::RateLimiter limiter{sluice::FixedWindow{1'000'000, 24h}, redis, {.name = "faults"}};
    return answer_to(redis, [&](auto done) { limiter.async_try_consume("key0", 1, done); });
}

}  // namespace

TEST_CASE("a loop that asks for more than its server can do is told so at once") {
    RedisServer redis;
    Proxy proxy{redis.socket_path()};
    proxy.set({.delay = 20ms});
    FakeServer server{[&](const FakePeer& peer) { proxy(peer); }};
    endure(
        server.url(), [](LoopUnderLoad&) { pause_for(fault_time); },
        [](const LoadReport& report, const sluice::RedisStats& stats) {
            CHECK(report.decided > 0);
            CHECK(report.of(Errc::busy) > 0);
            CHECK(stats.connections <= 2);
            if (report.hiccup < 5ms) CHECK(report.failed() == report.of(Errc::busy));
        },
        {.timeout = timeout, .connections = 2, .max_waiting = 50}, 100);
}

TEST_CASE("a loop whose server is slow, but in time, asks it less") {
    RedisServer redis;
    Proxy proxy{redis.socket_path()};
    proxy.set({.delay = 70ms});
    FakeServer server{[&](const FakePeer& peer) { proxy(peer); }};
    endure(
        server.url(), [](LoopUnderLoad&) { pause_for(fault_time); },
        [](const LoadReport& report, const sluice::RedisStats& stats) {
            CHECK(report.decided > 0);
            CHECK(stats.breaker_openings > 0);
        });
}

TEST_CASE("a loop whose server is in cluster mode needs another URL") {
    usage_of_turns() = {};
    RedisServer server{{"--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf"}};
    REQUIRE(server.command({"CLUSTER", "ADDSLOTSRANGE", "0", "16383"}) == "OK");
    while (server.command({"CLUSTER", "INFO"}).find("cluster_state:ok") == std::string::npos) pause_for(10ms);
    const sluice::AsyncRedis redis{server.url(), {.timeout = 10s, .connections = 1}};
    const sluice::RateLimiter limiter{sluice::FixedWindow{1'000, 24h}, redis, {.name = "faults"}};
    int answered = 0;
    for (const char* key : {"key0", "key1", "key2"}) {
        limiter.async_try_consume(key, 1, [&](sluice::Decision decision) {
            ++answered;
            CHECK(decision.error == Errc::misconfigured);
            CHECK_FALSE(decision.allowed);
        });
    }
    turn_until(redis, [&] { return answered == 3; });
    CHECK(redis.stats().breaker_openings == 0);
    CHECK_FALSE(decide(redis).error);
    check_never_waits(usage_of_turns());
}

TEST_CASE("a storm of signals does not prolong a loop's call") {
    RedisServer server;
    SignalStorm storm;
    storm.start();
    endure(
        server.url(),
        [&](LoopUnderLoad& loop) {
            pause_for(200ms);
            server.freeze();
            pause_for(fault_time);
            server.thaw();
            CHECK(loop.recovers());
        },
        [](const LoadReport& report, const sluice::RedisStats&) {
            CHECK(report.decided > 0);
            CHECK(report.of(Errc::timeout) > 0);
        });
}

TEST_CASE("a loop whose server closes gets no SIGPIPE") {
    usage_of_turns() = {};
    REQUIRE(std::signal(SIGPIPE, SIG_DFL) != SIG_ERR);
    FakeServer server{[](const FakePeer& peer) { peer.reset(); }};
    const sluice::AsyncRedis redis{server.url(), {.timeout = timeout}};
    for (int i = 0; i != 50; ++i) CHECK(decide(redis).error);
    check_never_waits(usage_of_turns());
}

TEST_CASE("a forked child drops its parent's client, and has one of its own") {
    usage_of_turns() = {};
    RedisServer server;
    auto redis = std::make_unique<sluice::AsyncRedis>(server.url(), sluice::RedisOptions{.timeout = 10s});
    REQUIRE_FALSE(decide(*redis).error);
    // A call that is under way is the parent's.
    const sluice::RateLimiter limiter{sluice::FixedWindow{1'000'000, 24h}, *redis, {.name = "faults"}};
    std::vector<std::error_code> answers;
    limiter.async_try_consume("key0", 1, [&](sluice::Decision decision) { answers.push_back(decision.error); });
    redis->process();
    const pid_t child = ::fork();
    if (child == 0) {
        ::alarm(30);
        redis->cancel();
        redis.reset();
        const sluice::AsyncRedis own{server.url(), {.timeout = 10s}};
        bool is_good = answers.size() == 1 && answers[0] == Errc::cancelled;
        for (int i = 0; i != 20; ++i) is_good = is_good && !decide(own).error;
        ::_exit(is_good ? 0 : 1);
    }
    CHECK(status_of(child) == 0);
    turn_until(*redis, [&] { return answers.size() == 1; });
    CHECK_FALSE(answers[0]);
    CHECK(decide(*redis).remaining == 1'000'000 - 23);
    CHECK(redis->stats().dials == 1);
    check_never_waits(usage_of_turns());
}

TEST_CASE("a loop in a process without descriptors blames that process") {
    usage_of_turns() = {};
    RedisServer server;
    const sluice::AsyncRedis redis{server.url(), {.timeout = 10s}};
    const sluice::AsyncRedis named{
        "redis://name.test:" + std::to_string(server.port()),
        {.timeout = 10s, .resolve = [](const std::string&) { return std::vector<std::string>{"127.0.0.1"}; }}};
    std::vector<std::error_code> errors;
    without_descriptors([&] {
        for (int i = 0; i != 20; ++i) {
            errors.push_back(decide(redis).error);
            errors.push_back(decide(named).error);
        }
    });
    for (const auto& error : errors) CHECK(error == Errc::no_memory);
    CHECK_FALSE(redis.stats().breaker_is_open);
    CHECK_FALSE(decide(redis).error);
    CHECK_FALSE(decide(named).error);
    check_never_waits(usage_of_turns());
}
