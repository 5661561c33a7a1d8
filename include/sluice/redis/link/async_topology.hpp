// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_LINK_ASYNC_TOPOLOGY_HPP
#define SLUICE_REDIS_LINK_ASYNC_TOPOLOGY_HPP

#include <system_error>
#include <vector>

#include <sluice/redis/link/async_call.hpp>
#include <sluice/redis/link/client_config.hpp>
#include <sluice/redis/redis_stats.hpp>
#include <sluice/redis/wire/encoded_keys.hpp>
#include <sluice/remote/loop.hpp>
#include <sluice/remote/watch.hpp>

namespace sluice::detail::redis {

/// What all parts of an event loop's client share.
struct AsyncContext : ClientConfig {
    using ClientConfig::ClientConfig;

    detail::remote::Loop loop{};
    AsyncCallList ready{};  ///< to be told by the next process()
    EncodedKeys scratch{};
};

/// Which servers an event loop's calls go to. Each call ends in AsyncContext::ready, within its deadline.
class AsyncTopology {
public:
    using Clock = AsyncCall::Clock;

    AsyncTopology() = default;
    AsyncTopology(const AsyncTopology&) = delete;
    AsyncTopology& operator=(const AsyncTopology&) = delete;
    virtual ~AsyncTopology() = default;

    /// Takes the call, which has its deadline. Does no input or output.
    virtual void ask(AsyncCall& call, Clock::time_point now) noexcept = 0;
    /// Something happened on `fd`, or nothing (-1): time has passed, or there are calls.
    virtual void process(int fd) noexcept = 0;
    /// Ends all calls, without a word to a server.
    virtual void fail_all(std::error_code why) noexcept = 0;

    /// Appends what waits for descriptors.
    virtual void watch(std::vector<Watch>& watches) const = 0;
    /// When process() is due; in the past for at once.
    virtual Clock::time_point due() const noexcept = 0;

    virtual void add_to(RedisStats& stats) const = 0;
};

}  // namespace sluice::detail::redis

#endif
