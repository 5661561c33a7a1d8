// SPDX-License-Identifier: MIT
#ifndef SLUICE_SETTLING_HPP
#define SLUICE_SETTLING_HPP

#include <chrono>
#include <system_error>

#include <sluice/decision.hpp>
#include <sluice/policy.hpp>
#include <sluice/store.hpp>

// What a limiter takes of a store of any kind so that it can go back.
namespace sluice::detail {

/// consume() of a store that has it, else what comes close to it. `now` is the time where the store does not tell it.
template <Policy P, class S>
Consumption consume(const S& store, const Request<P>& request,
                    [[maybe_unused]] std::chrono::nanoseconds now = std::chrono::nanoseconds{0}) noexcept {
    if constexpr (SettlingStore<S, P>) {
        return store.consume(request);
    } else {
        Request<P> plain{request};
        plain.max_delay = std::chrono::nanoseconds::max();  // which the store need not know
        Consumption taken;
        taken.at = now;
        Decision& decision = taken.decision;
        decision = store.decide(plain);
        if (decision.allowed && !decision.error) taken.units = request.units;
        if (!decision.allowed || decision.delay <= request.max_delay) return taken;
        plain.operation = Operation::refund;
        static_cast<void>(store.decide(plain));
        decision.retry_after = decision.delay - request.max_delay;
        decision.allowed = false;
        decision.delay = {};
        taken.units = 0;
        return taken;
    }
}

/// What gives back what `request` took: as of that time, or else as a refund.
template <Policy P, class S>
Request<P> giving_back(Request<P> request, const Consumption& taken) noexcept {
    request.operation = SettlingStore<S, P> && SettlingPolicy<P> ? Operation::give_back : Operation::refund;
    request.units = taken.units;
    request.consumed_at = taken.at;
    request.source = taken.source;
    return request;
}

}  // namespace sluice::detail

#endif
