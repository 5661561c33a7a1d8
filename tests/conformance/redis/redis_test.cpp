// SPDX-License-Identifier: MIT

#include "conformance/redis_kit.hpp"
#include "conformance/suite.hpp"

TEST_CASE("the Redis store conforms") { conformance::suite<conformance::RedisKit>(); }
