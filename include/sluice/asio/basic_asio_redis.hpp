// SPDX-License-Identifier: MIT
#ifndef SLUICE_ASIO_BASIC_ASIO_REDIS_HPP
#define SLUICE_ASIO_BASIC_ASIO_REDIS_HPP

#include <chrono>
#include <concepts>
#include <cstddef>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include <sluice/asio/asio_driver.hpp>
#include <sluice/decision.hpp>
#include <sluice/redis/link/async_call.hpp>
#include <sluice/redis/redis_codec.hpp>
#include <sluice/redis/redis_options.hpp>
#include <sluice/redis/redis_stats.hpp>
#include <sluice/store.hpp>

namespace sluice {

/// An AsyncRedis on an Asio executor, which watches its descriptors and its time.
///
///     asio::io_context io;
///     sluice::AsioRedis redis{io.get_executor(), "redis://127.0.0.1:6379"};
///     const sluice::RateLimiter limiter{sluice::TokenBucket{10, sluice::per_second(1)}, redis, {.name = "api"}};
///     sluice::Decision decision = co_await sluice::async_try_consume(limiter, "user:42", 1, asio::use_awaitable);
///
/// The executor is that of an io_context that one thread runs, or a strand of one that several run. Calls may be made on
/// any thread: they are dispatched to the executor. A handle: copies share the connection; may be used and destroyed by
/// several threads at once, and must not outlive the io_context. The last one to go completes what waits with
/// Errc::cancelled, on the executor. While nothing is asked it does not keep io_context::run() from returning.
///
/// `Asio` is the standalone one (AsioRedis) or Boost's (BoostAsioRedis). All else is as AsyncRedis says. What it costs beside is
/// what Asio allocates to dispatch, which Asio keeps for the next.
template <class Asio>
class BasicAsioRedis {
public:
    using Executor = typename Asio::Executor;

    /// Throws std::invalid_argument for a bad URL or bad options. Never dials.
    BasicAsioRedis(Executor executor, std::string_view url, RedisOptions options = {})
        : owner_(std::make_shared<const Owner>(std::move(executor), url, std::move(options))) {}
    template <class Context>
    requires std::derived_from<Context, typename Asio::Context> BasicAsioRedis(Context& context, std::string_view url,
                                                                               RedisOptions options = {})
        : BasicAsioRedis(Executor{context.get_executor()}, url, std::move(options)) {}

    const Executor& get_executor() const noexcept { return owner_->driver->executor(); }

    /// Calls done(Decision) on the executor, see AsyncStore.
    template <Policy P, Completion F>
    void decide_async(const Request<P>& request, F done) const noexcept {
        ask<Decision>(request, std::nullopt, done);
    }
    /// Calls done(Consumption) on the executor, see AsyncSettlingStore.
    template <Policy P, std::invocable<Consumption> F>
    void consume_async(const Request<P>& request, F done) const noexcept {
        ask<Consumption>(request, std::nullopt, done);
    }
    /// At a time of the caller's instead of the server's, for tests and replays: one key must not mix the two.
    template <Policy P, Completion F>
    void decide_async_at(const Request<P>& request, std::chrono::nanoseconds now, F done) const noexcept {
        ask<Decision>(request, std::optional{now}, done);
    }

    /// Completes all that waits with Errc::cancelled, on the executor.
    void cancel() const {
        Asio::dispatch(get_executor(), [driver = owner_->driver] { driver->cancel(); });
    }

    RedisStats stats() const noexcept { return owner_->driver->session().client()->stats(); }

    template <Policy P>
    void check(const Scope<P>& scope) const {
        detail::redis::RedisCodec::check(scope, "AsioRedis");
    }

private:
    struct Owner {
        Owner(Executor executor, std::string_view url, RedisOptions options)
            : driver(
                  std::make_shared<detail::asio_io::AsioDriver<Asio>>(std::move(executor), url, std::move(options))) {}
        Owner(const Owner&) = delete;
        Owner& operator=(const Owner&) = delete;
        ~Owner() {
            Asio::dispatch(driver->executor(), [driver = driver] { driver->close(); });
        }
        std::shared_ptr<detail::asio_io::AsioDriver<Asio>> driver;
    };
    struct Destroy {
        void operator()(detail::redis::AsyncCall* call) const noexcept { call->destroy(); }
    };

    template <class Result, Policy P, class F>
    void ask(const Request<P>& request, detail::redis::RedisCodec::Now now, F& done) const noexcept {
        // With copies of all that the request refers to, since it may get to the executor later.
        std::unique_ptr<detail::redis::AsyncCall, Destroy> call{
            owner_->driver->session().template make<Result>(request, now, done)};
        if (call == nullptr) return;
        Asio::dispatch(get_executor(), [driver = owner_->driver, call = std::move(call),
                                        size = request.key.size()]() mutable { driver->ask(*call.release(), size); });
    }

    std::shared_ptr<const Owner> owner_;
};

}  // namespace sluice

#endif
