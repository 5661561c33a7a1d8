// SPDX-License-Identifier: MIT
#ifndef SLUICE_TESTS_CONFORMANCE_REDIS_CLUSTER_KIT_HPP
#define SLUICE_TESTS_CONFORMANCE_REDIS_CLUSTER_KIT_HPP

#include <chrono>
#include <cstddef>

#include "conformance/redis_kit.hpp"
#include "support/redis_cluster.hpp"

namespace conformance {

/// A RedisStore on a cluster of three masters.
struct RedisClusterKit {
    static constexpr std::chrono::nanoseconds resolution = RedisKit::resolution;
    static constexpr std::size_t longest_key = RedisKit::longest_key;
    static constexpr int sequences = 200;
    static constexpr int requests_per_thread = slow_build ? 1'000 : 5'000;

    RedisCluster cluster{3};
    sluice::ManualClock clock;
    sluice::RedisStore redis{cluster.url(), {.timeout = std::chrono::seconds{60}}};

    template <sluice::Policy P>
    auto store() {
        return TimedRedisStore{redis, clock};
    }
};

}  // namespace conformance

#endif
