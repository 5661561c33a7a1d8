// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_LINK_SERVER_HPP
#define SLUICE_REDIS_LINK_SERVER_HPP

#include <system_error>

#include <sluice/error.hpp>
#include <sluice/redis/redis_credentials.hpp>
#include <sluice/redis/redis_options.hpp>
#include <sluice/redis/redis_stats.hpp>
#include <sluice/redis/redis_url.hpp>
#include <sluice/remote/address.hpp>
#include <sluice/remote/channel.hpp>
#include <sluice/remote/endpoints.hpp>

namespace sluice::detail::redis {

/// What connections have to know of the server that they go to. Thread-safe.
struct Server {
    const RedisUrl& url;
    const RedisOptions& options;
    Counters& counters;
    const detail::remote::Endpoint endpoint;
    detail::remote::Endpoints endpoints{endpoint, options.resolve};

    /// What connections go through, or null.
    const detail::remote::ChannelFactory* tls() const noexcept { return url.uses_tls ? options.tls.get() : nullptr; }

    std::error_code find_credentials(RedisCredentials& who) const {
        who = {url.user, url.password};
        if (!options.credentials) return {};
        try {
            who = options.credentials();
            return {};
        } catch (...) {
            return Errc::authentication;
        }
    }
};

}  // namespace sluice::detail::redis

#endif
