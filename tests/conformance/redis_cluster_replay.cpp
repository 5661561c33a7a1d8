// SPDX-License-Identifier: MIT

#include "conformance/redis_cluster_kit.hpp"
#include "conformance/replay.hpp"

namespace {

const conformance::RegisterReplay<conformance::RedisClusterKit> cluster{"cluster"};

}  // namespace
