// SPDX-License-Identifier: MIT

#include <chrono>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include <sluice/redis.hpp>
#include <sluice/sluice.hpp>

#include "support/catch.hpp"
#include "support/load.hpp"
#include "support/loop_load.hpp"
#include "support/poll_loop.hpp"
#include "support/redis_sentinels.hpp"

using namespace std::chrono_literals;

namespace {

using SteadyClock = std::chrono::steady_clock;
using LoopLimiter = sluice::RateLimiter<sluice::FixedWindow, sluice::AsyncRedis>;
constexpr std::uint64_t limit = 1'000'000;
constexpr auto call_timeout = 1s;

/// The loop asks whether it is answered or not: no server that is held up for a moment is to let it meet `max_waiting`.
LoopLimiter limiter_on(const RedisSentinels& sentinels) {
    return LoopLimiter{sluice::FixedWindow{limit, 24h},
                       sluice::AsyncRedis{sentinels.url(), {.timeout = call_timeout, .max_waiting = 100'000}},
                       {.name = "loop", .on_failure = sluice::FailureMode::deny}};
}

/// Asks for that long; how many calls failed. What was decided is counted by that master, all of it.
std::size_t counts_on(RedisServer& master, const LoopLimiter& limiter, const std::string& key,
                      std::chrono::milliseconds time) {
    const auto report = under_loop_load(limiter, {key}, [&] { std::this_thread::sleep_for(time); });
    CHECK(report.decided() > 0);
    const sluice::RateLimiter there{
        limiter.policy(), sluice::RedisStore{master.url(), {.timeout = 5s}}, {.name = "loop"}};
    const auto left = there.peek(key);
    CHECK_FALSE(left.error);
    CHECK(limit - left.remaining == report.decided());
    return report.seen.size() - report.decided();
}

}  // namespace

TEST_CASE("a loop whose master is killed, and comes back empty") {
    RedisSentinels sentinels;
    const auto limiter = limiter_on(sentinels);
    SteadyClock::time_point killed, verdict;
    HiccupMeter hiccups;
    std::size_t next = 0;
    const auto report = under_loop_load(limiter, {"key0", "key1", "key2"}, [&] {
        std::this_thread::sleep_for(200ms);
        killed = SteadyClock::now();
        sentinels.node(0).kill();
        next = sentinels.wait_for_verdict(0);
        verdict = SteadyClock::now();
        std::this_thread::sleep_for(1'500ms);
    });
    const auto soon = 1s + 20 * hiccups.stop();
    auto recovered = SteadyClock::time_point::max();
    std::size_t wrong = 0;
    for (const SeenCall& one : report.seen) {
        if (one.error && (one.at < killed || one.at > verdict + soon)) ++wrong;
        if (!one.error && one.at > verdict) recovered = std::min(recovered, one.at);
    }
    CHECK(wrong == 0);
    CHECK(recovered < verdict + soon);
    CHECK(report.slowest < 5 * call_timeout);
    CHECK(report.stats.breaker_openings > 0);

    sentinels.node(0).restart();
    CHECK(sentinels.node(0).command({"ROLE"}).rfind("master", 0) == 0);  // as it believes
    CHECK(counts_on(sentinels.node(next), limiter, "after the restart", 1'500ms) == 0);
    CHECK(sentinels.node(0).command({"INFO", "commandstats"}).find("cmdstat_eval") == std::string::npos);
    CHECK(sentinels.named() == next);
}

TEST_CASE("a loop whose master is frozen, replaced and wakes while nobody asks") {
    RedisSentinels sentinels;
    const auto limiter = limiter_on(sentinels);
    REQUIRE_FALSE(answer_to(limiter.store(), [&](auto done) { limiter.async_try_consume("key", 1, done); }).error);
    sentinels.node(0).freeze();
    const std::size_t next = sentinels.wait_for_verdict(0);
    sentinels.node(0).thaw();
    CHECK(sentinels.node(0).command({"ROLE"}).rfind("master", 0) == 0);  // as it believes
    // The connection is as it was, and idle: nothing has failed.
    CHECK(limiter.store().stats().connections == 1);
    CHECK(counts_on(sentinels.node(next), limiter, "after", 500ms) == 0);
}

TEST_CASE("a loop whose master an operator replaces") {
    RedisSentinels sentinels;
    const auto limiter = limiter_on(sentinels);
    std::size_t next = 0;
    static_cast<void>(under_loop_load(limiter, {"key0", "key1"}, [&] {
        std::this_thread::sleep_for(200ms);
        CHECK(sentinels.sentinel(0).command({"SENTINEL", "FAILOVER", RedisSentinels::name}) == "OK");
        next = sentinels.wait_for_verdict(0);
        std::this_thread::sleep_for(1'100ms);  // nothing fails, so that the sentinels have to be asked anew
    }));
    CHECK(counts_on(sentinels.node(next), limiter, "after", 300ms) == 0);
}

TEST_CASE("a loop does not miss sentinels that are away while its master is well") {
    RedisSentinels sentinels{1};
    const auto limiter = limiter_on(sentinels);
    CHECK(counts_on(sentinels.node(0), limiter, "all", 100ms) == 0);
    sentinels.sentinel(0).kill();
    sentinels.sentinel(1).freeze();
    std::this_thread::sleep_for(1'100ms);
    CHECK(counts_on(sentinels.node(0), limiter, "one is left", 1'200ms) == 0);
    sentinels.sentinel(2).kill();
    std::this_thread::sleep_for(2'100ms);  // so long that they have to be asked first
    CHECK(counts_on(sentinels.node(0), limiter, "none is left", 1'200ms) == 0);
    sentinels.sentinel(1).thaw();
}
