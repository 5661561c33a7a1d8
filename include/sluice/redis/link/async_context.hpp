// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_LINK_ASYNC_CONTEXT_HPP
#define SLUICE_REDIS_LINK_ASYNC_CONTEXT_HPP

#include <cstdint>
#include <memory>
#include <unordered_set>
#include <utility>

#include <sluice/redis/link/async_call.hpp>
#include <sluice/redis/redis_options.hpp>
#include <sluice/redis/redis_stats.hpp>
#include <sluice/redis/redis_url.hpp>
#include <sluice/redis/wire/encoded_keys.hpp>
#include <sluice/remote/loop_wakeup.hpp>

namespace sluice::detail::redis {

/// Tells the descriptors of a client from each other, though the system uses their numbers again: see Watch::id.
class WatchIds {
public:
    /// Of a descriptor that is opened now; may throw std::bad_alloc.
    std::uint64_t open() {
        open_.insert(last_ + 1);
        return ++last_;
    }
    void close(std::uint64_t id) noexcept { open_.erase(id); }
    bool is_open(std::uint64_t id) const noexcept { return open_.find(id) != open_.end(); }

private:
    std::uint64_t last_ = 0;
    std::unordered_set<std::uint64_t> open_{};
};

/// What all parts of a client for event loops share.
struct AsyncContext {
    AsyncContext(RedisUrl of_url, RedisOptions of_user) : url(std::move(of_url)), options(std::move(of_user)) {
        options.checked();
    }

    const RedisUrl url;
    const RedisOptions options;
    Counters counters{};
    std::shared_ptr<detail::remote::LoopWakeup> wakeup = std::make_shared<detail::remote::LoopWakeup>();
    WatchIds ids{};
    std::uint64_t nodes = 0;  ///< of a cluster, that there have been
    AsyncCallList ready{};    ///< to be told by the next process()
    EncodedKeys scratch{};
};

}  // namespace sluice::detail::redis

#endif
