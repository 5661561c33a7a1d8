// SPDX-License-Identifier: MIT

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include <sluice/layers/denial_cache.hpp>
#include <sluice/layers/fallback.hpp>
#include <sluice/layers/lease.hpp>
#include <sluice/layers/share.hpp>

#include "faults/redis/faults.hpp"

namespace {

/// Threads that ask for one key all the time, and what they saw.
class HotLoad {
public:
    template <class Limiter>
    HotLoad(const Limiter& limiter, int threads) {
        for (int i = 0; i != threads; ++i) {
            threads_.emplace_back([this, limiter] {
                while (!over_) {
                    const auto start = std::chrono::steady_clock::now();
                    const auto decision = limiter.try_consume("key");
                    const auto took = (std::chrono::steady_clock::now() - start).count();
                    for (auto longest = longest_ns.load(); longest < took;) {
                        if (longest_ns.compare_exchange_weak(longest, took)) break;
                    }
                    ++(!decision.error ? own : decision.error == Errc::degraded ? degraded : failed);
                    if (!decision.error && decision.allowed) ++admitted;
                    std::this_thread::sleep_for(std::chrono::microseconds{500});
                }
            });
        }
    }
    ~HotLoad() { stop(); }
    void stop() {
        over_ = true;
        for (auto& thread : threads_) {
            if (thread.joinable()) thread.join();
        }
    }
    std::atomic<std::uint64_t> own{0}, admitted{0}, degraded{0}, failed{0};
    std::atomic<std::int64_t> longest_ns{0};

private:
    std::atomic<bool> over_{false};
    std::vector<std::thread> threads_;
};

template <class Reached>
bool within(std::chrono::seconds time, Reached is_reached) {
    const auto deadline = std::chrono::steady_clock::now() + time;
    while (std::chrono::steady_clock::now() < deadline) {
        if (is_reached()) return true;
        std::this_thread::sleep_for(std::chrono::milliseconds{5});
    }
    return is_reached();
}

}  // namespace

TEST_CASE("a lease whose Redis is killed, stopped and back spends what it holds, falls back, and leases again") {
    RedisServer server;
    const sluice::RedisStore redis{server.url(), {.timeout = timeout}};
    const sluice::Lease lease{redis};
    const sluice::TokenBucket policy{1'000'000, sluice::per_second(1)};
    const sluice::RateLimiter limiter{
        policy,
        sluice::Fallback{sluice::DenialCache{lease}, sluice::Share{sluice::MemoryStore<sluice::TokenBucket>{}, 4}},
        {.name = "hot", .on_failure = FailureMode::deny}};
    HiccupMeter hiccup;
    HotLoad load{limiter, 8};
    for (const bool is_killed : {true, false}) {
        INFO((is_killed ? "killed" : "stopped"));
        const auto hits = lease.stats().hits;
        REQUIRE(within(20s, [&] { return lease.stats().hits > hits + 100; }));
        const auto degraded = load.degraded.load();
        is_killed ? server.kill() : server.freeze();
        // Whatever was held is spent: then the share decides.
        REQUIRE(within(20s, [&] { return load.degraded > degraded + 100; }));
        CHECK(lease.stats().held <= 1'000);
        if (is_killed) {
            server.restart();
        } else {
            server.thaw();
        }
    }
    const auto hits = lease.stats().hits;
    REQUIRE(within(20s, [&] { return lease.stats().hits > hits + 100; }));
    load.stop();
    CHECK(load.failed == 0);
    // A call takes the time limit at most, or twice where it takes a lease and another call is before it.
    CHECK(std::chrono::nanoseconds{load.longest_ns} <= 3 * timeout + 2 * hiccup.stop());
}

TEST_CASE("a lease's Redis that comes back empty admits one limit more, and the books agree from there") {
    RedisServer server;
    const sluice::RedisStore redis{server.url(), {.timeout = timeout}};
    const sluice::FixedWindow policy{20'000, std::chrono::hours{24 * 365}};
    std::uint64_t admitted_before = 0;
    std::uint64_t admitted_in_all = 0;
    {
        const sluice::RateLimiter limiter{
            policy, sluice::Lease{redis}, {.name = "hot", .on_failure = FailureMode::deny}};
        HotLoad load{limiter, 8};
        REQUIRE(within(20s, [&] { return load.admitted > 2'000; }));
        server.kill();
        std::this_thread::sleep_for(200ms);
        admitted_before = load.admitted;
        server.restart();
        REQUIRE(within(20s, [&] { return load.admitted > admitted_before + 2'000; }));
        load.stop();
        admitted_in_all = load.admitted;
    }
    const auto peeked = sluice::RateLimiter{policy, redis, {.name = "hot"}}.peek("key");
    REQUIRE_FALSE(peeked.error);
    const std::uint64_t given = peeked.limit - peeked.remaining;
    // What was held when it was killed may have been admitted after `admitted_before` was read.
    CHECK(given + 1'250 >= admitted_in_all - admitted_before);
    CHECK(given <= admitted_in_all - admitted_before + 1'250);
}
