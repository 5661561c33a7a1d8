// SPDX-License-Identifier: MIT
//
// The layers that decide in process against the Redis store that they stand before, on a private server that is pinned to the
// first processor; the clients, 64 threads, run on another.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <sluice/layers/denial_cache.hpp>
#include <sluice/layers/lease.hpp>
#include <sluice/redis.hpp>
#include <sluice/sluice.hpp>

#include "support/goals.hpp"
#include "support/machine.hpp"
#include "support/processors.hpp"
#include "support/redis_server.hpp"
#include "support/results.hpp"

using namespace std::chrono_literals;

namespace {

constexpr int threads = 64;

struct Result {
    double per_second = 0, p50 = 0, p99 = 0;  ///< latencies in us
    std::uint64_t errors = 0;
};

/// `decide(random)` again and again from all threads; one call in 32 is timed.
template <class Decide>
Result run(std::chrono::milliseconds time, const Decide& decide) {
    using Clock = std::chrono::steady_clock;
    std::atomic<bool> counts{false}, over{false};
    std::atomic<std::uint64_t> total{0}, errors{0};
    std::vector<std::vector<float>> latencies(threads);
    std::vector<std::thread> all;
    for (std::size_t t = 0; t != threads; ++t) {
        all.emplace_back([&, t] {
            std::minstd_rand random{static_cast<unsigned>(t + 1)};
            std::uint64_t mine = 0, failed = 0;
            latencies[t].reserve(100'000);
            while (!over) {
                const bool is_counted = counts;
                const auto start = Clock::now();
                failed += decide(random).error ? 1U : 0U;
                const std::chrono::duration<float, std::micro> took = Clock::now() - start;
                for (int i = 0; i != 31 && !over; ++i) {
                    failed += decide(random).error ? 1U : 0U;
                    mine += is_counted ? 1U : 0U;
                }
                if (!is_counted) continue;
                ++mine;
                latencies[t].push_back(took.count());
            }
            total += mine;
            errors += failed;
        });
    }
    std::this_thread::sleep_for(300ms);
    counts = true;
    const auto start = Clock::now();
    std::this_thread::sleep_for(time);
    over = true;
    const std::chrono::duration<double> elapsed = Clock::now() - start;
    for (auto& thread : all) thread.join();
    std::vector<float> merged;
    for (const auto& one : latencies) merged.insert(merged.end(), one.begin(), one.end());
    std::sort(merged.begin(), merged.end());
    Result result{static_cast<double>(total.load()) / elapsed.count(), 0, 0, errors};
    if (!merged.empty()) {
        result.p50 = merged[merged.size() / 2];
        result.p99 = merged[merged.size() - 1 - merged.size() / 100];
    }
    return result;
}

support::Goals goals;

void show(const char* name, const Result& result) {
    std::printf("%-46s %12.0f decisions/s, p50 %8.2f us, p99 %8.2f us%s\n", name, result.per_second, result.p50,
                result.p99, result.errors != 0 ? ", with ERRORS" : "");
    if (result.errors != 0) goals.fail();
}

template <class Limiter>
auto hot(const Limiter& limiter) {
    return [&limiter](auto&) { return limiter.try_consume("user:100000"); };
}
template <class Limiter>
auto cold(const Limiter& limiter) {
    return [&limiter](auto& random) {
        return limiter.try_consume("user:" + std::to_string(1'000'000 + random() % 1'000'000));
    };
}

/// How many times as fast as `plain` the other is, taken in turn.
template <class Plain, class Other>
double ratio(const char* plain_name, const Plain& plain, const char* name, const Other& other,
             std::chrono::milliseconds time, Result& last) {
    std::vector<double> ratios;
    Result base;
    for (int i = 0; i != 3; ++i) {
        base = run(time, plain);
        last = run(time, other);
        ratios.push_back(last.per_second / base.per_second);
    }
    show(plain_name, base);
    show(name, last);
    return support::median(ratios);
}

}  // namespace

int main(int argc, char* argv[]) {
    auto time = 1'000ms;
    for (int i = 1; i < argc; ++i) {
        if (std::strcmp(argv[i], "--quick") != 0) {
            std::fprintf(stderr, "unknown option: %s\n", argv[i]);
            return 2;
        }
        time = 300ms;
    }
    std::printf("%s\n", support::machine().c_str());
    support::pin_thread(0);  // inherited by the server
    RedisServer server;
    support::pin_thread(1);  // inherited by the threads of the clients
    const sluice::RedisStore redis{server.url(), {.timeout = 5s}};
    Result last;

    const sluice::FixedWindow ample{1'000'000'000, 1h};  // more than is asked for in all
    {
        const sluice::RateLimiter plain{ample, redis, {.name = "plain"}};
        const sluice::Lease lease{redis};
        const sluice::RateLimiter leased{ample, lease, {.name = "leased"}};
        const double times = ratio("hot key, all admitted: RedisStore", hot(plain), "Lease", hot(leased), time, last);
        const auto stats = lease.stats();
        std::printf("  %llu units from %llu leases, %llu held, %llu returned\n",
                    static_cast<unsigned long long>(stats.hits), static_cast<unsigned long long>(stats.leases),
                    static_cast<unsigned long long>(stats.held), static_cast<unsigned long long>(stats.returned));
        goals.expect("times RedisStore's decisions per second", times, ">=", 50);
        goals.expect("p99 of a decision, us", last.p99, "<=", 5);
    }
    const sluice::FixedWindow scarce{1, 24h};
    {
        const sluice::RateLimiter plain{scarce, redis, {.name = "plain"}};
        const sluice::RateLimiter cached{scarce, sluice::DenialCache{redis}, {.name = "cached"}};
        const double times =
            ratio("hot key, all denied: RedisStore", hot(plain), "DenialCache", hot(cached), time, last);
        goals.expect("times RedisStore's decisions per second", times, ">=", 100);
    }
    {
        const sluice::RateLimiter plain{ample, redis, {.name = "cold"}};
        const sluice::RateLimiter both{ample, sluice::DenialCache{sluice::Lease{redis}}, {.name = "cold"}};
        const double times =
            ratio("a million cold keys: RedisStore", cold(plain), "DenialCache{Lease}", cold(both), time, last);
        goals.expect("times RedisStore's decisions per second", times, ">=", 0.9);
    }
    return goals.conclude();
}
