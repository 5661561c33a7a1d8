// SPDX-License-Identifier: MIT

#include <csignal>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "faults/redis/faults.hpp"
#include "support/fake_server.hpp"
#include "support/process.hpp"
#include "support/random.hpp"

TEST_CASE("a storm of signals does not prolong a call") {
    RedisServer server;
    SignalStorm storm;
    const Limiter limiter = limiter_on(server.url());
    storm.start();
    for (int i = 0; i != 500; ++i) CHECK_FALSE(limiter.try_consume("key").error);
    const Limiter hasty = limiter_on(server.url(), FailureMode::allow, {.timeout = 500ms});
    while (hasty.try_consume("key").error) pause_for(10ms);
    server.freeze();
    std::chrono::nanoseconds longest{0};
    for (int i = 0; i != 3; ++i) {
        const auto start = std::chrono::steady_clock::now();
        CHECK(hasty.try_consume("key").error == Errc::timeout);
        longest = std::max<std::chrono::nanoseconds>(longest, std::chrono::steady_clock::now() - start);
    }
    CHECK(longest < 5s);
}

TEST_CASE("a server that closes does not raise SIGPIPE") {
    REQUIRE(std::signal(SIGPIPE, SIG_DFL) != SIG_ERR);
    FakeServer server{[](const FakePeer& peer) { peer.reset(); }};
    const Limiter limiter = limiter_on(server.url());
    for (int i = 0; i != 50; ++i) {
        static_cast<void>(limiter.try_consume("key"));
        static_cast<void>(limiter.store().ping(10ms));
    }
    RedisServer redis;
    const Limiter other = limiter_on(redis.url());
    for (int i = 0; i != 5; ++i) {
        CHECK_FALSE(other.try_consume("key").error);
        redis.kill();
        static_cast<void>(other.try_consume("key"));
        redis.restart();
        pause_for(60ms);
        static_cast<void>(other.try_consume("key"));
    }
}

