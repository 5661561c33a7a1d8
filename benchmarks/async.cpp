// SPDX-License-Identifier: MIT
//
// Event loops that ask Redis, against threads that do: how long others on the loop wait while Redis is late, and how many
// decisions a second one loop makes.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>
#include <asio/strand.hpp>
#include <asio/use_awaitable.hpp>

#include <sluice/asio.hpp>
#include <sluice/sluice.hpp>

#include "async/health.hpp"
#include "redis/clients.hpp"
#include "support/fake_server.hpp"
#include "support/goals.hpp"
#include "support/machine.hpp"
#include "support/processors.hpp"
#include "support/redis_server.hpp"

using namespace std::chrono_literals;

namespace {

struct Options {
    int rounds = 7;
    std::chrono::milliseconds run{1'000};
    std::chrono::milliseconds health{4'000};
};

const sluice::TokenBucket bucket{600'000, sluice::per_second(1)};

support::Goals goals;

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

void late_redis(const RedisServer& redis, const Options& options) {
    Proxy proxy{redis.socket_path()};
    proxy.set({.delay = 80ms});
    FakeServer late{[&](const FakePeer& peer) { proxy(peer); }};
    std::puts(
        "\nA server with 2 io threads, Redis 80 ms late, 16 clients   /health p50 ms    max ms   /limited per second");
    const auto show = [](const char* name, const health::Result& result) {
        std::printf("  %-56s %14.2f %9.1f %21.0f\n", name, result.health_p50_ms, result.health_max_ms,
                    result.limited_per_second);
    };
    health::Result blocking, loop;
    {
        const sluice::RateLimiter limiter{bucket, sluice::RedisStore{late.url(), {.timeout = 1s}}};
        health::Server server{[&]() -> asio::awaitable<bool> { co_return limiter.try_consume("user").allowed; }};
        server.start(2);
        blocking = health::measure(server.port(), 16, options.health);
        show("RedisStore", blocking);
    }
    {
        std::unique_ptr<const sluice::RateLimiter<sluice::TokenBucket, sluice::AsioRedis>> limiter;
        health::Server server{[&]() -> asio::awaitable<bool> {
            co_return (co_await sluice::async_try_consume(*limiter, "user", 1, asio::use_awaitable)).allowed;
        }};
        limiter = std::make_unique<const sluice::RateLimiter<sluice::TokenBucket, sluice::AsioRedis>>(
            bucket, sluice::AsioRedis{asio::make_strand(server.io), late.url(), {.timeout = 1s}});
        server.start(2);
        loop = health::measure(server.port(), 16, options.health);
        show("AsioRedis", loop);
        server.stop();
        limiter.reset();  // before the loop is gone
    }
    goals.expect("/health p50 in ms with AsioRedis", loop.health_p50_ms, "<=", 2);
}

/// Decisions per second of so many coroutines on one loop; `limiter_of(i)` is what the i-th asks.
template <class LimiterOf>
double coroutines(asio::io_context& io, int count, std::chrono::milliseconds time, LimiterOf limiter_of) {
    bool over = false;
    std::uint64_t decisions = 0;
    for (int i = 0; i != count; ++i) {
        asio::co_spawn(
            io,
            [&, i]() -> asio::awaitable<void> {
                const auto& limiter = limiter_of(i);
                while (!over) {
                    const sluice::Decision decision =
                        co_await sluice::async_try_consume(limiter, "user:100000", 1, asio::use_awaitable);
                    if (decision.error) server_cost::fail("a decision failed");
                    ++decisions;
                }
            },
            asio::detached);
    }
    io.restart();
    io.run_for(100ms);  // dials
    decisions = 0;
    const auto start = std::chrono::steady_clock::now();
    io.run_for(time);
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    const auto made = static_cast<double>(decisions);
    over = true;
    io.run();
    return made / elapsed.count();
}

void throughput(const RedisServer& redis, const Options& options) {
    using Limiter = sluice::RateLimiter<sluice::TokenBucket, sluice::AsioRedis>;
    const sluice::RedisOptions patient{.timeout = 5s};
    std::puts("\nDecisions per second                                         median");
    for (const bool tcp : {false, true}) {
        const std::string url = tcp ? redis.tcp_url() : redis.url();
        std::vector<double> threads, loop, each_its_own, to_threads, to_its_own;
        for (int round = 0; round != options.rounds; ++round) {
            {
                const sluice::RateLimiter limiter{bucket, sluice::RedisStore{url, patient}};
                threads.push_back(clients::run(64, options.run, 1, [&](int) -> std::function<void()> {
                                      return [&limiter] {
                                          if (limiter.try_consume("user:100000").error)
                                              server_cost::fail("a decision failed");
                                      };
                                  }).per_second);
            }
            {
                asio::io_context io{1};
                const Limiter limiter{bucket, sluice::AsioRedis{io, url, patient}};
                loop.push_back(coroutines(io, 256, options.run, [&](int) -> const Limiter& { return limiter; }));
            }
            {
                asio::io_context io{1};
                std::vector<Limiter> limiters;
                for (int i = 0; i != 256; ++i) limiters.emplace_back(bucket, sluice::AsioRedis{io, url, patient});
                each_its_own.push_back(coroutines(io, 256, options.run, [&](int i) -> const Limiter& {
                    return limiters[static_cast<std::size_t>(i)];
                }));
            }
            to_threads.push_back(loop.back() / threads.back());
            to_its_own.push_back(loop.back() / each_its_own.back());
        }
        const char* const transport = tcp ? "TCP" : "unix";
        std::printf("  %s, 64 threads, RedisStore %40.0f\n", transport, median(threads));
        std::printf("  %s, one loop, 256 coroutines, AsioRedis %27.0f\n", transport, median(loop));
        std::printf("  %s, one loop, 256 coroutines, a connection each %19.0f\n", transport, median(each_its_own));
        goals.expect(std::string{transport} + ": one loop, as often as 64 threads", median(to_threads), ">=", 1.3);
        goals.expect(std::string{transport} + ": one loop, as often as with a connection per coroutine",
                     median(to_its_own), ">=", 3);
    }
}

}  // namespace

int main(int argc, char* argv[]) {
    Options options;
    for (int i = 1; i < argc; ++i) {
        if (std::strcmp(argv[i], "--quick") == 0) {
            options = {.rounds = 3, .run = 300ms, .health = 2'000ms};
        } else {
            std::fprintf(stderr, "unknown option: %s\n", argv[i]);
            return 2;
        }
    }
    std::printf("%s\n", support::machine().c_str());
    {
        const RedisServer server;
        late_redis(server, options);
    }
    support::pin_thread(0);  // inherited by the server
    const RedisServer server;
    support::pin_thread(1);  // inherited by the threads of the clients
    std::printf("\nRedis %s, its server on one processor, the clients on another\n",
                server.info("redis_version").c_str());
    throughput(server, options);
    return goals.conclude();
}
