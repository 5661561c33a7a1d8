// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_REDIS_OPTIONS_HPP
#define SLUICE_REDIS_REDIS_OPTIONS_HPP

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <sluice/detail/validate.hpp>
#include <sluice/redis/redis_credentials.hpp>
#include <sluice/remote/breaker.hpp>
#include <sluice/remote/channel.hpp>
#include <sluice/remote/check_options.hpp>

namespace sluice {

/// How to talk to the sentinels of redis+sentinel://.
struct RedisSentinelOptions {
    /// Asked whenever a sentinel is dialled; without it nobody logs in: the user of the URL is the master's.
    std::function<RedisCredentials()> credentials{};
    /// A sluice::Tls for the sentinels alone; without it that of RedisOptions, for rediss+sentinel://.
    std::shared_ptr<const detail::remote::ChannelFactory> tls{};
    /// How often they are asked though no connection fails, by one call for all: so long a master that they have replaced may
    /// be used, where it does not know that yet. 10 ms .. 1 h.
    std::chrono::milliseconds recheck{1'000};
};

struct RedisOptions {
    /// For one call from beginning to end: waiting for a connection, dialling, logging in, the script. More than twice the
    /// usual round trip: an answer that takes longer than half of it counts as half a failure. 1 ms .. 1 min.
    std::chrono::milliseconds timeout{100};
    /// Connections at most (to each master of a cluster), 1 .. 64, made as they are needed. So many calls run at once, each alone on a connection;
    /// what comes meanwhile is combined.
    std::size_t connections = 3;
    /// In front of every key. With a hash tag of its own ("{limits}") all keys of a cluster share one slot.
    std::string prefix = "sluice";
    BreakerOptions breaker{};
    /// Calls that may wait for a connection at once; one more fails at once with Errc::busy. So a slow server holds no
    /// more threads than that. 1 .. 1,000,000.
    std::size_t max_waiting = 1'024;
    /// A connection that has been idle for longer is not trusted and dialled anew: firewalls and address translators
    /// forget idle connections without a word. 1 ms .. 1 h.
    std::chrono::milliseconds max_idle{30'000};
    /// Asked whenever a connection is dialled, so that a password may change meanwhile; without it those of the URL are
    /// used. Called by many threads at once; what it throws fails the call with Errc::authentication.
    std::function<RedisCredentials()> credentials{};
    /// Finds the numeric addresses of a host name, on a thread of its own; without it getaddrinfo(3) does.
    std::function<std::vector<std::string>(const std::string& host)> resolve{};

    /// For rediss:// and its kind: a sluice::Tls of <sluice/tls.hpp>, component sluice::tls.
    std::shared_ptr<const detail::remote::ChannelFactory> tls{};
    RedisSentinelOptions sentinel{};

    /// *this, or std::invalid_argument.
    const RedisOptions& checked() const {
        detail::remote::check_options("RedisOptions", *this);
        detail::remote::check_option("RedisOptions", "sentinel.recheck", sentinel.recheck.count() / 10, 360'000);
        if (prefix.size() > 256) {
            detail::throw_invalid("RedisOptions::prefix", std::to_string(prefix.size()) + " bytes",
                                  "at most 256 bytes long");
        }
        return *this;
    }
};

}  // namespace sluice

#endif
