// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_LINK_ASYNC_SINGLE_HPP
#define SLUICE_REDIS_LINK_ASYNC_SINGLE_HPP

#include <system_error>
#include <vector>

#include <sluice/redis/link/async_context.hpp>
#include <sluice/redis/link/async_node.hpp>
#include <sluice/redis/link/async_topology.hpp>
#include <sluice/redis/redis_stats.hpp>
#include <sluice/remote/watch.hpp>

namespace sluice::detail::redis {

/// All keys on one server, for an event loop.
class AsyncSingle final : public AsyncTopology {
public:
    explicit AsyncSingle(AsyncContext& context) : node_(context.url.endpoints.front(), context, context.ready) {}

    void ask(AsyncCall& call, Clock::time_point now) noexcept override { node_.ask(call, now); }
    void process(int fd) noexcept override { node_.process(fd); }
    void fail_all(std::error_code why) noexcept override { node_.fail_all(why); }
    void watch(std::vector<Watch>& watches) const override { node_.watch(watches); }
    Clock::time_point due() const noexcept override { return node_.due(); }

    void add_to(RedisStats& stats) const override {
        stats.breaker_openings = node_.breaker().openings();
        stats.breaker_is_open = node_.breaker().is_open();
        stats.connections = node_.open_connections();
    }

private:
    AsyncNode node_;
};

}  // namespace sluice::detail::redis

#endif
