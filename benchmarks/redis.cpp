// SPDX-License-Identifier: MIT
//
// The Redis store against the usual scripts and against one connection per thread, on a private server that is pinned to
// the first processor; the clients run on the others.
#include <cstdio>
#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "redis/clients.hpp"
#include "redis/recipes.hpp"
#include "redis/server_cost.hpp"
#include "support/goals.hpp"
#include "support/machine.hpp"
#include "support/processors.hpp"

using namespace std::chrono_literals;

namespace {

struct Options {
    int rounds = 25;
    std::chrono::milliseconds slice{20};
    std::chrono::milliseconds run{1000};
    int repeats = 3;
    std::size_t keys = 1'000'000;
};

const sluice::TokenBucket bucket{600'000, sluice::per_second(1)};
const sluice::FixedWindow window{500'000, 1h};

support::Goals goals;

void server_costs(const RedisServer& server, const Options& options) {
    using server_cost::Contender;
    const auto now = "1767225600.123456";
    const auto recipe = [&](const char* name, std::string_view script, const std::vector<std::string>& arguments) {
        sluice::detail::redis::Arguments tail;
        for (const auto& argument : arguments) tail.add(argument);
        const auto sha = server_cost::load(server, script);
        return Contender{name, 1, [=](std::string& out) {
                             server_cost::append_run(out, sha, {"recipe:user:100000" + std::string{name}}, tail.count,
                                                     tail.bytes);
                         }};
    };
    std::vector<Contender> all;
    all.push_back(recipe("recipe: token bucket", recipes::token_bucket, {"600000000", "1000000", now, "1"}));
    // 1,000 entries, at the limit: each request drops the oldest and adds one.
    const auto log_sha = server_cost::load(server, recipes::log);
    auto time = std::make_shared<double>(1.0);
    all.push_back({"recipe: log", 1, [=](std::string& out) {
                       *time += 1;
                       sluice::detail::redis::Arguments tail;
                       for (const auto& argument : {std::string{"999.5"}, std::string{"1000"}, std::to_string(*time),
                                                    std::to_string(*time) + "-5f2a9c"})
                           tail.add(argument);
                       server_cost::append_run(out, log_sha, {"recipe:log"}, tail.count, tail.bytes);
                   }});
    {
        const sluice::SlidingWindow policy{1'000, 1ms * 999};
        using Script = sluice::RedisPolicy<sluice::SlidingWindow>;
        // With the client's time, so that the log stays at its limit; asking for the server's comes on top, as it would.
        const auto sha = server_cost::load(
            server, "redis.call('TIME')\n" + sluice::detail::redis::ScriptFrame{Script::parts[0], true}.single());
        auto us = std::make_shared<std::int64_t>(1'000'000'000);
        all.push_back({"exact log, 1,000 entries", 1, [=](std::string& out) {
                           *us += 1'000;
                           sluice::detail::redis::Arguments tail;
                           tail.add(*us);
                           Script::arguments(policy, 0, 3'600'000, tail);
                           tail.add(1);
                           server_cost::append_run(out, sha, {"sluice:log"}, tail.count, tail.bytes);
                       }});
    }
    const auto return_1 = server_cost::load(server, "return 1");
    all.push_back({"PING", 1, [](std::string& out) { out += "*1\r\n$4\r\nPING\r\n"; }});
    all.push_back(
        {"EVALSHA \"return 1\"", 1, [=](std::string& out) { server_cost::append_run(out, return_1, {"key"}, 0, {}); }});
    all.push_back(server_cost::ours(server, "token bucket", bucket, 1, 1));
    all.push_back(server_cost::ours(server, "fixed window", window, 1, 1));
    all.push_back(
        server_cost::ours(server, "sliding window counter", sluice::SlidingWindowCounter{50'000'000, 1h}, 1, 1));
    for (const std::size_t count : {8UL, 32UL, 64UL}) {
        const auto of = " x " + std::to_string(count);
        all.push_back(server_cost::ours(server, "token bucket" + of, bucket, count, 1));
        all.push_back(server_cost::ours(server, "token bucket" + of + ", all keys different", bucket, count, count));
        all.push_back(server_cost::ours(server, "fixed window" + of, sluice::FixedWindow{500'000'000, 1h}, count, 1));
        all.push_back(server_cost::ours(server, "fixed window" + of + ", all keys different",
                                        sluice::FixedWindow{500'000'000, 1h}, count, count));
    }
    server_cost::measure(server, all, options.rounds, options.slice);

    std::map<std::string, const Contender*> by_name;
    std::puts("\nServer's processor time per decision       us   of the recipe's token bucket");
    for (const auto& one : all) {
        by_name[one.name] = &one;
        std::printf("  %-38s %6.2f   %5.3f\n", one.name.c_str(), server_cost::median(one.costs),
                    server_cost::ratio(one, all[0]));
    }
    const auto of_recipe = [&](const char* name) { return server_cost::ratio(*by_name.at(name), all[0]); };
    std::puts("");
    goals.expect("token bucket, of the recipe's", of_recipe("token bucket"), "<=", 0.72);
    goals.expect("token bucket, batch of 32, of the recipe's", of_recipe("token bucket x 32"), "<=", 0.32);
    goals.expect("  all keys different", of_recipe("token bucket x 32, all keys different"), "<=", 0.32);
    goals.expect("fixed window, of the recipe's token bucket", of_recipe("fixed window"), "<=", 0.62);
    goals.expect("fixed window, batch of 32, of the recipe's token bucket", of_recipe("fixed window x 32"), "<=", 0.2);
    goals.expect("  all keys different", of_recipe("fixed window x 32, all keys different"), "<=", 0.2);
    goals.expect("exact log at 1,000 entries, of the recipe's",
                 server_cost::ratio(*by_name.at("exact log, 1,000 entries"), *by_name.at("recipe: log")), "<=", 1.3);

    const auto bytes = [&](const char* key) {
        return std::stod(server.command({"MEMORY", "USAGE", key, "SAMPLES", "0"}));
    };
    goals.expect("bytes of the exact log with 1,000 entries, of the sorted set's",
                 bytes("sluice:log") / bytes("recipe:log"), "<=", 0.25);
}

void client_speed(const RedisServer& server, const Options& options) {
    const auto script = server_cost::ours(server, "clients", bucket, 1, 1);
    std::puts("\nClients                                decisions/s     p50 us     p99 us");
    const auto show = [](const std::string& name, const clients::Result& result) {
        std::printf("  %-36s %11.0f %10.1f %10.1f\n", name.c_str(), result.per_second, result.p50, result.p99);
    };
    std::vector<std::string> summary;
    for (const bool tcp : {false, true}) {
        const std::string transport = tcp ? "TCP" : "unix";
        for (const int threads : {1, 16, 64}) {
            const sluice::RateLimiter limiter{
                bucket, sluice::RedisStore{tcp ? server.tcp_url() : server.url(), {.timeout = 5s}}};
            const auto ours = [&](int) -> std::function<void()> {
                return [&limiter] {
                    if (limiter.try_consume("user:100000").error) server_cost::fail("a decision failed");
                };
            };
            const auto theirs = [&](int) { return clients::bare_connection(server, tcp, script); };
            std::vector<double> ratios, tails;
            clients::Result a, b;
            for (int i = 0; i != options.repeats; ++i) {
                a = clients::run(threads, options.run, 1, theirs);
                b = clients::run(threads, options.run, 1, ours);
                ratios.push_back(b.per_second / a.per_second);
                tails.push_back(b.p99 / a.p99);
            }
            const std::string name = transport + ", " + std::to_string(threads) + " threads, ";
            show(name + "hiredis", a);
            show(name + "sluice", b);
            const auto stats = limiter.store().stats();
            std::printf("    ratio %.2f, p99 %.2f, %.1f decisions a script, %.1f a round trip\n",
                        server_cost::median(ratios), server_cost::median(tails),
                        static_cast<double>(stats.decisions) / static_cast<double>(stats.scripts),
                        static_cast<double>(stats.decisions) / static_cast<double>(stats.round_trips));
            if (threads == 64) {
                goals.expect(transport + ", 64 threads: decisions per second", server_cost::median(ratios), ">=", 1.8);
                goals.expect(transport + ", 64 threads: p99", server_cost::median(tails), "<=", 1.0);
            } else if (threads == 1) {
                goals.expect(transport + ", 1 thread: decisions per second", server_cost::median(ratios), ">=", 0.95);
            }
        }
        const sluice::RateLimiter limiter{bucket,
                                          sluice::RedisStore{tcp ? server.tcp_url() : server.url(), {.timeout = 5s}}};
        std::vector<std::string> names;
        for (int i = 0; i != 64; ++i) names.push_back("user:" + std::to_string(i));
        const std::vector<std::string_view> keys{names.begin(), names.end()};
        std::vector<double> ratios;
        clients::Result one, many;
        for (int i = 0; i != options.repeats; ++i) {
            one = clients::run(1, options.run, 1,
                               [&](int) { return [&] { static_cast<void>(limiter.try_consume("user:1")); }; });
            many = clients::run(1, options.run, 64, [&](int) {
                return [&limiter, &keys, out = std::vector<sluice::Decision>(64)]() mutable {
                    limiter.try_consume_many(keys, out);
                };
            });
            ratios.push_back(many.per_second / one.per_second);
        }
        show(transport + ", try_consume", one);
        show(transport + ", try_consume_many of 64", many);
        goals.expect(transport + ", try_consume_many of 64: decisions per second", server_cost::median(ratios),
                     ">=", 3);
    }
}

void memory(const RedisServer& server, const Options& options) {
    server.command({"FLUSHALL"});
    const double before = std::stod(server.info("used_memory"));
    const sluice::RateLimiter limiter{bucket, sluice::RedisStore{server.url(), {.timeout = 5s}}, {.name = "api"}};
    std::vector<std::string> names(128);
    std::vector<sluice::Decision> out(names.size());
    for (std::size_t i = 0; i < options.keys; i += names.size()) {
        std::vector<std::string_view> keys;
        for (std::size_t j = 0; j != names.size(); ++j) {
            names[j] = "user:" + std::to_string(i + j);
            keys.push_back(names[j]);
        }
        limiter.try_consume_many(keys, out);
        if (out[0].error) server_cost::fail("a decision failed");
    }
    const double keys = std::stod(server.command({"DBSIZE"}));
    std::printf("\nMemory, %.0f keys\n", keys);
    goals.expect("bytes for each key of a token bucket", (std::stod(server.info("used_memory")) - before) / keys,
                 "<=", 160);
}

}  // namespace

int main(int argc, char* argv[]) {
    Options options;
    for (int i = 1; i < argc; ++i) {
        if (std::strcmp(argv[i], "--quick") == 0) {
            options = {.rounds = 9, .slice = 10ms, .run = 300ms, .repeats = 3, .keys = 100'000};
        } else {
            std::fprintf(stderr, "unknown option: %s\n", argv[i]);
            return 2;
        }
    }
    std::printf("%s\n", support::machine().c_str());
    support::pin_thread(0);  // inherited by the server
    RedisServer server;
    support::pin_thread(1);  // inherited by the threads of the clients
    std::printf("Redis %s, its server on one processor, the clients on another\n",
                server.info("redis_version").c_str());
    server_costs(server, options);
    client_speed(server, options);
    memory(server, options);
    return goals.conclude();
}
