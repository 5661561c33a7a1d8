// SPDX-License-Identifier: MIT
#ifndef SLUICE_TESTING_DETAIL_POLICY_CASES_HPP
#define SLUICE_TESTING_DETAIL_POLICY_CASES_HPP

#include <algorithm>
#include <chrono>
#include <cstdint>

#include <sluice/decision.hpp>
#include <sluice/policy.hpp>
#include <sluice/testing/detail/policies.hpp>
#include <sluice/testing/detail/run.hpp>

namespace sluice::detail::conformance {

/// One state of a policy, asked without being changed.
template <class P>
struct Probe {
    const P& policy;
    const Run& check;

    Decision ask(typename P::State state, nanoseconds now, std::uint64_t cost) const noexcept {
        return policy.step(state, now, cost);
    }
    /// Two states are alike if they answer alike, now and later.
    void alike(const typename P::State& a, const typename P::State& b, nanoseconds now,
               int line = __builtin_LINE()) const {
        const Quota quota = policy.quota();
        for (const nanoseconds later :
             {nanoseconds{0}, nanoseconds{1}, quota.window / 3, quota.window, 2 * quota.window}) {
            for (const std::uint64_t cost : {std::uint64_t{0}, std::uint64_t{1}, quota.limit / 2 + 1, quota.limit}) {
                const Decision one = ask(a, now + later, cost), other = ask(b, now + later, cost);
                if (one != other) return check.fail("states that should be alike are not", one, other, line);
            }
        }
    }
    void decision(const typename P::State& before, const typename P::State& after, nanoseconds now, std::uint64_t cost,
                  const Decision& made) const {
        check(made.remaining <= made.limit);
        check(made.retry_after >= nanoseconds{0} && made.reset_after >= nanoseconds{0});
        check(ask(before, now, 0).allowed);
        if (cost == 0 || !made.allowed) alike(before, after, now);
        if (made.allowed) {
            check(made.retry_after == nanoseconds{0});
            check(made.delay >= nanoseconds{0});
            check(ask(after, now, made.remaining).allowed);
        } else if (made.retry_after == Decision::never) {
            check(!ask(before, now + 2 * policy.quota().window, cost).allowed);
        } else {
            check(made.retry_after > nanoseconds{0});
            check(ask(before, now + made.retry_after, cost).allowed);
            check(!ask(before, now + made.retry_after - nanoseconds{1}, cost).allowed);
        }
    }
};

/// A state and 50 random requests, from idle to well beyond the limit.
template <class P>
void drive_policy(const P& policy, Run& run) {
    const Quota quota = policy.quota();
    const Probe<P> probe{policy, run};
    nanoseconds now = start + nanoseconds{run.between(std::int64_t{0}, quota.window.count())};
    typename P::State state{};
    for (int i = 0; i != 50; ++i) {
        if (!run.one_in(3))
            now += nanoseconds{run.magnitude<std::int64_t>(1, 2 * (std::max)(quota.window.count(), std::int64_t{1}))};
        const std::uint64_t cost = run.one_in(4) ? quota.limit + 1 : run.between(std::uint64_t{0}, quota.limit);
        const typename P::State before = state;
        const Decision made = policy.step(state, now, cost);
        probe.decision(before, state, now, cost, made);
        const nanoseconds idle = (std::max)(now, policy.expires_at(state));
        probe.alike(state, typename P::State{}, idle);
    }
}

}  // namespace sluice::detail::conformance

#endif
