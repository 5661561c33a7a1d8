// SPDX-License-Identifier: MIT
#ifndef SLUICE_OPERATE_HPP
#define SLUICE_OPERATE_HPP

#include <chrono>
#include <cstdint>

#include <sluice/decision.hpp>
#include <sluice/detail/algorithm.hpp>
#include <sluice/error.hpp>
#include <sluice/policy.hpp>
#include <sluice/store.hpp>

namespace sluice {

/// Does what a request asks on the state of its key: the one place that knows the operations. For stores that have a key's
/// state at hand, under a lock or to be swapped in, and for those that repeat on a state what a server did to it.
///
/// `taken` receives the units of an admission by consume, take or carry, else 0. What the policy cannot do has Errc::unsupported.
/// May throw std::bad_alloc where the policy is a GrowingPolicy, and leaves the state as it was: room for a `consume` has to
/// be made before, with reserve(); for a `take` or `carry` it is made here.
template <Policy P>
Decision operate(const Request<P>& request, typename P::State& state, std::chrono::nanoseconds now,
                 std::uint64_t& taken) noexcept(!GrowingPolicy<P>) {
    const P& policy = request.scope.policy;
    taken = 0;
    switch (request.operation) {
        case Operation::consume: {
            const Decision decision = step_within(policy, state, now, request.units, request.max_delay);
            if (decision.allowed) taken = request.units;
            return decision;
        }
        case Operation::take: {
            Decision decision;
            taken = take(policy, state, now, request.units, decision);
            return decision;
        }
        case Operation::peek: return peek(policy, state, now, request.units);
        case Operation::carry: {
            const std::uint64_t limit = policy.quota().limit;
            if (!peek(policy, state, now, limit).allowed) return peek(policy, state, now, 0);
            const std::uint64_t units = std::min(request.units, limit);
            reserve(policy, state, now, units);
            const Decision decision = policy.step(state, now, units);
            if (decision.allowed) taken = units;
            return decision;
        }
        case Operation::refund:
            if constexpr (RefundablePolicy<P>) {
                policy.refund(state, now, request.units);
                return Decision{};
            }
            break;
        case Operation::give_back:
            if constexpr (SettlingPolicy<P>) {
                policy.give_back(state, now, request.consumed_at, request.units);
                return Decision{};
            }
            break;
        case Operation::reset: state = typename P::State{}; return Decision{};
    }
    return failure(Errc::unsupported);
}

}  // namespace sluice

#endif
