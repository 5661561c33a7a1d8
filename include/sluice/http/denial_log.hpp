// SPDX-License-Identifier: MIT
#ifndef SLUICE_HTTP_DENIAL_LOG_HPP
#define SLUICE_HTTP_DENIAL_LOG_HPP

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

#include <sluice/http/guard.hpp>
#include <sluice/memory/memory_store.hpp>
#include <sluice/policies/token_bucket.hpp>
#include <sluice/rate.hpp>
#include <sluice/rate_limiter.hpp>

namespace sluice::http {

/// Passes denials to a log line's writer, itself limited, so that whoever sends a flood of requests does not send a
/// flood of log lines. For GuardOptions::on_denied. Thread-safe; copies share the limit.
///
///     options.on_denied = DenialLog{[](const Denial& denial, std::uint64_t unlogged) { ... }};
class DenialLog {
public:
    /// Called by any thread with the number of denials that were left out since the line before.
    using Write = std::function<void(const Denial& denial, std::uint64_t unlogged)>;

    explicit DenialLog(Write write, TokenBucket lines = TokenBucket{5, per_second(1)})
        : shared_(std::make_shared<Shared>(std::move(write), lines)) {}

    void operator()(const Denial& denial) const {
        if (!shared_->limiter.try_consume("line")) {
            shared_->unlogged.fetch_add(1, std::memory_order_relaxed);
            return;
        }
        shared_->write(denial, shared_->unlogged.exchange(0, std::memory_order_relaxed));
    }

private:
    struct Shared {
        Shared(Write chosen, const TokenBucket& lines)
            : write(std::move(chosen)), limiter(lines, MemoryStore<TokenBucket>{{.max_keys = 1}}) {}
        Write write;
        RateLimiter<TokenBucket, MemoryStore<TokenBucket>> limiter;
        std::atomic<std::uint64_t> unlogged{0};
    };
    std::shared_ptr<Shared> shared_;
};

}  // namespace sluice::http

#endif