TEST_CASE("idle connections that the server has closed are replaced") {
    RedisServer server;
    const Limiter limiter = limiter_on(server.url());
    for (int i = 0; i != 5; ++i) {
        CHECK_FALSE(limiter.try_consume("key").error);
        server.command({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"});
        pause_for(20ms);
    }
    CHECK(limiter.store().stats().failures == 0);
    CHECK(limiter.store().stats().dials == 5);
}

TEST_CASE("a forked child uses connections of its own") {
    RedisServer server;
    // A policy of this case alone: its first decisions are made while the first child is forked.
    const sluice::RateLimiter limiter{sluice::SlidingWindowCounter{1'000'000, 24h},
                                      sluice::RedisStore{server.url(), {.timeout = 10s}},
                                      {.name = "fork"}};
    std::atomic<bool> over{false};
    // So that fork() finds the pool in use; but sanitizers' allocators do not survive a fork() while they are.
    const int threads = slow_build ? 0 : 4;
    std::vector<std::thread> busy;
    for (int t = 0; t != threads; ++t) {
        busy.emplace_back([&] {
            while (!over) static_cast<void>(limiter.try_consume("busy"));
        });
    }
    int failed = 0;
    for (int i = 0; i != 20; ++i) {
        const pid_t child = ::fork();
        if (child == 0) {
            ::alarm(30);  // ends it if it hangs
            bool good = true;
            for (int n = 0; n != 20; ++n) good = good && !limiter.try_consume("child").error;
            ::_exit(good ? 0 : 1);
        }
        failed += status_of(child) == 0 ? 0 : 1;
        pause_for(2ms);
    }
    over = true;
    for (auto& thread : busy) thread.join();
    CHECK(failed == 0);
    CHECK(limiter.store().stats().failures == 0);
    CHECK(limiter.peek("child").remaining == 1'000'000 - 400);
}

TEST_CASE("a daemon that closes what it inherited keeps its own files") {
    RedisServer server;
    const Limiter limiter = limiter_on(server.url());
    REQUIRE_FALSE(limiter.try_consume("key").error);
    const pid_t child = ::fork();
    if (child == 0) {
        ::alarm(30);
        for (int fd = 3; fd != 256; ++fd) ::close(fd);
        std::array<int, 16> logs{};
        for (int& log : logs) log = ::open("/dev/null", O_WRONLY);
        bool good = !limiter.try_consume("child").error;
        for (const int log : logs) {
            struct stat is {
            }, null{};
            good = good && ::fstat(log, &is) == 0 && ::stat("/dev/null", &null) == 0 && is.st_rdev == null.st_rdev;
        }
        ::_exit(good ? 0 : 1);
    }
    CHECK(status_of(child) == 0);
    CHECK_FALSE(limiter.try_consume("key").error);
    CHECK(limiter.store().stats().dials == 1);
}

TEST_CASE("a process without descriptors blames itself") {
    RedisServer server;
    const Limiter limiter = limiter_on(server.url());
    std::vector<std::error_code> errors;
    without_descriptors([&] {
        for (int i = 0; i != 20; ++i) errors.push_back(limiter.try_consume("key").error);
    });
    for (const auto& error : errors) CHECK(error == Errc::no_memory);
    CHECK_FALSE(limiter.store().stats().breaker_is_open);
    CHECK_FALSE(limiter.try_consume("key").error);
}

TEST_CASE("a clock that jumps an hour wins nobody a unit and locks nobody out") {
    RedisServer server;
    Random random{"clock jumps"};
    const int runs = cases(500);
    const sluice::RedisStore store{server.url(), {.timeout = 10s}};
    const auto run = [&](const auto& policy, std::chrono::nanoseconds fill) {
        const sluice::RateLimiter limiter{policy, store, {.name = "jumps"}};
        std::chrono::nanoseconds now = 500'000h;
        for (int i = 0; i != runs; ++i) {
            const std::string key = std::to_string(i);
            REQUIRE(limiter.try_consume_at(now, key, 5));
            const auto back = now - std::chrono::microseconds{random.between(2'000LL, 3'600'000'000LL)};
            const auto denied = limiter.try_consume_at(back, key);
            REQUIRE_FALSE(denied.error);
            if (!denied) {
                REQUIRE(denied.retry_after <= fill + sluice::detail::tolerated_skew);
                REQUIRE(limiter.try_consume_at(back + denied.retry_after, key));
            }
            REQUIRE(limiter.try_consume_at(back + 1h, key, 5));
            REQUIRE_FALSE(limiter.try_consume_at(back + 1h, key, 5));
        }
    };
    run(sluice::TokenBucket{5, sluice::per_second(2)}, 2'500ms);
    run(sluice::SlidingWindow{5, 10s}, 10s);
    run(sluice::SlidingWindowCounter{5, 10s}, 20s);
    run(sluice::FixedWindow{5, 10s}, 10s);
}

TEST_CASE("two processes share one limit") {
    RedisServer server;
    const sluice::RateLimiter limiter{sluice::TokenBucket{1'000, sluice::per_hour(1)},
                                      sluice::RedisStore{server.url(), {.timeout = patience}},
                                      {.name = "shared", .on_failure = FailureMode::deny}};
    int channel[2];
    REQUIRE(::pipe(channel) == 0);
    const auto consume = [&] {
        int admitted = 0;
        for (int i = 0; i != 900; ++i) admitted += limiter.try_consume("key") ? 1 : 0;
        return admitted;
    };
    const pid_t child = ::fork();
    if (child == 0) {
        ::alarm(60);
        const int admitted = consume();
        const auto written = ::write(channel[1], &admitted, sizeof admitted);
        ::_exit(written == sizeof admitted ? 0 : 1);
    }
    const int mine = consume();
    int theirs = 0;
    REQUIRE(::read(channel[0], &theirs, sizeof theirs) == sizeof theirs);
    ::waitpid(child, nullptr, 0);
    CHECK(mine + theirs == 1'000);
    ::close(channel[0]);
    ::close(channel[1]);
}
