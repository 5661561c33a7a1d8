// SPDX-License-Identifier: MIT
#ifndef SLUICE_TESTS_SUPPORT_REDIS_SENTINELS_HPP
#define SLUICE_TESTS_SUPPORT_REDIS_SENTINELS_HPP

#include <chrono>
#include <cstddef>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "support/redis_server.hpp"

/// A master, its replicas, and sentinels that replace it when it has been silent for half a second.
class RedisSentinels {
public:
    static constexpr const char* name = "limits";

    /// `options` are further arguments of each server, `config` is a further part of each sentinel's configuration.
    explicit RedisSentinels(std::size_t replicas = 2, std::size_t sentinels = 3,
                            const std::vector<std::string>& options = {}, const std::string& config = {}) {
        for (std::size_t i = 0; i != replicas + 1; ++i) {
            auto all = options;
            all.insert(all.end(), {"--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"});
            if (i != 0) all.insert(all.end(), {"--replicaof", "127.0.0.1 " + std::to_string(node(0).port())});
            nodes_.push_back(std::make_unique<RedisServer>(all));
        }
        const std::string monitored = name;
        const std::string text = "sentinel monitor " + monitored + " 127.0.0.1 " + std::to_string(node(0).port()) +
                                 " " + std::to_string(sentinels / 2 + 1) + "\nsentinel down-after-milliseconds " +
                                 monitored + " 500\nsentinel failover-timeout " + monitored +
                                 " 2000\nsentinel parallel-syncs " + monitored + " " + std::to_string(replicas + 1) +
                                 "\n" + config;
        for (std::size_t i = 0; i != sentinels; ++i) {
            sentinels_.push_back(
                std::make_unique<RedisServer>("127.0.0.1", 0, std::vector<std::string>{"--sentinel"}, text));
        }
        for (std::size_t i = 1; i != nodes_.size(); ++i)
            wait_for("replica", [&] { return node(i).info("master_link_status") == "up"; });
        const auto peers = "num-other-sentinels " + std::to_string(sentinels - 1) + " ";
        const auto slaves = "num-slaves " + std::to_string(replicas) + " ";
        for (std::size_t i = 0; i != sentinels; ++i) {
            wait_for("sentinel that knows all", [&] {
                const auto known = sentinel(i).command({"SENTINEL", "MASTER", name});
                return known.find(peers) != std::string::npos && known.find(slaves) != std::string::npos;
            });
        }
    }

    /// The master of the beginning is number 0.
    RedisServer& node(std::size_t index) noexcept { return *nodes_[index]; }
    std::size_t nodes() const noexcept { return nodes_.size(); }
    RedisServer& sentinel(std::size_t index) noexcept { return *sentinels_[index]; }

    std::string url(const std::string& who = {}) const {
        std::string all = "redis+sentinel://" + who;
        for (const auto& one : sentinels_)
            all += (one == sentinels_.front() ? "127.0.0.1:" : ",127.0.0.1:") + std::to_string(one->port());
        return all + "/" + name;
    }

    /// The node that all sentinels name, or nodes().
    std::size_t named() {
        std::string port;
        for (const auto& one : sentinels_) {
            const auto answer = one->command({"SENTINEL", "GET-MASTER-ADDR-BY-NAME", name});
            const auto theirs = answer.substr(answer.find(' ') + 1);
            if (!port.empty() && theirs != port) return nodes();
            port = theirs;
        }
        for (std::size_t i = 0; i != nodes(); ++i) {
            if (std::to_string(node(i).port()) == port) return i;
        }
        return nodes();
    }
    /// Until all of them name another node than this.
    std::size_t wait_for_verdict(std::size_t against) {
        std::size_t now = against;
        wait_for("verdict", [&] {
            now = named();
            return now != against && now != nodes();
        });
        return now;
    }

    template <class Condition>
    static void wait_for(const char* what, Condition condition) {
        for (int attempt = 0; !condition(); ++attempt) {
            if (attempt == 3'000) throw std::runtime_error{std::string{"no "} + what + " within 30 s"};
            std::this_thread::sleep_for(std::chrono::milliseconds{10});
        }
    }

private:
    std::vector<std::unique_ptr<RedisServer>> nodes_{};
    std::vector<std::unique_ptr<RedisServer>> sentinels_{};
};

#endif
