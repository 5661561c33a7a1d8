// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_LINK_SINGLE_TOPOLOGY_HPP
#define SLUICE_REDIS_LINK_SINGLE_TOPOLOGY_HPP

#include <memory>
#include <span>
#include <system_error>
#include <utility>

#include <sluice/error.hpp>
#include <sluice/redis/link/connection.hpp>
#include <sluice/redis/link/node.hpp>
#include <sluice/redis/link/topology.hpp>
#include <sluice/redis/redis_options.hpp>
#include <sluice/redis/redis_stats.hpp>
#include <sluice/redis/redis_url.hpp>
#include <sluice/redis/wire/call.hpp>
#include <sluice/redis/wire/call_set.hpp>
#include <sluice/redis/wire/ping.hpp>
#include <sluice/remote/breaker.hpp>
#include <sluice/remote/per_process.hpp>

namespace sluice::detail::redis {

/// All keys on one server. Thread-safe.
class SingleTopology final : public Topology {
public:
    using Breaker = detail::remote::Breaker;

    SingleTopology(RedisUrl url, RedisOptions options)
        : Topology(std::move(url), std::move(options)), breaker_(this->options().breaker) {}

    bool has_slots() const noexcept override { return false; }

    void run(std::span<ScriptCall> calls, const Deadline& deadline) override {
        Node& mine = node();
        const auto permit = breaker_.ask(deadline.start(), options().timeout);
        if (permit != Breaker::Permit::none) return mine.combiner().run(calls, deadline, permit);
        for (ScriptCall& call : calls) call.error = Errc::breaker_open;
    }

    std::error_code ping(const Deadline& deadline) override {
        const auto connection = std::make_unique<Connection>(node().server());
        Ping ping{options().prefix};
        ScriptCall call = ping.call();
        CallSet calls;
        const auto ticket = calls.add(call);
        connection->perform(calls, deadline);
        calls.collect(ticket, call);
        return ping.result(call);
    }

    RedisStats stats() const noexcept override {
        RedisStats stats = counters().snapshot();
        stats.breaker_openings = breaker_.openings();
        stats.breaker_is_open = breaker_.is_open();
        if (const Node* const known = node_.peek()) stats.connections = known->combiner().open_connections();
        return stats;
    }

private:
    Node& node() {
        return node_.get([&] {
            return std::make_unique<Node>(url(), url().endpoints.front(), options(), Topology::counters(), breaker_);
        });
    }

    Breaker breaker_;
    detail::remote::PerProcess<Node> node_;
};

}  // namespace sluice::detail::redis

#endif
