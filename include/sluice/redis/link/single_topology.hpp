// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_LINK_SINGLE_TOPOLOGY_HPP
#define SLUICE_REDIS_LINK_SINGLE_TOPOLOGY_HPP

#include <memory>
#include <span>
#include <system_error>

#include <sluice/redis/link/node.hpp>
#include <sluice/redis/link/topology.hpp>
#include <sluice/redis/redis_stats.hpp>
#include <sluice/redis/wire/call.hpp>
#include <sluice/remote/per_process.hpp>

namespace sluice::detail::redis {

/// All keys on one server. Thread-safe.
class SingleTopology final : public Topology {
public:
    using Topology::Topology;

    bool has_slots() const noexcept override { return false; }
    void run(std::span<ScriptCall> calls, const Deadline& deadline) override { node().combiner().run(calls, deadline); }
    std::error_code ping(const Deadline& deadline) override { return node().ping({}, deadline); }

    void add_to(RedisStats& stats) const override {
        if (const Node* const known = node_.peek()) Counters::add_node(*known, stats);
    }

private:
    Node& node() {
        return node_.get([&] { return std::make_unique<Node>(config().url.endpoints.front(), config()); });
    }

    detail::remote::PerProcess<Node> node_;
};

}  // namespace sluice::detail::redis

#endif
