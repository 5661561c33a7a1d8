// SPDX-License-Identifier: MIT

#include "conformance/redis_cluster_kit.hpp"
#include "conformance/suite.hpp"

TEST_CASE("the Redis store conforms on a cluster") { conformance::suite<conformance::RedisClusterKit>(); }
