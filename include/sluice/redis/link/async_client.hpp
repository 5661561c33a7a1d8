// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_LINK_ASYNC_CLIENT_HPP
#define SLUICE_REDIS_LINK_ASYNC_CLIENT_HPP

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <sluice/error.hpp>
#include <sluice/redis/link/async_call.hpp>
#include <sluice/redis/link/async_node.hpp>
#include <sluice/redis/link/checked_url.hpp>
#include <sluice/redis/redis_options.hpp>
#include <sluice/redis/redis_stats.hpp>
#include <sluice/redis/redis_url.hpp>
#include <sluice/remote/breaker.hpp>
#include <sluice/remote/deadline.hpp>
#include <sluice/remote/watch.hpp>

namespace sluice::detail::redis {

/// All that an event loop asks of Redis. Answers are told by process() alone, so that nobody hears his before he has done
/// asking, and what was asked in one turn of the loop goes out together. One thread at a time.
class AsyncClient {
public:
    using Clock = detail::remote::Deadline::Clock;
    using Breaker = detail::remote::Breaker;

    AsyncClient(std::string_view url, RedisOptions options)
        : url_(single(checked_url(url, options))), context_(std::move(options)),
          node_(url_, url_.endpoints.front(), context_) {}
    AsyncClient(const AsyncClient&) = delete;
    AsyncClient& operator=(const AsyncClient&) = delete;

    const RedisOptions& options() const noexcept { return context_.options; }

    /// Takes the call.
    void ask(AsyncCall& call) noexcept {
        if (is_closed_) return context_.answer(call, Errc::cancelled);
        const auto now = Clock::now();
        call.deadline = now + context_.options.timeout;
        const auto permit = context_.breaker.ask(now, context_.options.timeout);
        if (permit == Breaker::Permit::none) return context_.answer(call, Errc::breaker_open);
        node_.ask(call, permit);
    }
    /// The same of a call that need not be asked.
    void refuse(AsyncCall& call, Errc why) noexcept { context_.answer(call, why); }

    bool has_calls() const noexcept { return node_.has_calls() || !context_.ready.empty(); }

    std::span<const Watch> watches() {
        watches_.clear();
        node_.watch(watches_);
        return watches_;
    }
    /// Whether the descriptor of a Watch with that id is still open.
    bool is_open(std::uint64_t id) const noexcept { return id == 0 || node_.has_descriptor(id); }
    /// Until process() is due; nanoseconds::max() for never.
    std::chrono::nanoseconds timeout() const noexcept {
        using std::chrono::nanoseconds;
        if (!context_.ready.empty()) return nanoseconds{0};
        const auto due = node_.due();
        if (due == Clock::time_point::max()) return nanoseconds::max();
        if (due == Clock::time_point::min()) return nanoseconds{0};
        return std::max(nanoseconds{0}, nanoseconds{due - Clock::now()});
    }

    /// Completions may ask, cancel and close; the object has to live until they are through.
    void process(int fd) noexcept {
        if (is_closed_) return;
        if (fd >= 0 && fd == context_.wakeup->descriptor()) context_.wakeup->drain();
        node_.process(fd);
        complete();
        if (!is_closed_) node_.process(-1);  // what they asked
    }

    /// Completes all calls with Errc::cancelled.
    void cancel() noexcept {
        node_.fail_all(Errc::cancelled);
        complete();
    }
    void close() noexcept {
        is_closed_ = true;
        cancel();
    }

    RedisStats stats() const noexcept {
        RedisStats stats = context_.counters.snapshot();
        stats.breaker_openings = context_.breaker.openings();
        stats.breaker_is_open = context_.breaker.is_open();
        stats.connections = node_.open_connections();
        return stats;
    }

    void count_failure(const std::error_code& error) noexcept { context_.counters.failed(error); }

private:
    static RedisUrl single(RedisUrl url) {
        if (url.kind != RedisUrl::Kind::single)
            throw std::invalid_argument("sluice: AsyncRedis knows redis://, rediss:// and unix:// alone so far");
        return url;
    }

    /// Those that are ready, and none that becomes so meanwhile: a loop has other things to do.
    void complete() noexcept {
        AsyncCallList ready;
        ready.swap(context_.ready);
        while (!ready.empty()) ready.pop_front()->complete();
    }

    const RedisUrl url_;
    AsyncContext context_;
    AsyncNode node_;
    bool is_closed_ = false;
    std::vector<Watch> watches_;
};

}  // namespace sluice::detail::redis

#endif
