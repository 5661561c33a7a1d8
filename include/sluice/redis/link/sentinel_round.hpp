// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_LINK_SENTINEL_ROUND_HPP
#define SLUICE_REDIS_LINK_SENTINEL_ROUND_HPP

#include <cstddef>
#include <deque>
#include <system_error>

#include <sluice/error.hpp>
#include <sluice/redis/link/server.hpp>
#include <sluice/redis/redis_options.hpp>
#include <sluice/redis/redis_stats.hpp>
#include <sluice/redis/redis_url.hpp>
#include <sluice/redis/wire/host_port.hpp>
#include <sluice/redis/wire/sentinel.hpp>
#include <sluice/remote/address.hpp>
#include <sluice/remote/deadline.hpp>

namespace sluice::detail::redis {

/// The sentinels of a URL, each a server with credentials and TLS of its own.
class SentinelServers {
public:
    SentinelServers(const RedisUrl& url, const RedisOptions& options) {
        if (options.sentinel.credentials) options_.credentials = options.sentinel.credentials;
        options_.resolve = options.resolve;
        options_.tls = options.sentinel.tls ? options.sentinel.tls : url.uses_tls ? options.tls : nullptr;
        url_.uses_tls = options_.tls != nullptr;
        for (const auto& endpoint : url.endpoints) servers_.emplace_back(url_, options_, counters_, endpoint);
    }

    std::size_t size() const noexcept { return servers_.size(); }
    Server& operator[](std::size_t index) noexcept { return servers_[index]; }

    /// What a sentinel's answer says: `error` is how asking it ended.
    static std::error_code read(const std::error_code& error, const MasterQuery& answer, HostPort& master) {
        if (!error) return answer.result(master);
        // A server that is no sentinel.
        return error == Errc::unsupported ? make_error_code(Errc::misconfigured) : error;
    }

private:
    RedisUrl url_;
    RedisOptions options_;
    Counters counters_;           // not those of the store: its servers are counted there
    std::deque<Server> servers_;  // does not move what is in it
};

/// Which sentinels are asked, one after the other, for how long each, and what is to be told where none answers. The one
/// that is connected comes first, with a quarter of the time; then all, within a half: the master has to be dialled, too.
class SentinelRound {
public:
    using Deadline = detail::remote::Deadline;

    SentinelRound(std::size_t count, std::size_t first, const Deadline& deadline) noexcept
        : count_(count), first_(first), deadline_(deadline), all_(deadline.share(2)) {}

    Deadline time_of_connected() const noexcept { return deadline_.share(4); }
    void connected_failed(const std::error_code& error) noexcept {
        if (error == Errc::timeout) first_ = (first_ + 1) % count_;
        all_ = deadline_.share(2);
    }

    bool has_next() const noexcept { return asked_ != count_; }
    std::size_t next() const noexcept { return (first_ + asked_) % count_; }
    Deadline time_of_next() const noexcept { return all_.share(static_cast<int>(count_ - asked_)); }
    void next_failed(const std::error_code& error) noexcept {
        ++asked_;
        if (error == Errc::no_memory) asked_ = count_;
        if (error != Errc::misconfigured) error_ = error;
    }
    /// Errc::misconfigured where no sentinel knows a master of that name.
    const std::error_code& error() const noexcept { return error_; }

private:
    std::size_t count_;
    std::size_t first_;
    std::size_t asked_ = 0;
    Deadline deadline_;
    Deadline all_;
    std::error_code error_ = Errc::misconfigured;
};

}  // namespace sluice::detail::redis

#endif
