// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_LINK_LINK_HPP
#define SLUICE_REDIS_LINK_LINK_HPP

#include <sluice/redis/link/connection.hpp>
#include <sluice/redis/link/server.hpp>
#include <sluice/redis/wire/call.hpp>
#include <sluice/redis/wire/call_set.hpp>
#include <sluice/remote/combiner.hpp>

namespace sluice::detail::redis {

/// What the combiner of a Redis server works with.
struct Link {
    using Server = redis::Server;
    using Call = ScriptCall;
    using CallSet = redis::CallSet;
    using Connection = redis::Connection;
};
using Combiner = detail::remote::Combiner<Link>;
using Lane = Combiner::Lane;

}  // namespace sluice::detail::redis

#endif
