// SPDX-License-Identifier: MIT
#ifndef SLUICE_ASYNC_RESERVE_HPP
#define SLUICE_ASYNC_RESERVE_HPP

#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

#include <sluice/async_calls.hpp>
#include <sluice/completion.hpp>
#include <sluice/error.hpp>
#include <sluice/loop_store.hpp>
#include <sluice/rate_limiter.hpp>
#include <sluice/reservation.hpp>
#include <sluice/store.hpp>
#include <sluice/units.hpp>

namespace sluice {

/// What a limiter makes of a store's answer to async_reserve(): like LimiterCompletion.
template <class F>
struct Reservation::Completion : detail::CompletionBefore<F> {
    std::unique_ptr<Account> account;
    std::uint64_t limit;
    std::uint64_t cost;
    FailureMode on_failure;
    std::unique_ptr<const detail::ObservedCall> observed;

    void operator()(Consumption taken) && {
        Decision& decision = taken.decision;
        if (!is_decided(decision.error)) decision = detail::settled_failure(decision.error, limit, cost, on_failure);
        if (observed) observed->report(cost, decision);
        std::move(this->done)(Reservation{taken, std::move(account)});
    }
};

template <Policy P, class S>
template <class F>
void RateLimiter<P, S>::async_reserve(std::string_view key, Units estimate, F done) const noexcept {
    static_assert(AsyncSettlingStore<S, P>, "sluice: async_reserve needs an AsyncSettlingStore: consume_async()");
    static_assert(SettlingPolicy<P>, "sluice: async_reserve needs a SettlingPolicy, which has give_back()");
    if (estimate.is_negative()) return std::move(done)(Reservation{{rejection(policy_)}, nullptr});
    const auto mine = scope();
    Reservation::Completion<F> completion{
        {std::move(done)},   Reservation::account_for(detail::LoopStore<S>{store_}, mine, key),
        quota().limit,       estimate.count(),
        options_.on_failure, observation(Operation::consume, key)};
    if (!completion.account) return std::move(completion)(Consumption{failure(Errc::no_memory)});
    store_.consume_async(Request<P>{mine, key, estimate.count(), Operation::consume}, std::move(completion));
}

}  // namespace sluice

#endif
