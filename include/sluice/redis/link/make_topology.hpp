// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_LINK_MAKE_TOPOLOGY_HPP
#define SLUICE_REDIS_LINK_MAKE_TOPOLOGY_HPP

#include <memory>
#include <string_view>
#include <utility>

#include <sluice/redis/link/checked_url.hpp>
#include <sluice/redis/link/cluster_topology.hpp>
#include <sluice/redis/link/single_topology.hpp>
#include <sluice/redis/link/topology.hpp>
#include <sluice/redis/redis_options.hpp>
#include <sluice/redis/redis_url.hpp>

namespace sluice::detail::redis {

/// As the URL alone says. Throws std::invalid_argument for a bad URL or bad options.
inline std::unique_ptr<Topology> make_topology(std::string_view text, RedisOptions options) {
    RedisUrl url = checked_url(text, options);
    if (url.kind == RedisUrl::Kind::cluster)
        return std::make_unique<ClusterTopology>(std::move(url), std::move(options));
    return std::make_unique<SingleTopology>(std::move(url), std::move(options));
}

}  // namespace sluice::detail::redis

#endif
