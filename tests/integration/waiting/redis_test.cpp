// SPDX-License-Identifier: MIT
//
// Waiting for, settling with and charging several limits of a real Redis.
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include <sluice/layers/fallback.hpp>
#include <sluice/redis.hpp>
#include <sluice/sluice.hpp>

#include "support/catch.hpp"
#include "support/redis_server.hpp"
#include "support/threads.hpp"

using namespace std::chrono_literals;
using sluice::Charge;
using sluice::Decision;
using sluice::RateLimiter;
using Bucket = sluice::TokenBucket;

namespace {

// A machine that is busy with other tests may hold up a call for long.
const sluice::RedisOptions patient{.timeout = 10s};

std::uint64_t decisions(const sluice::RedisStore& redis) {
    const auto stats = redis.stats();
    return stats.decisions + stats.failures;
}

}  // namespace

TEST_CASE("a herd of a thousand costs Redis about one call each, and is served at the policy's rate") {
    constexpr int herd = 1'000;
    const RedisServer server;
    const sluice::RedisStore redis{server.url(), patient};
    const auto run = [&](const auto& policy, int free, const char* name) {
        INFO(name);
        const RateLimiter limiter{policy, redis, {.name = name}};
        const auto before = decisions(redis);
        std::atomic<int> served{0};
        const auto start = std::chrono::steady_clock::now();
        run_threads(herd, [&](int) { served += limiter.acquire("key", 1, 60s) ? 1 : 0; });
        const auto time = std::chrono::steady_clock::now() - start;
        CHECK(served == herd);
        CHECK(decisions(redis) - before <= herd * 11 / 10);
        CHECK(time >= 2ms * (herd - free) - 2ms);  // one each two milliseconds, no sooner
    };
    run(sluice::LeakyBucket{herd, sluice::per_second(500)}, 1, "queue");
    run(Bucket{10, sluice::per_second(500)}, 10, "bucket");
}

TEST_CASE("limits on one Redis are charged in one round trip, and given back in one more") {
    const RedisServer server;
    const sluice::RedisStore redis{server.url(), patient};
    const RateLimiter burst{Bucket{5, sluice::per_day(1)}, redis, {.name = "burst"}};
    const RateLimiter day{sluice::FixedWindow{100, 24h * 3650}, redis, {.name = "day"}};
    const RateLimiter log{sluice::SlidingWindow{50, 24h}, redis, {.name = "log"}};
    const RateLimiter all{sluice::AllOf{Bucket{9, sluice::per_day(1)}, sluice::SlidingWindowCounter{9, 24h * 3650}},
                          redis,
                          {.name = "all"}};
    const sluice::AnyLimiter erased{log};
    REQUIRE(burst.peek("key").remaining == 5);  // connected
    std::array<Decision, 5> out;
    const std::array charges{Charge{burst, "key"}, Charge{day, "all"}, Charge{erased, "key", 2}, Charge{all, "key"},
                             Charge{burst, "key"}};
    const auto trips = [&] { return redis.stats().round_trips; };
    auto before = trips();
    CHECK(sluice::try_consume_all(charges, out));
    CHECK(trips() - before <= 2);  // a script that the server does not know yet is sent with the next
    before = trips();
    CHECK(sluice::try_consume_all(charges, out));
    CHECK(trips() - before == 1);
    CHECK(out[0].remaining == 2);
    CHECK(out[4].remaining == 1);
    CHECK(out[1].remaining == 98);
    CHECK(out[2].remaining == 46);
    CHECK(out[3].remaining == 7);
    CHECK_FALSE(sluice::try_consume_all(charges, out));
    before = trips();
    CHECK_FALSE(sluice::try_consume_all(charges, out));
    CHECK(trips() - before == 2);
    CHECK_FALSE(out[0].allowed);
    CHECK(out[4].retry_after > 0s);
    CHECK(burst.peek("key").remaining == 1);
    CHECK(day.peek("all").remaining == 98);
    CHECK(log.peek("key").remaining == 46);
    CHECK(all.peek("key").remaining == 7);

    const RateLimiter fallback{
        Bucket{5, sluice::per_day(1)}, sluice::Fallback{redis, sluice::MemoryStore<Bucket>{}}, {.name = "fallback"}};
    before = trips();
    CHECK(sluice::try_consume_all(std::array{Charge{day, "all"}, Charge{fallback, "key"}}, std::span{out}.first(2)));
    CHECK(trips() - before <= 3);
    const std::string too_long(2'000, 'x');
    CHECK_FALSE(
        sluice::try_consume_all(std::array{Charge{day, too_long}, Charge{day, "all"}}, std::span{out}.first(2)));
    CHECK(out[0].error == sluice::Errc::invalid_argument);
    CHECK(day.peek("all").remaining == 97);
}

TEST_CASE("what is charged together under concurrency never exceeds a limit") {
    const RedisServer server;
    const sluice::RedisStore redis{server.url(), patient};
    const RateLimiter burst{Bucket{300, sluice::per_day(1)}, redis, {.name = "burst"}};
    const RateLimiter day{sluice::FixedWindow{200, 24h * 3650}, redis, {.name = "day"}};
    std::atomic<std::uint64_t> admitted{0};
    run_threads(8, [&](int) {
        std::array<Decision, 2> out;
        for (int i = 0; i != 60; ++i) {
            admitted += sluice::try_consume_all(std::array{Charge{burst, "key"}, Charge{day, "key"}}, out) ? 1U : 0U;
        }
    });
    CHECK(admitted <= 200);
    CHECK(admitted >= 190);
    CHECK(burst.peek("key").remaining == 300 - admitted);
    CHECK(day.peek("key").remaining == 200 - admitted);
}

TEST_CASE("reservations on Redis are exact under concurrency") {
    const RedisServer server;
    const sluice::RedisStore redis{server.url(), patient};
    const RateLimiter limiter{sluice::SlidingWindow{100, 24h}, redis, {.name = "reservations"}};
    std::atomic<int> used{0};
    run_threads(8, [&](int thread) {
        for (int i = 0; i != 40; ++i) {
            auto reservation = limiter.reserve("key", 5);
            if (!reservation) continue;
            const int actual = (i + thread) % 4;  // less than the estimate
            if (reservation.settle(actual).error) std::abort();
            used += actual;
        }
    });
    CHECK(used <= 100);
    CHECK(limiter.peek("key").remaining == static_cast<std::uint64_t>(100 - used));
    CHECK(limiter.try_consume_up_to("key", 500).units == static_cast<std::uint64_t>(100 - used));
}
