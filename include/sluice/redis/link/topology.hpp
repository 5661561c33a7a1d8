// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_LINK_TOPOLOGY_HPP
#define SLUICE_REDIS_LINK_TOPOLOGY_HPP

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <system_error>
#include <utility>

#include <sluice/error.hpp>
#include <sluice/remote/breaker.hpp>
#include <sluice/remote/deadline.hpp>
#include <sluice/redis/wire/call.hpp>
#include <sluice/redis/link/combiner.hpp>
#include <sluice/redis/wire/scope_cache.hpp>
#include <sluice/redis/redis_options.hpp>
#include <sluice/redis/redis_stats.hpp>
#include <sluice/redis/redis_url.hpp>

namespace sluice::redis {

/// What all copies of a RedisStore share: the connections of this process, the breaker and the counters. Thread-safe.
class Client {
public:
    Client(RedisUrl url, RedisOptions options)
        : url_(std::move(url)), options_(std::move(options)), breaker_(options_.checked().breaker) {}
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;
    ~Client() {
        Pool* const pool = pool_.load(std::memory_order_acquire);
        if (pool != nullptr && !pool->is_inherited()) delete pool;
    }

    const RedisOptions& options() const noexcept { return options_; }
    Counters& counters() noexcept { return counters_; }
    PreparedScopes& prepared() noexcept { return prepared_; }

    /// Leads a call to its answer; the breaker may answer instead of the server. May throw std::bad_alloc before.
    void run(Call& call, const detail::remote::Deadline& deadline) {
        const auto permit = breaker_.ask(deadline.start(), options_.timeout);
        if (permit == detail::remote::Breaker::Permit::none) {
            call.fail(Errc::breaker_open);
        } else {
            report(pool().run(call, deadline), permit);
        }
    }

    std::error_code ping(const detail::remote::Deadline& deadline) {
        Call call;
        report(pool().run(call, deadline), detail::remote::Breaker::Permit::normal);
        return call.error;
    }

    RedisStats stats() const noexcept {
        RedisStats stats = counters_.snapshot();
        stats.breaker_openings = breaker_.openings();
        stats.breaker_is_open = breaker_.is_open();
        if (const Pool* const pool = pool_.load(std::memory_order_acquire))
            stats.connections = pool->open_connections();
        return stats;
    }

private:
    /// This process' own connections. Those inherited through fork() are closed, and left where they are: threads of
    /// the parent were in the middle of using them.
    Pool& pool() {
        Pool* known = pool_.load(std::memory_order_acquire);
        if (known != nullptr && !known->is_inherited()) [[likely]]
            return *known;
        auto fresh = std::make_unique<Pool>(url_, options_.connections, counters_);
        if (!pool_.compare_exchange_strong(known, fresh.get(), std::memory_order_acq_rel)) return *known;
        if (known != nullptr) known->abandon();
        return *fresh.release();
    }

    /// Tells the breaker how a round trip went; nothing where another thread led it.
    void report(const std::optional<std::error_code>& result, detail::remote::Breaker::Permit permit) noexcept {
        if (!result) return;
        if (*result) {
            breaker_.failed(permit, detail::remote::Breaker::Clock::now());
        } else {
            breaker_.succeeded();
        }
    }

    RedisUrl url_;
    RedisOptions options_;
    detail::remote::Breaker breaker_;
    Counters counters_;
    PreparedScopes prepared_;
    std::atomic<Pool*> pool_{nullptr};
};

}  // namespace sluice::redis

#endif
