// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_LINK_SENTINELS_HPP
#define SLUICE_REDIS_LINK_SENTINELS_HPP

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <sluice/error.hpp>
#include <sluice/redis/link/connection.hpp>
#include <sluice/redis/link/sentinel_round.hpp>
#include <sluice/redis/link/server.hpp>
#include <sluice/redis/redis_options.hpp>
#include <sluice/redis/redis_url.hpp>
#include <sluice/redis/wire/host_port.hpp>
#include <sluice/redis/wire/sentinel.hpp>
#include <sluice/remote/address.hpp>
#include <sluice/remote/deadline.hpp>
#include <sluice/remote/endpoints.hpp>

namespace sluice::detail::redis {

/// Finds out from sentinels which server is the master. They are asked one after another, beginning with the one that
/// answered last, on a connection that is kept to it. Thread-safe.
class Sentinels final : public MasterFinder {
public:
    using Deadline = detail::remote::Deadline;
    using Clock = Deadline::Clock;
    using Address = detail::remote::Address;
    using Endpoint = detail::remote::Endpoint;
    using Endpoints = detail::remote::Endpoints;

    Sentinels(const RedisUrl& url, const RedisOptions& options)
        : url_(url), options_(options), servers_(url, options) {}

    /// The addresses of the master, and its host as the sentinels call it. Errc::misconfigured where none of them knows a
    /// master of that name. May throw std::bad_alloc.
    std::error_code find(std::vector<Address>& found, std::string& host, const Deadline& deadline) override {
        HostPort master;
        const auto error = ask(master, deadline);
        asked_at_.store(Clock::now().time_since_epoch().count(), std::memory_order_relaxed);
        if (error) return error;
        host = master.host;
        return endpoints_of(master)->find(found, deadline);
    }

    /// One caller asks for all; the others go on meanwhile, unless nobody has asked for long.
    bool has_to_ask(const Deadline& deadline) override {
        const auto pause = options_.sentinel.recheck;
        if (age() <= pause) return false;
        std::unique_lock lock{mutex_};
        if (is_asking_ && age() <= 2 * pause) return false;
        asked_.wait_until(lock, deadline.at(), [&] { return !is_asking_; });
        if (is_asking_ || age() <= pause) return false;
        is_asking_ = true;
        return true;
    }
    void done_asking() noexcept override {
        {
            const std::lock_guard lock{mutex_};
            is_asking_ = false;
        }
        asked_.notify_all();
    }

    /// In a forked child. A thread of the parent may have held the lock, for ever; then the descriptor stays open.
    void abandon() noexcept {
        const std::unique_lock lock{mutex_, std::try_to_lock};
        if (lock.owns_lock() && kept_) kept_->abandon();
    }

private:
    Clock::duration age() const noexcept {
        return Clock::now().time_since_epoch() - Clock::duration{asked_at_.load(std::memory_order_relaxed)};
    }

    std::error_code ask(HostPort& master, const Deadline& deadline) {
        std::unique_ptr<Connection> connection;
        std::size_t good = 0;
        {
            const std::lock_guard lock{mutex_};
            connection = std::move(kept_);
            good = good_;
        }
        SentinelRound round{servers_.size(), good, deadline};
        if (connection && !connection->is_stale()) {
            const auto error = ask_on(*connection, master, round.time_of_connected());
            if (!error) return keep(std::move(connection), good);
            round.connected_failed(error);
        }
        for (; round.has_next();) {
            const std::size_t which = round.next();
            connection = std::make_unique<Connection>(servers_[which]);
            const auto error = ask_on(*connection, master, round.time_of_next());
            if (!error) return keep(std::move(connection), which);
            round.next_failed(error);
        }
        return round.error();
    }
    std::error_code ask_on(Connection& connection, HostPort& master, const Deadline& deadline) const {
        MasterQuery query{url_.master};
        const auto error = connection.ask(query, deadline);
        return SentinelServers::read(error, query, master);
    }

    std::error_code keep(std::unique_ptr<Connection> connection, std::size_t which) noexcept {
        const std::lock_guard lock{mutex_};
        kept_ = std::move(connection);
        good_ = which;
        return {};
    }

    /// Sentinels may tell host names, too.
    std::shared_ptr<Endpoints> endpoints_of(const HostPort& master) {
        const std::lock_guard lock{mutex_};
        if (!endpoints_ || master_ != master) {
            endpoints_ = std::make_shared<Endpoints>(Endpoint{master.host, master.port}, options_.resolve);
            master_ = master;
        }
        return endpoints_;
    }

    const RedisUrl& url_;
    const RedisOptions& options_;
    SentinelServers servers_;
    std::atomic<Clock::rep> asked_at_{0};
    std::mutex mutex_{};
    std::condition_variable asked_{};
    bool is_asking_ = false;
    std::unique_ptr<Connection> kept_{};
    std::size_t good_ = 0;  // the one that answered last
    HostPort master_{};
    std::shared_ptr<Endpoints> endpoints_{};
};

}  // namespace sluice::detail::redis

#endif
