// SPDX-License-Identifier: MIT
#ifndef SLUICE_MEMORY_DETAIL_DECISION_TIME_HPP
#define SLUICE_MEMORY_DETAIL_DECISION_TIME_HPP

#include <chrono>

#include <sluice/decision.hpp>
#include <sluice/detail/algorithm.hpp>
#include <sluice/detail/saturate.hpp>
#include <sluice/detail/skew.hpp>
#include <sluice/policy.hpp>

namespace sluice::detail {

/// The time of a decision, and the clock that told it, which can be read again; without one where the caller gave the
/// time. A thread may be held up between reading the clock and using the state, for any time; it then finds states of
/// later times, and must not decide by its old reading.
template <class C>
class DecisionTime {
public:
    DecisionTime(std::chrono::nanoseconds now, const C* clock) noexcept : now_(now), clock_(clock) {}

    /// Longer waits are announced as they are.
    static constexpr std::chrono::nanoseconds short_wait = std::chrono::milliseconds{100};

    std::chrono::nanoseconds now() const noexcept { return now_; }

    /// Later, if time has passed; it never goes back within a request or a batch.
    void refresh() noexcept {
        if (clock_ != nullptr) now_ = std::max(now_, clock_->now());
    }

    /// Before this time states have expired for everybody. A caller's times, and those of a clock that may be set back, may
    /// be late, so that a state which has expired by one of them may be asked for by another.
    std::chrono::nanoseconds expired_before() const noexcept {
        if constexpr (requires { requires C::is_steady; }) {
            if (clock_ != nullptr) return now_;
        }
        return earliest_tolerated();
    }

    /// The earliest that another's time may be, if it is late by no more than policies tolerate.
    std::chrono::nanoseconds earliest_tolerated() const noexcept {
        return std::chrono::nanoseconds{add(now_.count(), -tolerated_skew.count())};
    }

    /// `step(state, now)` on a state that is in hand: the clock is read again if the state is of a later time, and once
    /// more before a short wait is announced, which may be over by now.
    template <Policy P, class Step>
    Decision decide(const P& policy, typename P::State& state, Step step) noexcept {
        if (is_ahead(policy, state, now_)) refresh();
        Decision decision = step(state, now_);
        if (is_short_wait(decision) && wait_is_over(decision)) decision = step(state, now_);
        return decision;
    }

    /// Whether a denial is worth a further look at the clock.
    static bool is_short_wait(const Decision& decision) noexcept {
        return !decision.allowed && decision.retry_after.count() != 0 && decision.retry_after <= short_wait;
    }
    bool wait_is_over(const Decision& decision) noexcept {
        const std::chrono::nanoseconds before = now_;
        refresh();
        return now_ - before >= decision.retry_after;
    }

private:
    std::chrono::nanoseconds now_;
    const C* clock_;
};

}  // namespace sluice::detail

#endif
