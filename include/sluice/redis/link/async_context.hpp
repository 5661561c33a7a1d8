// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_LINK_ASYNC_CONTEXT_HPP
#define SLUICE_REDIS_LINK_ASYNC_CONTEXT_HPP

#include <sluice/redis/link/async_call.hpp>
#include <sluice/redis/link/client_config.hpp>
#include <sluice/redis/wire/encoded_keys.hpp>
#include <sluice/remote/loop.hpp>

namespace sluice::detail::redis {

/// The same for event loops.
struct AsyncContext : ClientConfig {
    using ClientConfig::ClientConfig;

    detail::remote::Loop loop{};
    AsyncCallList ready{};  ///< to be told by the next process()
    EncodedKeys scratch{};
};

}  // namespace sluice::detail::redis

#endif
