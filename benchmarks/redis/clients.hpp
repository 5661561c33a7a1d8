// SPDX-License-Identifier: MIT
#ifndef SLUICE_BENCHMARKS_REDIS_CLIENTS_HPP
#define SLUICE_BENCHMARKS_REDIS_CLIENTS_HPP

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "redis/server_cost.hpp"

// What callers see: decisions per second and latency, from threads that decide one after the other.
namespace clients {

struct Result {
    double per_second = 0, p50 = 0, p99 = 0;  ///< latencies in us
};

/// `make(thread)` makes what one thread calls again and again; a call makes `decisions` decisions.
inline Result run(int threads, std::chrono::milliseconds time, int decisions,
                  const std::function<std::function<void()>(int thread)>& make) {
    using Clock = std::chrono::steady_clock;
    std::atomic<int> ready{0};
    std::atomic<bool> over{false};
    std::vector<std::vector<float>> latencies(static_cast<std::size_t>(threads));
    std::vector<std::thread> all;
    for (int t = 0; t != threads; ++t) {
        all.emplace_back([&, t] {
            const auto call = make(t);
            auto& mine = latencies[static_cast<std::size_t>(t)];
            mine.reserve(100'000);
            for (int i = 0; i != 20; ++i) call();
            ++ready;
            while (ready != threads) std::this_thread::yield();
            while (!over) {
                const auto start = Clock::now();
                call();
                mine.push_back(std::chrono::duration<float, std::micro>{Clock::now() - start}.count());
            }
        });
    }
    while (ready != threads) std::this_thread::sleep_for(std::chrono::milliseconds{1});
    const auto start = Clock::now();
    std::this_thread::sleep_for(time);
    over = true;
    for (auto& thread : all) thread.join();
    const std::chrono::duration<double> elapsed = Clock::now() - start;

    std::vector<float> merged;
    for (const auto& one : latencies) merged.insert(merged.end(), one.begin(), one.end());
    std::sort(merged.begin(), merged.end());
    Result result;
    result.per_second = static_cast<double>(merged.size()) * decisions / elapsed.count();
    if (!merged.empty()) {
        result.p50 = merged[merged.size() / 2];
        result.p99 = merged[merged.size() - 1 - merged.size() / 100];
    }
    return result;
}

/// A hiredis connection of the thread's own, which runs our script for a single decision: formatted once, so that it is the
/// least that a client can do.
inline std::function<void()> bare_connection(const RedisServer& server, bool tcp,
                                             const server_cost::Contender& script) {
    const std::shared_ptr<redisContext> context{
        tcp ? redisConnect("127.0.0.1", server.port()) : redisConnectUnix(server.socket_path().c_str()), redisFree};
    if (!context || context->err != 0) server_cost::fail("cannot connect");
    std::string request;
    script.append(request);
    return [context, request] {
        void* reply = nullptr;
        if (redisAppendFormattedCommand(context.get(), request.data(), request.size()) != REDIS_OK ||
            redisGetReply(context.get(), &reply) != REDIS_OK) {
            server_cost::fail(context->errstr);
        }
        freeReplyObject(reply);
    };
}

}  // namespace clients

#endif
