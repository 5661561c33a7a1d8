// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_LINK_ASYNC_CLIENT_HPP
#define SLUICE_REDIS_LINK_ASYNC_CLIENT_HPP

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <sluice/error.hpp>
#include <sluice/redis/link/async_call.hpp>
#include <sluice/redis/link/async_cluster.hpp>
#include <sluice/redis/link/async_node.hpp>
#include <sluice/redis/link/async_topology.hpp>
#include <sluice/redis/redis_options.hpp>
#include <sluice/redis/redis_stats.hpp>
#include <sluice/remote/watch.hpp>

namespace sluice::detail::redis {

/// All that an event loop asks of Redis. Answers are told by process() alone, so that nobody hears his before he has done
/// asking, and what was asked in one turn of the loop goes out together. One thread at a time.
class AsyncClient {
public:
    using Clock = AsyncTopology::Clock;

    AsyncClient(std::string_view url, RedisOptions options)
        : context_(url, std::move(options)), topology_(make_topology(context_)) {}
    AsyncClient(const AsyncClient&) = delete;
    AsyncClient& operator=(const AsyncClient&) = delete;

    const RedisOptions& options() const noexcept { return context_.options; }

    /// Takes the call.
    void ask(AsyncCall& call) noexcept {
        if (is_closed_) return refuse(call, Errc::cancelled);
        const auto now = Clock::now();
        call.deadline = now + context_.options.timeout;
        ++pending_;
        topology_->ask(call, now);
    }
    /// The same of a call that need not be asked.
    void refuse(AsyncCall& call, Errc why) noexcept {
        ++pending_;
        call.error = why;
        context_.ready.push_back(call);
    }

    bool has_calls() const noexcept { return pending_ != 0; }

    std::span<const Watch> watches() {
        watches_.clear();
        topology_->watch(watches_);
        // Many may wait for a look-up, all with the same pipe.
        const auto is_wakeup = [](const Watch& watch) { return watch.id == 0; };
        const auto first = std::find_if(watches_.begin(), watches_.end(), is_wakeup);
        if (first != watches_.end())
            watches_.erase(std::remove_if(first + 1, watches_.end(), is_wakeup), watches_.end());
        return watches_;
    }
    /// Whether the descriptor of a Watch with that id is still open.
    bool is_open(std::uint64_t id) const noexcept { return id == 0 || context_.loop.ids.is_open(id); }
    /// Until process() is due; nanoseconds::max() for never.
    std::chrono::nanoseconds timeout() const noexcept {
        using std::chrono::nanoseconds;
        if (!context_.ready.empty()) return nanoseconds{0};
        const auto due = topology_->due();
        if (due == Clock::time_point::max()) return nanoseconds::max();
        const auto now = Clock::now();
        return due <= now ? nanoseconds{0} : nanoseconds{due - now};
    }

    /// Completions may ask, cancel and close; the object has to live until they are through.
    void process(int fd) noexcept {
        if (is_closed_) return;
        if (fd >= 0 && fd == context_.loop.wakeup->descriptor()) context_.loop.wakeup->drain();
        topology_->process(fd);
        complete();
        if (!is_closed_) topology_->process(-1);  // what they asked
    }

    /// Completes all calls with Errc::cancelled.
    void cancel() noexcept {
        topology_->fail_all(Errc::cancelled);
        complete();
    }
    void close() noexcept {
        is_closed_ = true;
        cancel();
    }

    RedisStats stats() const noexcept { return context_.counters.snapshot_with(*topology_); }
    void count_failure(const std::error_code& error) noexcept { context_.counters.failed(error); }

private:
    static std::unique_ptr<AsyncTopology> make_topology(AsyncContext& context) {
        if (context.is_cluster()) return std::make_unique<AsyncCluster>(context);
        return std::make_unique<AsyncNode>(context.url.endpoints.front(), context, context.ready);
    }

    /// Those that are ready, and none that becomes so meanwhile: a loop has other things to do.
    void complete() noexcept {
        AsyncCallList ready;
        ready.swap(context_.ready);
        while (!ready.empty()) {
            AsyncCall& call = *ready.pop_front();
            --pending_;
            if (const auto error = call.outcome()) count_failure(error);
            call.complete();
        }
    }

    AsyncContext context_;
    const std::unique_ptr<AsyncTopology> topology_;
    std::size_t pending_ = 0;
    bool is_closed_ = false;
    std::vector<Watch> watches_{};
};

}  // namespace sluice::detail::redis

#endif
