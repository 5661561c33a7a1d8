// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_LINK_MASTER_SEARCH_HPP
#define SLUICE_REDIS_LINK_MASTER_SEARCH_HPP

#include <poll.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <sluice/error.hpp>
#include <sluice/redis/link/client_config.hpp>
#include <sluice/redis/link/query.hpp>
#include <sluice/redis/link/sentinel_round.hpp>
#include <sluice/redis/link/server.hpp>
#include <sluice/redis/redis_options.hpp>
#include <sluice/redis/wire/host_port.hpp>
#include <sluice/redis/wire/text_query.hpp>
#include <sluice/remote/address.hpp>
#include <sluice/remote/deadline.hpp>
#include <sluice/remote/endpoints.hpp>
#include <sluice/remote/loop.hpp>
#include <sluice/remote/watch.hpp>

namespace sluice::detail::redis {

/// The sentinels of a URL, each a server with credentials and TLS of its own.
struct SentinelServers {
    explicit SentinelServers(const ClientConfig& of) : master(of.url.master), recheck(of.options.sentinel.recheck) {
        const RedisSentinelOptions& sentinel = of.options.sentinel;
        if (sentinel.credentials) config.options.credentials = sentinel.credentials;
        config.options.resolve = of.options.resolve;
        config.options.tls = sentinel.tls ? sentinel.tls : of.url.uses_tls ? of.options.tls : nullptr;
        config.url.uses_tls = config.options.tls != nullptr;
        for (const auto& endpoint : of.url.endpoints) servers.emplace_back(config, endpoint);
    }

    const std::string master;  ///< the name by which they know it
    const std::chrono::milliseconds recheck;
    ClientConfig config;               ///< not the store's, nor are its counters: its servers are counted there
    std::deque<Server> servers;        ///< does not move what is in it
    std::atomic<std::size_t> good{0};  ///< the one that answered last
};

/// Finds out from sentinels which server is the master, and what its addresses are: see SentinelRound. One round of
/// questions at a time. Waits as a Dial does. All but the const functions may throw std::bad_alloc, after which abandon()
/// is due.
class MasterSearch {
public:
    using Deadline = detail::remote::Deadline;
    using Clock = Deadline::Clock;
    using Endpoints = detail::remote::Endpoints;
    using Loop = detail::remote::Loop;

    MasterSearch(std::shared_ptr<SentinelServers> sentinels, Loop* loop)
        : sentinels_(std::move(sentinels)), loop_(loop) {}

    struct Found {
        std::error_code error{};  ///< Errc::misconfigured where no sentinel knows a master of that name
        std::vector<detail::remote::Address> addresses{};
        std::string host{};  ///< as the sentinels call it
    };

    bool is_asking() const noexcept { return round_.has_value(); }
    /// Whether it is time to ask again, though no connection has failed.
    bool is_due(Clock::time_point now) const noexcept { return !round_ && now - asked_at_ > sentinels_->recheck; }
    /// Whether nobody has asked for so long that the answer has to be waited for.
    bool holds_up(Clock::time_point now) const noexcept { return round_ && now - asked_at_ > 2 * sentinels_->recheck; }

    /// Begins a round, where none is under way.
    void begin(const Deadline& deadline) {
        if (round_) return;
        deadline_ = deadline;
        round_.emplace(sentinels_->servers.size(), sentinels_->good, deadline);
        found_ = {};
        result_.reset();
        asks_connected_ = query_ != nullptr && query_->is_usable();
        if (asks_connected_) {
            query_->begin(round_->time_of_connected(), sentinels_->master);
        } else {
            ask_next();
        }
        go_on();
    }
    /// How that ended, once; nothing while it goes on.
    std::optional<Found> take_result() noexcept { return std::exchange(result_, std::nullopt); }
    void abandon() noexcept {
        query_.reset();
        round_.reset();
        is_resolving_ = false;
    }

    std::optional<Watch> watch() const noexcept {
        if (is_resolving_) return Watch{loop_->wakeup->descriptor(), POLLIN, 0};
        return round_ ? query_->watch() : std::nullopt;
    }
    Clock::time_point due() const noexcept {
        if (!round_) return Clock::time_point::max();
        return is_resolving_ ? deadline_.at() : std::min(query_->due(), deadline_.at());
    }
    void process(int fd, Clock::time_point now) {
        if (!round_) return;
        if (is_resolving_) {
            if (fd >= 0 && fd == loop_->wakeup->descriptor()) resolve();
        } else {
            query_->process(fd, now);
            go_on();
        }
        if (round_ && now >= deadline_.at()) {
            query_.reset();
            end(found_.addresses.empty() ? make_error_code(Errc::timeout) : std::error_code{});
        }
    }

private:
    void ask_next() {
        query_ = std::make_unique<Query<MasterQuery>>(sentinels_->servers[round_->next()], loop_);
        query_->begin(round_->time_of_next(), sentinels_->master);
    }
    /// As far as it gets.
    void go_on() {
        while (round_ && !is_resolving_) {
            const auto ended = query_->take_result();
            if (!ended) return;
            auto error = *ended;
            HostPort master;
            if (!error) error = query_->protocol().result(master);
            if (!error) {
                if (!asks_connected_) sentinels_->good = round_->next();
                return found(master);
            }
            query_.reset();
            if (error == Errc::unsupported) error = Errc::misconfigured;  // a server that is no sentinel
            if (std::exchange(asks_connected_, false)) {
                round_->connected_failed(error);
            } else {
                round_->next_failed(error);
            }
            if (!round_->has_next()) return end(round_->error());
            ask_next();
        }
    }

    /// Sentinels may tell host names, too.
    void found(const HostPort& master) {
        if (!endpoints_ || master_ != master) {
            endpoints_.emplace(detail::remote::Endpoint{master.host, master.port, {}},
                               sentinels_->config.options.resolve);
            master_ = master;
        }
        found_.host = master.host;
        resolve();
    }
    void resolve() {
        const auto error = endpoints_->find(found_.addresses, deadline_, loop_);
        is_resolving_ = error == Errc::busy;
        if (!is_resolving_) end(error);
    }
    void end(std::error_code error) {
        round_.reset();
        is_resolving_ = false;
        asked_at_ = Clock::now();
        found_.error = error;
        result_ = std::move(found_);
    }

    const std::shared_ptr<SentinelServers> sentinels_;
    Loop* const loop_;
    std::optional<SentinelRound> round_{};
    Deadline deadline_{std::chrono::nanoseconds{0}};
    std::unique_ptr<Query<MasterQuery>> query_{};  // kept from round to round, to the one that answered last
    bool asks_connected_ = false;
    bool is_resolving_ = false;
    Found found_{};
    std::optional<Found> result_{};
    HostPort master_{};
    std::optional<Endpoints> endpoints_{};
    Clock::time_point asked_at_{};
};

}  // namespace sluice::detail::redis

#endif
