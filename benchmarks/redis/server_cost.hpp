// SPDX-License-Identifier: MIT
#ifndef SLUICE_BENCHMARKS_REDIS_SERVER_COST_HPP
#define SLUICE_BENCHMARKS_REDIS_SERVER_COST_HPP

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <hiredis/hiredis.h>

#include <sluice/redis.hpp>
#include <sluice/sluice.hpp>

#include "support/redis_server.hpp"

// What a decision costs the server: its time on a processor, from the kernel's accounting, per decision. The client
// writes 64 requests at a time on one connection, so that neither waiting nor waking counts.
namespace server_cost {

/// One kind of request: as RESP, with so many decisions in it.
struct Contender {
    std::string name;
    int decisions;
    std::function<void(std::string& out)> append;
    std::vector<double> costs{};  ///< us per decision, one for each round
};

/// Microseconds that a process has spent on processors.
inline double processor_time(pid_t pid) {
    std::ifstream file{"/proc/" + std::to_string(pid) + "/schedstat"};
    double nanoseconds = 0;
    file >> nanoseconds;
    return nanoseconds / 1e3;
}

inline void fail(const std::string& what) {
    std::fprintf(stderr, "%s\n", what.c_str());
    std::exit(1);
}

/// The fixed part of a request that runs `text`: the script is loaded now.
inline std::string load(const RedisServer& server, std::string_view text) {
    return server.command({"SCRIPT", "LOAD", text});
}

/// EVALSHA with `keys` and the arguments that follow them, in RESP.
inline void append_run(std::string& out, const std::string& sha, const std::vector<std::string>& keys,
                       std::size_t arguments, std::string_view tail) {
    using namespace sluice::detail::redis;
    append_head(out, 3 + keys.size() + arguments);
    append_argument(out, std::string_view{"EVALSHA"});
    append_argument(out, sha);
    append_argument(out, keys.size());
    for (const auto& key : keys) append_argument(out, key);
    out += tail;
}

/// A policy's own script deciding `count` times at once, on `distinct` hot keys.
template <sluice::Policy P>
Contender ours(const RedisServer& server, const std::string& name, const P& policy, std::size_t count,
               std::size_t distinct) {
    using Script = sluice::RedisPolicy<P>;
    const auto variant = Script::variant(policy);
    const sluice::detail::redis::ScriptFrame frame{Script::parts[variant], false};
    sluice::detail::redis::Arguments arguments;
    Script::arguments(policy, variant, 0, arguments);
    arguments.add(1);
    std::vector<std::string> keys;
    for (std::size_t i = 0; i != count; ++i) {
        keys.push_back(sluice::detail::redis::key_prefix("sluice", "api", std::hash<std::string>{}(name), false) +
                       "user:" + std::to_string(100'000 + i % distinct));
    }
    const auto sha = load(server, count == 1 ? frame.single() : frame.batch());
    return {name, static_cast<int>(count),
            [=](std::string& out) { append_run(out, sha, keys, arguments.count, arguments.bytes); }};
}

/// Runs all contenders in turn, `rounds` times.
inline void measure(const RedisServer& server, std::vector<Contender>& contenders, int rounds,
                    std::chrono::milliseconds slice) {
    const std::unique_ptr<redisContext, void (*)(redisContext*)> context{redisConnectUnix(server.socket_path().c_str()),
                                                                         redisFree};
    if (!context || context->err != 0) fail("cannot connect");
    for (int round = 0; round != rounds; ++round) {
        for (Contender& contender : contenders) {
            std::string requests;
            double decisions = 0;
            const double before = processor_time(server.pid());
            const auto end = std::chrono::steady_clock::now() + slice;
            while (std::chrono::steady_clock::now() < end) {
                requests.clear();
                for (int i = 0; i != 64; ++i) contender.append(requests);
                if (redisAppendFormattedCommand(context.get(), requests.data(), requests.size()) != REDIS_OK)
                    fail("no memory");
                for (int i = 0; i != 64; ++i) {
                    void* reply = nullptr;
                    if (redisGetReply(context.get(), &reply) != REDIS_OK) fail(context->errstr);
                    const auto* const told = static_cast<redisReply*>(reply);
                    if (told->type == REDIS_REPLY_ERROR) fail(contender.name + ": " + told->str);
                    freeReplyObject(reply);
                }
                decisions += 64.0 * contender.decisions;
            }
            contender.costs.push_back((processor_time(server.pid()) - before) / decisions);
        }
    }
}

inline double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values.empty() ? 0 : values[values.size() / 2];
}

/// The median over the rounds of the ratio of two contenders in one round.
inline double ratio(const Contender& one, const Contender& other) {
    std::vector<double> ratios;
    for (std::size_t i = 0; i != one.costs.size(); ++i) ratios.push_back(one.costs[i] / other.costs[i]);
    return median(ratios);
}

}  // namespace server_cost

#endif
