// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_LINK_NODE_HPP
#define SLUICE_REDIS_LINK_NODE_HPP

#include <cstddef>
#include <memory>
#include <string_view>
#include <system_error>

#include <sluice/error.hpp>
#include <sluice/redis/link/client_config.hpp>
#include <sluice/redis/link/connection.hpp>
#include <sluice/redis/link/sentinels.hpp>
#include <sluice/redis/link/server.hpp>
#include <sluice/redis/redis_url.hpp>
#include <sluice/redis/wire/call.hpp>
#include <sluice/redis/wire/call_set.hpp>
#include <sluice/redis/wire/ping.hpp>
#include <sluice/remote/address.hpp>
#include <sluice/remote/breaker.hpp>
#include <sluice/remote/combiner.hpp>
#include <sluice/remote/deadline.hpp>

namespace sluice::detail::redis {

/// What the combiner of a Redis server works with.
struct Link {
    using Server = redis::Server;
    using Call = ScriptCall;
    using CallSet = redis::CallSet;
    using Connection = redis::Connection;
};
using Combiner = detail::remote::Combiner<Link>;
using Lane = Combiner::Lane;

/// One server, and how the threads of this process talk to it. Thread-safe.
class Node {
public:
    using Deadline = detail::remote::Deadline;
    using Breaker = detail::remote::Breaker;

    Node(const detail::remote::Endpoint& endpoint, ClientConfig& config)
        : breaker_(config.options.breaker),
          sentinels_(config.url.kind == RedisUrl::Kind::sentinel ? std::make_unique<Sentinels>(config) : nullptr),
          server_(config, endpoint, sentinels_.get()), combiner_(server_, breaker_) {}

    Server& server() noexcept { return server_; }
    Combiner& combiner() noexcept { return combiner_; }
    const Breaker& breaker() const noexcept { return breaker_; }
    std::size_t open_connections() const noexcept { return combiner_.open_connections(); }

    /// On a connection of its own and past the breaker. `suffix` chooses the slot.
    std::error_code ping(std::string_view suffix, const Deadline& deadline) {
        const auto connection = std::make_unique<Connection>(server_);
        Ping ping{server_.options.prefix, suffix};
        ScriptCall call = ping.call();
        CallSet calls;
        const auto ticket = calls.add(call);
        connection->perform(calls, deadline);
        calls.collect(ticket, call);
        if (server_.url.kind == RedisUrl::Kind::cluster) call.give_up();
        return ping.result(call);
    }

    /// In a forked child.
    void abandon() noexcept {
        combiner_.abandon();
        if (sentinels_) sentinels_->abandon();
    }

private:
    Breaker breaker_;
    const std::unique_ptr<Sentinels> sentinels_;
    Server server_;
    Combiner combiner_;
};

}  // namespace sluice::detail::redis

#endif
