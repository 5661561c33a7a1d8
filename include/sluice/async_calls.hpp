// SPDX-License-Identifier: MIT
#ifndef SLUICE_ASYNC_CALLS_HPP
#define SLUICE_ASYNC_CALLS_HPP

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <sluice/completion.hpp>
#include <sluice/decision.hpp>
#include <sluice/detail/exceptions.hpp>
#include <sluice/error.hpp>
#include <sluice/observer.hpp>
#include <sluice/rate_limiter.hpp>
#include <sluice/store.hpp>
#include <sluice/units.hpp>

namespace sluice {

namespace detail {

/// What an observer is to hear of a call whose answer has not come.
struct ObservedCall {
    std::shared_ptr<Observer> observer;
    std::string limiter;
    std::string key;
    std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();

    void report(std::uint64_t cost, const Decision& decision) const noexcept {
        const auto latency = std::chrono::steady_clock::now() - start;
        // An observer's trouble is not the request's.
        try_or([&] { observer->on_decision({limiter, key, cost, decision, latency}); }, [] {});
    }
};

/// What a limiter does with a store's answer, and then who asked: knows all that it needs, so that the limiter may be gone.
template <class F>
struct LimiterCompletion : CompletionBefore<F> {
    std::uint64_t limit;
    std::uint64_t cost;
    FailureMode on_failure;
    bool has_decision;  ///< else there is an error alone
    std::unique_ptr<const ObservedCall> observed{};

    void operator()(Decision decision) && {
        if (has_decision && !is_decided(decision.error))
            decision = settled_failure(decision.error, limit, cost, on_failure);
        if (observed) observed->report(cost, decision);
        std::move(this->done)(decision);
    }
};

}  // namespace detail

/// Null for no observer, or no memory: not observed.
template <Policy P, class S>
std::unique_ptr<const detail::ObservedCall> RateLimiter<P, S>::observation(Operation operation,
                                                                           std::string_view key) const noexcept {
    std::unique_ptr<const detail::ObservedCall> observed;
    if (!options_.observer || operation != Operation::consume) return observed;
    detail::try_or(
        [&] {
            observed = std::make_unique<const detail::ObservedCall>(
                detail::ObservedCall{options_.observer, options_.name, std::string{key}});
        },
        [] {});
    return observed;
}

template <Policy P, class S>
template <class F>
void RateLimiter<P, S>::async_ask(Operation operation, const Scope<P>& scope, std::string_view key, Units cost,
                                  F done) const noexcept {
    const bool has_decision = operation == Operation::consume || operation == Operation::peek;
    if (cost.is_negative()) {
        std::move(done)(has_decision ? rejection(scope.policy) : failure(Errc::invalid_argument));
        return;
    }
    detail::LimiterCompletion<F> completion{
        {std::move(done)}, scope.policy.quota().limit, cost.count(), options_.on_failure, has_decision};
    completion.observed = observation(operation, key);
    if (operation == Operation::consume && cost.count() == 0) operation = Operation::peek;
    store_.decide_async(Request<P>{scope, key, cost.count(), operation}, std::move(completion));
}

}  // namespace sluice

#endif
