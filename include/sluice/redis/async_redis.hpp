// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_ASYNC_REDIS_HPP
#define SLUICE_REDIS_ASYNC_REDIS_HPP

#include <chrono>
#include <concepts>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include <sluice/decision.hpp>
#include <sluice/error.hpp>
#include <sluice/redis/async_operation.hpp>
#include <sluice/redis/link/async_client.hpp>
#include <sluice/redis/redis_codec.hpp>
#include <sluice/redis/redis_options.hpp>
#include <sluice/redis/redis_stats.hpp>
#include <sluice/redis/wire/key.hpp>
#include <sluice/remote/watch.hpp>
#include <sluice/store.hpp>

namespace sluice {

namespace detail::redis {

/// What the handles of an AsyncRedis share. A completion may destroy the last of them: the client itself lives on until
/// the process() in which that happens is through.
class AsyncSession {
public:
    AsyncSession(std::string_view url, RedisOptions options)
        : client_(std::make_shared<AsyncClient>(url, std::move(options))), codec_(client_->options().prefix) {}
    AsyncSession(const AsyncSession&) = delete;
    AsyncSession& operator=(const AsyncSession&) = delete;
    ~AsyncSession() {
        const auto client = client_;
        client->close();
    }

    const std::shared_ptr<AsyncClient>& client() const noexcept { return client_; }

    /// Never throws: without memory the answer comes at once.
    template <class Result, Policy P, class F>
    AsyncCall* make(const Request<P>& request, RedisCodec::Now now, F& done) noexcept {
        try {
            return AsyncOperation<P, Result, F>::make(codec_, request, now, done);
        } catch (const std::bad_alloc&) {
            client_->count_failure(Errc::no_memory);
            std::move(done)(Result{failure(Errc::no_memory)});
            return nullptr;
        }
    }
    /// On the loop.
    void ask(AsyncCall& call, std::size_t key_bytes) noexcept {
        if (key_bytes > max_key_bytes) {
            client_->refuse(call, Errc::invalid_argument);
        } else {
            client_->ask(call);
        }
    }

private:
    std::shared_ptr<AsyncClient> client_;
    RedisCodec codec_;
};

}  // namespace detail::redis

/// What RedisStore is for threads, for an event loop: the same URLs, options, scripts, keys and failures, and the same
/// states in the server. Never blocks, has no thread; one per loop.
///
///     sluice::AsyncRedis redis{"redis://127.0.0.1:6379"};
///     const sluice::RateLimiter limiter{sluice::TokenBucket{10, sluice::per_second(1)}, redis, {.name = "api"}};
///     limiter.async_try_consume("user:42", 1, [](sluice::Decision decision) { ... });
///
///     for (;;) {                                       // any loop: poll(2), epoll, libuv; for Asio see <sluice/asio.hpp>
///         std::vector<pollfd> items;
///         for (const sluice::Watch& watch : redis.watches()) items.push_back({watch.fd, watch.events, 0});
///         poll(items.data(), items.size(), redis.poll_timeout());
///         redis.process();                             // when its time is over, and for what was asked
///         for (const pollfd& item : items) if (item.revents != 0) redis.process(item.fd, item.revents);
///     }
///
/// A handle: copies share all; none may be used by two threads at a time. Completions are called by process() alone, each
/// exactly once, and may do anything: ask again, cancel(), destroy the last handle, but not call process(). That one
/// completes all that waits with Errc::cancelled, wherever it is: what was sent may have been charged.
///
/// All that is asked in one turn of the loop goes out together, and so does what is asked while a request is under way:
/// up to 512 decisions in one round trip, 128 in a script. Where a round trip takes more than a millisecond, further
/// connections are used, RedisOptions::connections at most. No call takes longer than RedisOptions::timeout, of which a
/// loop that is late itself is a part; more than max_waiting unsent ones are answered with Errc::busy.
///
/// In a cluster each call goes to the master of its slot, all masters are talked to at once, and one that is lost fails the
/// calls of its slots alone; what a node turns away is sent on within its timeout. The map of slots is asked for by one
/// request at a time, and at most ten times a second. Sentinels are asked before a master is dialled, and every
/// RedisSentinelOptions::recheck. Such a question is watched until it is answered, though no call may wait for it.
///
/// Names are looked up on a thread that ends with the look-up. RedisOptions::credentials is called on the loop.
/// Costs one allocation for a call. A forked child has to make a client of its own.
class AsyncRedis {
public:
    /// Throws std::invalid_argument for a bad URL (see RedisUrl; the text never shows it) or bad options. Never dials.
    explicit AsyncRedis(std::string_view url, RedisOptions options = {})
        : session_(std::make_shared<detail::redis::AsyncSession>(url, std::move(options))) {}

    /// Calls done(Decision), see AsyncStore. Does no input or output: process() does.
    template <Policy P, Completion F>
    void decide_async(const Request<P>& request, F done) const noexcept {
        ask<Decision>(request, std::nullopt, done);
    }
    /// Calls done(Consumption), see AsyncSettlingStore.
    template <Policy P, std::invocable<Consumption> F>
    void consume_async(const Request<P>& request, F done) const noexcept {
        ask<Consumption>(request, std::nullopt, done);
    }
    /// At a time of the caller's instead of the server's, for tests and replays: one key must not mix the two.
    template <Policy P, Completion F>
    void decide_async_at(const Request<P>& request, std::chrono::nanoseconds now, F done) const noexcept {
        ask<Decision>(request, std::optional{now}, done);
    }

    /// What to watch, a descriptor for each connection that waits; changes with every other call, and is valid until then.
    /// Nothing while nothing is asked.
    std::span<const Watch> watches() const { return client().watches(); }
    /// Until process() is due though no descriptor is ready; 0 where something was asked; nanoseconds::max() for never.
    std::chrono::nanoseconds timeout() const noexcept { return client().timeout(); }
    /// The same for poll(2) and epoll_wait(2): milliseconds, rounded up, or -1.
    int poll_timeout() const noexcept {
        const auto left = timeout();
        if (left == std::chrono::nanoseconds::max()) return -1;
        return static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(left).count());
    }
    /// A descriptor is ready, or has an error; others are ignored. Calls completions.
    void process(int fd, [[maybe_unused]] short events) const noexcept { go_on(fd); }
    /// Time has passed, or something was asked.
    void process() const noexcept { go_on(-1); }

    /// Completes all that waits with Errc::cancelled, before it returns. The connection stays.
    void cancel() const noexcept {
        const auto client = session_->client();
        client->cancel();
    }

    RedisStats stats() const noexcept { return client().stats(); }

    template <Policy P>
    void check(const Scope<P>& scope) const {
        detail::redis::RedisCodec::check(scope, "AsyncRedis");
    }

private:
    detail::redis::AsyncClient& client() const noexcept { return *session_->client(); }

    template <class Result, Policy P, class F>
    void ask(const Request<P>& request, detail::redis::RedisCodec::Now now, F& done) const noexcept {
        if (auto* const call = session_->make<Result>(request, now, done)) session_->ask(*call, request.key.size());
    }
    void go_on(int fd) const noexcept {
        const auto client = session_->client();  // `this` may be gone when it returns
        client->process(fd);
    }

    std::shared_ptr<detail::redis::AsyncSession> session_;
};

}  // namespace sluice

#endif
