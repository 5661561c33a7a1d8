// SPDX-License-Identifier: MIT
//
// What a decision costs the client of a cluster of three masters, beside the client of three plain servers whose program
// spreads its keys over them; and the same over TLS. Servers run on the first processor, clients on the second.
#include <sys/resource.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <sluice/redis.hpp>
#include <sluice/sluice.hpp>
#include <sluice/tls.hpp>

#include "redis/clients.hpp"
#include "support/certificates.hpp"
#include "support/machine.hpp"
#include "support/processors.hpp"
#include "support/redis_cluster.hpp"
#include "support/results.hpp"

using namespace std::chrono_literals;

namespace {

struct Options {
    int rounds = 9;
    std::chrono::milliseconds run{400};
};

const sluice::TokenBucket bucket{600'000, sluice::per_second(1)};
using Limiter = sluice::RateLimiter<sluice::TokenBucket, sluice::RedisStore>;
constexpr std::size_t servers = 3;
constexpr std::size_t batch = 60;

/// Keys, and limiters to ask: of a cluster, one; of plain servers, one each, for every third key.
struct Contender {
    std::string name;
    std::vector<Limiter> limiters;
};

const std::vector<std::string>& keys() {
    static const std::vector<std::string> all = [] {
        std::vector<std::string> made;
        for (int i = 0; i != 3'000; ++i) made.push_back("user:" + std::to_string(100'000 + i));
        return made;
    }();
    return all;
}

/// Single decisions, on whichever server has the key.
std::function<void()> one_by_one(const Contender& who, int thread) {
    return [&who, i = static_cast<std::size_t>(thread) * 7]() mutable {
        const std::size_t key = i++ % keys().size();
        if (who.limiters[key % who.limiters.size()].try_consume(keys()[key]).error)
            server_cost::fail("a decision failed");
    };
}

/// Many at once; plain servers are asked one after the other, for their share.
std::function<void()> in_batches(const Contender& who, int) {
    return [&who, i = std::size_t{0}]() mutable {
        std::array<std::string_view, batch> some;
        std::array<sluice::Decision, batch> out;
        const std::size_t share = batch / who.limiters.size();
        for (std::size_t l = 0; l != who.limiters.size(); ++l) {
            for (std::size_t k = 0; k != share; ++k) some[k] = keys()[i++ % keys().size()];
            who.limiters[l].try_consume_many(std::span<const std::string_view>{some}.first(share),
                                             std::span{out}.first(share));
            if (out[0].error) server_cost::fail("a decision failed");
        }
    };
}

double processor_us() {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    const auto us = [](const timeval& time) {
        return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_usec);
    };
    return us(usage.ru_utime) + us(usage.ru_stime);
}

struct Cost {
    std::vector<double> us, per_second;
};

/// The contenders in turns, so that whatever else the machine does concerns them all. By their order.
std::vector<Cost> measure(const std::deque<Contender>& all, int threads, int decisions, const Options& options,
                          std::function<void()> (*work)(const Contender&, int)) {
    std::vector<Cost> costs(all.size());
    for (int round = 0; round != options.rounds; ++round) {
        for (std::size_t c = 0; c != all.size(); ++c) {
            const double before = processor_us();
            const auto result =
                clients::run(threads, options.run, decisions, [&](int thread) { return work(all[c], thread); });
            const double seconds = std::chrono::duration<double>{options.run}.count();
            costs[c].us.push_back((processor_us() - before) / (result.per_second * seconds));
            costs[c].per_second.push_back(result.per_second);
        }
    }
    return costs;
}

double ratio(const Cost& of, const Cost& to) {
    std::vector<double> ratios;
    for (std::size_t i = 0; i != of.us.size(); ++i) ratios.push_back(of.us[i] / to.us[i]);
    return support::median(ratios);
}

}  // namespace

int main(int argc, char* argv[]) {
    Options options;
    for (int i = 1; i < argc; ++i) {
        if (std::strcmp(argv[i], "--quick") == 0) {
            options = {.rounds = 5, .run = 150ms};
        } else {
            std::fprintf(stderr, "unknown option: %s\n", argv[i]);
            return 2;
        }
    }
    std::printf("%s\n", support::machine().c_str());
    support::pin_thread(0);  // inherited by the servers
    const Certificates files;
    std::deque<RedisServer> plain;
    std::deque<RedisServer> plain_tls;
    std::vector<int> tls_ports;
    for (std::size_t i = 0; i != servers; ++i) {
        plain.emplace_back();
        plain_tls.emplace_back(files.options(tls_ports.emplace_back(RedisServer::free_port())));
    }
    RedisCluster cluster{servers};
    RedisCluster cluster_tls{servers, false, {}, &files};
    support::pin_thread(1);  // inherited by the threads of the clients
    std::printf("Redis %s: %zu servers on one processor, the clients on another\n",
                plain[0].info("redis_version").c_str(), servers);

    const sluice::RedisOptions patient{.timeout = 5s};
    sluice::RedisOptions secure = patient;
    secure.tls = sluice::Tls{.ca_file = files.ca()};
    std::deque<Contender> all{{"plain", {}}, {"cluster", {}}, {"plain, TLS", {}}, {"cluster, TLS", {}}};
    const auto add = [&](std::size_t contender, const std::string& url, const sluice::RedisOptions& how) {
        all[contender].limiters.emplace_back(bucket, sluice::RedisStore{url, how});
    };
    for (std::size_t i = 0; i != servers; ++i) {
        add(0, plain[i].tcp_url(), patient);
        add(2, "rediss://127.0.0.1:" + std::to_string(tls_ports[i]), secure);
    }
    add(1, cluster.url(), patient);
    add(3, cluster_tls.url(), secure);

    bool all_hold = true;
    std::puts("\n                                        us of the client's     of plain   decisions/s");
    std::puts("                                        processor a decision");
    const auto show = [&](const std::string& what, const std::vector<Cost>& costs, double bound) {
        for (std::size_t c = 0; c != costs.size(); ++c) {
            const Cost& base = costs[c / 2 * 2];
            const double times = ratio(costs[c], base);
            const bool is_bound = bound > 0 && c % 2 == 1;
            const bool holds = !is_bound || times <= bound;
            all_hold = all_hold && holds;
            std::printf("  %-26s %-14s %8.2f %15.3f%s %12.0f  %s\n", what.c_str(), all[c].name.c_str(),
                        support::median(costs[c].us), times, is_bound ? " <= 1.15" : "        ",
                        support::median(costs[c].per_second), holds ? "" : "NO");
        }
    };
    for (const int threads : {1, 16})
        show(std::to_string(threads) + (threads == 1 ? " thread" : " threads"),
             measure(all, threads, 1, options, one_by_one), 1.15);
    // A script runs on one slot alone, so that a cluster is sent as many scripts as keys, and a plain server one.
    show(std::to_string(batch) + " keys at once", measure(all, 1, batch, options, in_batches), 0);
    std::printf("\n%s\n", all_hold ? "All ratios hold." : "Not all ratios hold.");
    return all_hold ? 0 : 1;
}
