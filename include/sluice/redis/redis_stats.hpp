// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_REDIS_STATS_HPP
#define SLUICE_REDIS_REDIS_STATS_HPP

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <system_error>
#include <vector>

#include <sluice/error.hpp>

namespace sluice {

/// One master of a cluster, as RedisStats tells it.
struct RedisNodeStats {
    std::string address{};  ///< host:port, as the cluster's nodes name it
    std::uint64_t breaker_openings = 0;
    bool breaker_is_open = false;
    std::size_t connections = 0;  ///< open at the moment
};

/// What a RedisStore has done since it was made, all copies together. A snapshot; the numbers are read one by one.
struct RedisStats {
    std::uint64_t decisions = 0;    ///< answered by the server
    std::uint64_t failures = 0;     ///< answered with an error, all classes together
    std::uint64_t round_trips = 0;  ///< requests written and answered, each with one or more scripts
    std::uint64_t scripts = 0;      ///< runs of a script; decisions / scripts is the mean batch
    std::uint64_t dials = 0;        ///< connections begun, successfully or not
    std::uint64_t breaker_openings = 0;
    bool breaker_is_open = false;
    std::size_t connections = 0;  ///< open at the moment

    // Only of a cluster; the numbers above are then of all its nodes together (a breaker is open: one of them is).
    std::uint64_t redirections = 0;       ///< calls sent again because a slot was elsewhere
    std::uint64_t map_requests = 0;       ///< how often nodes were asked for the map of slots
    std::vector<RedisNodeStats> nodes{};  ///< that are known at the moment

    /// Decisions that failed with `errc`.
    std::uint64_t errors(Errc errc) const noexcept { return errors_[static_cast<std::size_t>(errc)]; }

    static constexpr std::size_t classes = detail::errc_count + 1;
    std::array<std::uint64_t, classes> errors_{};
};

namespace detail::redis {

struct Counters {
    std::atomic<std::uint64_t> decisions{0};
    std::atomic<std::uint64_t> round_trips{0};
    std::atomic<std::uint64_t> scripts{0};
    std::atomic<std::uint64_t> dials{0};
    std::atomic<std::uint64_t> redirections{0};
    std::atomic<std::uint64_t> map_requests{0};
    std::array<std::atomic<std::uint64_t>, RedisStats::classes> errors{};

    static void add(std::atomic<std::uint64_t>& counter, std::uint64_t count) noexcept {
        counter.fetch_add(count, std::memory_order_relaxed);
    }
    void failed(const std::error_code& error) noexcept {
        if (detail::errc_entry(error.value()) != nullptr && error == static_cast<Errc>(error.value()))
            add(errors[static_cast<std::size_t>(error.value())], 1);
    }

    RedisStats snapshot() const noexcept {
        RedisStats stats;
        stats.decisions = decisions.load(std::memory_order_relaxed);
        stats.round_trips = round_trips.load(std::memory_order_relaxed);
        stats.scripts = scripts.load(std::memory_order_relaxed);
        stats.dials = dials.load(std::memory_order_relaxed);
        stats.redirections = redirections.load(std::memory_order_relaxed);
        stats.map_requests = map_requests.load(std::memory_order_relaxed);
        for (std::size_t i = 0; i != errors.size(); ++i) {
            stats.errors_[i] = errors[i].load(std::memory_order_relaxed);
            stats.failures += stats.errors_[i];
        }
        return stats;
    }
    /// With what a topology's nodes tell, or, for want of memory, without.
    template <class Topology>
    RedisStats snapshot_with(const Topology& topology) const noexcept {
        RedisStats stats = snapshot();
        try {
            topology.add_to(stats);
        } catch (...) {
        }
        return stats;
    }
    /// What a single server's node tells.
    template <class Node>
    static void add_node(const Node& node, RedisStats& stats) noexcept {
        stats.breaker_openings = node.breaker().openings();
        stats.breaker_is_open = node.breaker().is_open();
        stats.connections = node.open_connections();
    }
};

}  // namespace detail::redis

}  // namespace sluice

#endif
