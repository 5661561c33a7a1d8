// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_LINK_SERVER_HPP
#define SLUICE_REDIS_LINK_SERVER_HPP

#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include <sluice/error.hpp>
#include <sluice/redis/link/sentinels.hpp>
#include <sluice/redis/redis_credentials.hpp>
#include <sluice/redis/redis_options.hpp>
#include <sluice/redis/redis_stats.hpp>
#include <sluice/redis/redis_url.hpp>
#include <sluice/remote/address.hpp>
#include <sluice/remote/channel.hpp>
#include <sluice/remote/deadline.hpp>
#include <sluice/remote/endpoints.hpp>

namespace sluice::detail::redis {

/// What connections have to know of the server that they go to: the one at an endpoint, or whichever sentinels name.
/// Thread-safe.
struct Server {
    const RedisUrl& url;
    const RedisOptions& options;
    Counters& counters;
    const detail::remote::Endpoint endpoint;
    const std::unique_ptr<Sentinels> sentinels =
        url.kind == RedisUrl::Kind::sentinel ? std::make_unique<Sentinels>(url, options) : nullptr;
    detail::remote::Endpoints endpoints =
        sentinels ? detail::remote::Endpoints{} : detail::remote::Endpoints{endpoint, options.resolve};

    /// The addresses to dial, and the host that they are of. May throw std::bad_alloc.
    std::error_code find(std::vector<detail::remote::Address>& found, std::string& host,
                         const detail::remote::Deadline& deadline) {
        if (!sentinels) {
            host = endpoint.host;
            return endpoints.find(found, deadline);
        }
        const auto error = sentinels->find(found, host, deadline);
        if (!error) endpoints.move_to(found);
        return error;
    }

    /// Whether the sentinels still name the same server is asked now and then, by one caller for all. What they say shows
    /// in the endpoints; if they say nothing, all stays as it is.
    void recheck(const detail::remote::Deadline& deadline) noexcept {
        if (!sentinels) return;
        const auto share = deadline.share(4);
        if (!sentinels->has_to_ask(share)) return;
        try {
            std::vector<detail::remote::Address> found;
            std::string host;
            static_cast<void>(find(found, host, share));
        } catch (...) {  // no memory, or no thread for a look-up: then later
        }
        sentinels->done_asking();
    }

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
