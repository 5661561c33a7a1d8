// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_LINK_TOPOLOGY_HPP
#define SLUICE_REDIS_LINK_TOPOLOGY_HPP

#include <cstddef>
#include <memory>
#include <span>
#include <stdexcept>
#include <string_view>
#include <system_error>
#include <utility>

#include <sluice/error.hpp>
#include <sluice/redis/link/combiner.hpp>
#include <sluice/redis/link/connection.hpp>
#include <sluice/redis/link/server.hpp>
#include <sluice/redis/redis_options.hpp>
#include <sluice/redis/redis_stats.hpp>
#include <sluice/redis/redis_url.hpp>
#include <sluice/redis/wire/call.hpp>
#include <sluice/redis/wire/call_set.hpp>
#include <sluice/redis/wire/ping.hpp>
#include <sluice/remote/breaker.hpp>
#include <sluice/remote/deadline.hpp>
#include <sluice/remote/per_process.hpp>

namespace sluice::detail::redis {

/// One server, and how this process talks to it.
class Node {
public:
    Node(const RedisUrl& url, const RedisOptions& options, Counters& counters, detail::remote::Breaker& breaker)
        : server_{url, options, counters}, combiner_(server_, breaker) {}

    Server& server() noexcept { return server_; }
    Combiner& combiner() noexcept { return combiner_; }
    const Combiner& combiner() const noexcept { return combiner_; }
    void abandon() noexcept { combiner_.abandon(); }

private:
    Server server_;
    Combiner combiner_;
};

/// All keys on one server. Thread-safe.
class SingleTopology {
public:
    using Deadline = detail::remote::Deadline;
    using Breaker = detail::remote::Breaker;

    SingleTopology(std::string_view url, RedisOptions options)
        : url_(checked(RedisUrl::parse(url))), options_(std::move(options)), breaker_(options_.checked().breaker) {}

    const RedisOptions& options() const noexcept { return options_; }
    Counters& counters() noexcept { return counters_; }

    /// Leads calls to their answers; the breaker may answer instead of the server. May throw std::bad_alloc before.
    void run(std::span<ScriptCall> calls, const Deadline& deadline) {
        Node& mine = node();
        const auto permit = breaker_.ask(deadline.start(), options_.timeout);
        if (permit != Breaker::Permit::none) return mine.combiner().run(calls, deadline, permit);
        for (ScriptCall& call : calls) call.error = Errc::breaker_open;
    }

    /// On a connection of its own, past the breaker: neither does it hold calls up, nor do they hide how the server is.
    std::error_code ping(const Deadline& deadline) {
        const auto connection = std::make_unique<Connection>(node().server());
        Ping ping{options_.prefix};
        ScriptCall call = ping.call();
        CallSet calls;
        const auto ticket = calls.add(call);
        connection->perform(calls, deadline);
        calls.collect(ticket, call);
        return ping.result(call);
    }

    RedisStats stats() const noexcept {
        RedisStats stats = counters_.snapshot();
        stats.breaker_openings = breaker_.openings();
        stats.breaker_is_open = breaker_.is_open();
        if (const Node* const known = node_.peek()) stats.connections = known->combiner().open_connections();
        return stats;
    }

private:
    static RedisUrl checked(RedisUrl url) {
        if (url.kind != RedisUrl::Kind::single)
            throw std::invalid_argument("sluice: redis+sentinel:// and redis+cluster:// are not supported yet");
        if (url.uses_tls) throw std::invalid_argument("sluice: rediss:// (TLS) is not supported yet");
        return url;
    }

    Node& node() {
        return node_.get([&] { return std::make_unique<Node>(url_, options_, counters_, breaker_); });
    }

    const RedisUrl url_;
    const RedisOptions options_;
    Breaker breaker_;
    Counters counters_;
    detail::remote::PerProcess<Node> node_;
};

}  // namespace sluice::detail::redis

#endif
