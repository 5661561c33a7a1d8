// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_LINK_ASYNC_CONTEXT_HPP
#define SLUICE_REDIS_LINK_ASYNC_CONTEXT_HPP

#include <cstdint>
#include <utility>

#include <sluice/redis/link/async_call.hpp>
#include <sluice/redis/redis_options.hpp>
#include <sluice/redis/redis_stats.hpp>
#include <sluice/redis/redis_url.hpp>
#include <sluice/redis/wire/encoded_keys.hpp>
#include <sluice/remote/loop.hpp>

namespace sluice::detail::redis {

/// What all parts of a client for event loops share.
struct AsyncContext {
    AsyncContext(RedisUrl of_url, RedisOptions of_user) : url(std::move(of_url)), options(std::move(of_user)) {
        options.checked();
    }

    const RedisUrl url;
    const RedisOptions options;
    Counters counters{};
    detail::remote::Loop loop{};
    std::uint64_t nodes = 0;  ///< of a cluster, that there have been
    AsyncCallList ready{};    ///< to be told by the next process()
    EncodedKeys scratch{};
};

}  // namespace sluice::detail::redis

#endif
