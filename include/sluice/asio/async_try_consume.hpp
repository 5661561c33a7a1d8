// SPDX-License-Identifier: MIT
#ifndef SLUICE_ASIO_ASYNC_TRY_CONSUME_HPP
#define SLUICE_ASIO_ASYNC_TRY_CONSUME_HPP

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <asio/associated_cancellation_slot.hpp>
#include <asio/async_result.hpp>

#include <sluice/asio/handler_completion.hpp>
#include <sluice/asio/store_executor.hpp>
#include <sluice/async_calls.hpp>
#include <sluice/decision.hpp>
#include <sluice/error.hpp>
#include <sluice/policy.hpp>
#include <sluice/rate_limiter.hpp>
#include <sluice/store.hpp>
#include <sluice/units.hpp>

namespace sluice {

namespace detail::asio_io {

/// An operation may begin later than it is made (co_await, deferred): a std::string given away is kept until then, and a
/// view of anything else.
template <class Key>
using KeptKey = std::conditional_t<std::is_same_v<Key, std::string>, std::string, std::string_view>;

template <Policy P, class S>
struct ConsumeInitiation {
    const RateLimiter<P, S>& limiter;

    using executor_type = StoreExecutor<S>;
    executor_type get_executor() const noexcept { return store_executor(limiter.store()); }

    template <class Handler, class Key>
    void operator()(Handler&& handler, const Key& key, Units cost) const {
        start(std::forward<Handler>(handler), limiter.on_failure(), limiter.quota().limit, cost,
              [&](auto done) { limiter.async_try_consume(key, cost, std::move(done)); });
    }
    template <class Handler, class Key>
    void operator()(Handler&& handler, const Key& key, Units cost, const P& policy) const {
        start(std::forward<Handler>(handler), limiter.on_failure(), policy.quota().limit, cost,
              [&](auto done) { limiter.async_try_consume(key, cost, policy, std::move(done)); });
    }

private:
    template <class Handler, class Ask>
    void start(Handler&& handler, FailureMode on_failure, std::uint64_t limit, Units cost, Ask ask) const {
        using Decayed = std::decay_t<Handler>;
        const auto slot = ::asio::get_associated_cancellation_slot(handler);
        if (slot.is_connected()) {
            ask(CancellableCompletion<Decayed, executor_type>{
                std::forward<Handler>(handler), get_executor(),
                settled_failure(Errc::cancelled, limit, cost.count(), on_failure)});
        } else {
            ask(HandlerCompletion<Decayed, executor_type>{std::forward<Handler>(handler), get_executor()});
        }
    }
};

}  // namespace detail::asio_io

/// RateLimiter::try_consume for a completion token: a callback, asio::use_future, asio::use_awaitable, asio::deferred.
/// Completes with the Decision alone, posted to the handler's associated executor, or else to the store's.
///
///     sluice::Decision decision = co_await sluice::async_try_consume(limiter, "user:42", 1, asio::use_awaitable);
///
/// Until the operation begins (for use_awaitable and deferred, when it is awaited) the limiter has to live, and so has what
/// `key` is a view of; a std::string may be given away with std::move. Then neither is needed.
///
/// A signal of the associated cancellation slot, of any type, completes it at once with Errc::cancelled: what had not
/// been sent is not, what had may have been charged. Its deadline is RedisOptions::timeout.
///
/// One allocation, by the handler's associated allocator; where a cancellation slot is connected, one more.
template <Policy P, class S, class Key, class Token>
requires AsyncStore<S, P> && std::convertible_to<const Key&, std::string_view>
auto async_try_consume(const RateLimiter<P, S>& limiter, Key&& key, Units cost, Token&& token) {
    return ::asio::async_initiate<Token, void(Decision)>(detail::asio_io::ConsumeInitiation<P, S>{limiter}, token,
                                                         detail::asio_io::KeptKey<Key>(std::forward<Key>(key)), cost);
}

/// With another policy of the limiter's type (a tier), which is copied.
template <Policy P, class S, class Key, class Token>
requires AsyncStore<S, P> && std::convertible_to<const Key&, std::string_view>
auto async_try_consume(const RateLimiter<P, S>& limiter, Key&& key, Units cost, const P& policy, Token&& token) {
    return ::asio::async_initiate<Token, void(Decision)>(detail::asio_io::ConsumeInitiation<P, S>{limiter}, token,
                                                         detail::asio_io::KeptKey<Key>(std::forward<Key>(key)), cost,
                                                         policy);
}

}  // namespace sluice

#endif
