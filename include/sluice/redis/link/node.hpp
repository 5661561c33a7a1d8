// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_LINK_NODE_HPP
#define SLUICE_REDIS_LINK_NODE_HPP

#include <memory>

#include <sluice/redis/link/link.hpp>
#include <sluice/redis/link/sentinels.hpp>
#include <sluice/redis/link/server.hpp>
#include <sluice/redis/redis_options.hpp>
#include <sluice/redis/redis_stats.hpp>
#include <sluice/redis/redis_url.hpp>
#include <sluice/remote/address.hpp>
#include <sluice/remote/breaker.hpp>

namespace sluice::detail::redis {

/// One server, and how this process talks to it.
class Node {
public:
    Node(const RedisUrl& url, const detail::remote::Endpoint& endpoint, const RedisOptions& options, Counters& counters,
         detail::remote::Breaker& breaker)
        : sentinels_(url.kind == RedisUrl::Kind::sentinel ? std::make_unique<Sentinels>(url, options) : nullptr),
          server_(url, options, counters, endpoint, sentinels_.get()), combiner_(server_, breaker) {}

    Server& server() noexcept { return server_; }
    Combiner& combiner() noexcept { return combiner_; }
    const Combiner& combiner() const noexcept { return combiner_; }
    void abandon() noexcept {
        combiner_.abandon();
        if (sentinels_) sentinels_->abandon();
    }

private:
    const std::unique_ptr<Sentinels> sentinels_;
    Server server_;
    Combiner combiner_;
};

}  // namespace sluice::detail::redis

#endif
