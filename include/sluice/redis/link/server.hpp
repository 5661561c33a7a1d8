// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_LINK_SERVER_HPP
#define SLUICE_REDIS_LINK_SERVER_HPP

#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <sluice/error.hpp>
#include <sluice/redis/link/client_config.hpp>
#include <sluice/redis/redis_credentials.hpp>
#include <sluice/redis/redis_options.hpp>
#include <sluice/redis/redis_stats.hpp>
#include <sluice/redis/redis_url.hpp>
#include <sluice/remote/address.hpp>
#include <sluice/remote/channel.hpp>
#include <sluice/remote/deadline.hpp>
#include <sluice/remote/endpoints.hpp>

namespace sluice::detail::redis {

/// Whoever knows where the master is, for threads that can wait. Thread-safe.
class MasterFinder {
public:
    using Deadline = detail::remote::Deadline;

    /// The addresses of the master, and its host. May throw std::bad_alloc.
    virtual std::error_code find(std::vector<detail::remote::Address>& found, std::string& host,
                                 const Deadline& deadline) = 0;
    /// Whether it is time to ask again, though no connection has failed, and up to the caller: then done_asking() has to
    /// follow.
    virtual bool has_to_ask(const Deadline& deadline) = 0;
    virtual void done_asking() noexcept = 0;

protected:
    ~MasterFinder() = default;
};

/// What connections have to know of the server that they go to: the one at an endpoint, or whichever sentinels name.
/// Thread-safe.
struct Server {
    Server(ClientConfig& config, detail::remote::Endpoint place, MasterFinder* finder = nullptr)
        : url(config.url), options(config.options), counters(config.counters), endpoint(std::move(place)),
          masters(finder), endpoints(is_named_by_sentinels() ? detail::remote::Endpoints{}
                                                             : detail::remote::Endpoints{endpoint, options.resolve}) {}

    const RedisUrl& url;
    const RedisOptions& options;
    Counters& counters;
    const detail::remote::Endpoint endpoint;
    MasterFinder* const masters;
    detail::remote::Endpoints endpoints;

    bool is_named_by_sentinels() const noexcept { return url.kind == RedisUrl::Kind::sentinel; }

    /// Where sentinels have to say which server it is: makes its addresses the endpoints. May throw std::bad_alloc.
    std::error_code locate(std::string& host, const detail::remote::Deadline& deadline) {
        std::vector<detail::remote::Address> found;
        const auto error = masters->find(found, host, deadline);
        if (!error) endpoints.move_to(found);
        return error;
    }

    /// Whether the sentinels still name the same server is asked now and then, by one caller for all. What they say shows
    /// in the endpoints; if they say nothing, all stays as it is.
    void recheck(const detail::remote::Deadline& deadline) noexcept {
        if (masters == nullptr) return;
        const auto share = deadline.share(4);
        if (!masters->has_to_ask(share)) return;
        try {
            std::string host;
            static_cast<void>(locate(host, share));
        } catch (...) {  // no memory, or no thread for a look-up: then later
        }
        masters->done_asking();
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
