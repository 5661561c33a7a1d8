// SPDX-License-Identifier: MIT

#include "conformance/redis_kit.hpp"
#include "conformance/replay.hpp"

namespace {

const conformance::RegisterReplay<conformance::RedisKit> redis{"redis"};

}  // namespace
