// SPDX-License-Identifier: MIT
#ifndef SLUICE_TESTS_SUPPORT_REDIS_CLUSTER_HPP
#define SLUICE_TESTS_SUPPORT_REDIS_CLUSTER_HPP

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <sluice/redis/wire/slot.hpp>

#include "support/certificates.hpp"
#include "support/redis_server.hpp"

/// A Redis cluster of the test's own: some masters, each with as many slots, and a replica of each if wanted. A slot that
/// nobody serves does not keep the others from being served, and a master that is silent for half a second is replaced.
class RedisCluster {
public:
    /// `options` are further arguments of each redis-server. With certificates, the nodes speak TLS to clients and each other.
    explicit RedisCluster(std::size_t masters, bool replicas = false, std::vector<std::string> options = {},
                          const Certificates* tls = nullptr)
        : scheme_(tls == nullptr ? "redis" : "rediss") {
        for (const char* option :
             {"--cluster-enabled", "yes", "--cluster-node-timeout", "500", "--cluster-require-full-coverage", "no",
              "--cluster-replica-validity-factor", "0", "--repl-diskless-sync-delay", "0"})
            options.emplace_back(option);
        for (std::size_t i = 0; i != masters * (replicas ? 2 : 1); ++i) {
            ports_.push_back(free_port());
            auto all = options;
            if (tls != nullptr) {
                for (auto& option : tls->options(ports_[i])) all.push_back(option);
                all.insert(all.end(), {"--tls-cluster", "yes", "--tls-replication", "yes"});
            }
            const int own = tls == nullptr ? ports_[i] : RedisServer::free_port();
            nodes_.push_back(std::make_unique<RedisServer>("127.0.0.1", own, all));
        }
        masters_ = masters;
        for (std::size_t i = 0; i != masters; ++i) {
            must(node(i).command({"CLUSTER", "SET-CONFIG-EPOCH", std::to_string(i + 1)}));
            add_slots(i);
        }
        for (std::size_t i = 1; i != nodes_.size(); ++i)
            must(node(i).command({"CLUSTER", "MEET", "127.0.0.1", std::to_string(port(0))}));
        const auto known = "cluster_known_nodes:" + std::to_string(nodes_.size()) + "\r";
        wait_for("nodes that know each other", [&](RedisServer& one) {
            return one.command({"CLUSTER", "INFO"}).find(known) != std::string::npos;
        });
        for (std::size_t i = masters; i != nodes_.size(); ++i)
            must(node(i).command({"CLUSTER", "REPLICATE", id(i - masters)}));
        wait_for("a cluster", [](RedisServer& one) {
            return one.command({"CLUSTER", "INFO"}).find("cluster_state:ok") != std::string::npos &&
                   one.command({"CLUSTER", "SLOTS"}).find("16383") != std::string::npos;
        });
        for (std::size_t i = masters; i != nodes_.size(); ++i)
            wait_for("a replica", node(i), [](RedisServer& one) { return one.info("master_link_status") == "up"; });
    }

    /// The masters of the beginning come first, then their replicas in the same order.
    RedisServer& node(std::size_t index) noexcept { return *nodes_[index]; }
    RedisServer& replica_of(std::size_t master) noexcept { return node(masters_ + master); }
    std::size_t masters() const noexcept { return masters_; }
    std::string id(std::size_t index) { return node(index).command({"CLUSTER", "MYID"}); }

    /// Names one of the nodes, as a program would name a few.
    std::string url(std::size_t index = 0) { return scheme_ + "+cluster://127.0.0.1:" + std::to_string(port(index)); }
    int port(std::size_t index) const noexcept { return ports_[index]; }  ///< for its clients

    /// Which of the masters had a key's slot at the beginning.
    std::size_t first_owner(std::string_view key) const noexcept {
        return sluice::detail::redis::slot_of(key) * masters_ / sluice::detail::redis::slot_count;
    }

    // The steps by which a slot is moved with all its keys.

    void begin_move(std::size_t slot, std::size_t from, std::size_t to) {
        const auto number = std::to_string(slot);
        must(node(to).command({"CLUSTER", "SETSLOT", number, "IMPORTING", id(from)}));
        must(node(from).command({"CLUSTER", "SETSLOT", number, "MIGRATING", id(to)}));
    }
    /// At most `count` keys; false where there were none.
    bool move_keys(std::size_t slot, std::size_t from, std::size_t to, std::size_t count) {
        const auto keys = node(from).command({"CLUSTER", "GETKEYSINSLOT", std::to_string(slot), std::to_string(count)});
        if (keys.empty()) return false;
        const auto target = std::to_string(port(to));
        std::vector<std::string_view> words{"MIGRATE", "127.0.0.1", target, "", "0", "5000", "KEYS"};
        for (std::size_t begin = 0; begin < keys.size();) {  // our keys hold no spaces
            const auto end = std::min(keys.find(' ', begin), keys.size());
            words.push_back(std::string_view{keys}.substr(begin, end - begin));
            begin = end + 1;
        }
        const auto answer = node(from).command(words);
        if (answer != "OK" && answer != "NOKEY") throw std::runtime_error{"MIGRATE: " + answer};
        return true;
    }
    void end_move(std::size_t slot, std::size_t from, std::size_t to) {
        const auto owner = id(to);
        must(node(to).command({"CLUSTER", "SETSLOT", std::to_string(slot), "NODE", owner}));
        must(node(from).command({"CLUSTER", "SETSLOT", std::to_string(slot), "NODE", owner}));
    }
    void move(std::size_t slot, std::size_t from, std::size_t to) {
        begin_move(slot, from, to);
        while (move_keys(slot, from, to, 10)) {
        }
        end_move(slot, from, to);
    }

    template <class Condition>
    static void wait_for(const char* what, RedisServer& one, Condition condition) {
        for (int attempt = 0; !condition(one); ++attempt) {
            if (attempt == 3'000) throw std::runtime_error{std::string{"no "} + what + " within 30 s"};
            std::this_thread::sleep_for(std::chrono::milliseconds{10});
        }
    }

private:
    template <class Condition>
    void wait_for(const char* what, Condition condition) {
        for (const auto& one : nodes_) wait_for(what, *one, condition);
    }

    static void must(const std::string& answer) {
        if (answer != "OK") throw std::runtime_error{"a cluster cannot be made: " + answer};
    }

    /// Every node's in one command, which all versions know.
    void add_slots(std::size_t master) {
        std::vector<std::string> slots;
        for (std::size_t slot = 0; slot != sluice::detail::redis::slot_count; ++slot) {
            if (slot * masters_ / sluice::detail::redis::slot_count == master) slots.push_back(std::to_string(slot));
        }
        std::vector<std::string_view> words{"CLUSTER", "ADDSLOTS"};
        words.insert(words.end(), slots.begin(), slots.end());
        must(node(master).command(words));
    }

    /// Nodes also listen on the port that is 10,000 higher.
    static int free_port() {
        std::random_device random;
        for (;;) {
            const int port = 10'000 + static_cast<int>(random() % 20'000);
            if (is_free(port) && is_free(port + 10'000)) return port;
        }
    }
    static bool is_free(int port) {
        const int probe = ::socket(AF_INET, SOCK_STREAM, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(static_cast<std::uint16_t>(port));
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        const bool is_free = ::bind(probe, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
        ::close(probe);
        return is_free;
    }

    std::size_t masters_ = 0;
    const std::string scheme_;
    std::vector<int> ports_{};
    std::vector<std::unique_ptr<RedisServer>> nodes_;
};

#endif
