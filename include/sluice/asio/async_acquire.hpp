// SPDX-License-Identifier: MIT
#ifndef SLUICE_ASIO_ASYNC_ACQUIRE_HPP
#define SLUICE_ASIO_ASYNC_ACQUIRE_HPP

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <asio/associated_cancellation_slot.hpp>
#include <asio/async_result.hpp>
#include <asio/cancellation_type.hpp>

#include <sluice/asio/acquire_operation.hpp>
#include <sluice/asio/async_try_consume.hpp>
#include <sluice/asio/store_executor.hpp>
#include <sluice/decision.hpp>
#include <sluice/policy.hpp>
#include <sluice/rate_limiter.hpp>
#include <sluice/store.hpp>
#include <sluice/units.hpp>

namespace sluice {

namespace detail::asio_io {

template <Policy P, class S>
struct AcquireInitiation {
    const RateLimiter<P, S>& limiter;

    using executor_type = StoreExecutor<S>;
    executor_type get_executor() const noexcept { return store_executor(limiter.store()); }

    template <class Handler, class Key>
    void operator()(Handler&& handler, const Key& key, Units cost, std::chrono::nanoseconds max_wait) const {
        (*this)(std::forward<Handler>(handler), key, cost, max_wait, limiter.policy());
    }
    template <class Handler, class Key>
    void operator()(Handler&& handler, const Key& key, Units cost, std::chrono::nanoseconds max_wait,
                    const P& policy) const {
        using Operation = AcquireOperation<P, S, std::decay_t<Handler>>;
        auto slot = ::asio::get_associated_cancellation_slot(handler);
        const auto operation = std::make_shared<Operation>(limiter, policy, std::string{key}, cost, max_wait,
                                                           std::forward<Handler>(handler));
        if (slot.is_connected()) {
            slot.assign([weak = std::weak_ptr{operation}](::asio::cancellation_type type) {
                const auto cancelled = weak.lock();
                if (cancelled && type != ::asio::cancellation_type::none) cancelled->cancel();
            });
        }
        operation->begin();
    }
};

}  // namespace detail::asio_io

/// RateLimiter::acquire for a completion token: completes with the Decision when the units are there, its delay over,
/// `max_wait` from now at most; or with a denial, at once, as far as it is known that they will not be there in time.
///
///     sluice::Decision decision = co_await sluice::async_acquire(limiter, "user:42", 1, 2s, asio::use_awaitable);
///
/// A LeakyBucket gives its place in the queue, in one call of the store, and the wait is a timer. Of other policies those
/// who wait for a key of this limiter and its copies by async_acquire are served in the order of arrival: one asks the
/// store and waits as told, with jitter. At most 2,000 wait for a key; more are denied with Errc::busy. When the store
/// fails, all waits for the key end with what the failure mode says.
///
/// A signal of the associated cancellation slot, of any type, ends the wait at once, denied with Errc::cancelled. What was
/// given goes back, also where the answer is still on the way; but of a store that does not tell what it took (see
/// AsyncSettlingStore: Fallback) only what a bucket gave does.
///
/// Until the operation begins the limiter and `key` have to live, see async_try_consume. Each wait allocates its operation
/// with copies of limiter and key, and Asio a strand and a timer.
template <Policy P, class S, class Key, class Token>
requires AsyncStore<S, P> && std::convertible_to<const Key&, std::string_view>
auto async_acquire(const RateLimiter<P, S>& limiter, Key&& key, Units cost, std::chrono::nanoseconds max_wait,
                   Token&& token) {
    return ::asio::async_initiate<Token, void(Decision)>(detail::asio_io::AcquireInitiation<P, S>{limiter}, token,
                                                         detail::asio_io::KeptKey<Key>(std::forward<Key>(key)), cost,
                                                         max_wait);
}

/// With another policy of the limiter's type (a tier), which is copied.
template <Policy P, class S, class Key, class Token>
requires AsyncStore<S, P> && std::convertible_to<const Key&, std::string_view>
auto async_acquire(const RateLimiter<P, S>& limiter, Key&& key, Units cost, std::chrono::nanoseconds max_wait,
                   const P& policy, Token&& token) {
    return ::asio::async_initiate<Token, void(Decision)>(detail::asio_io::AcquireInitiation<P, S>{limiter}, token,
                                                         detail::asio_io::KeptKey<Key>(std::forward<Key>(key)), cost,
                                                         max_wait, policy);
}

}  // namespace sluice

#endif
