// SPDX-License-Identifier: MIT
#ifndef SLUICE_HTTP_VERDICT_HPP
#define SLUICE_HTTP_VERDICT_HPP

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>

#include <sluice/http/answer.hpp>
#include <sluice/http/rules/rule.hpp>

namespace sluice::http {

namespace detail {

class Charging;

}  // namespace detail

/// What the rules say to one request: a value. Keeps the rules that it comes from alive.
class Verdict {
public:
    using Outcome = metrics::Outcome;

    Verdict() noexcept {}  // not `= default`, which would have the answers zeroed where a verdict is value-initialized

    bool allowed() const noexcept { return outcome_ != Outcome::denied; }
    Outcome outcome() const noexcept { return outcome_; }
    /// Denied however often it is asked: by the deny list or a limit of 0.
    bool is_forbidden() const noexcept { return is_forbidden_; }
    /// The rule that applied, RuleSet::deny_rule() for the deny list; null if none did. Of a denied request never null.
    const Rule* rule() const noexcept { return rule_; }
    /// What each limit of the tier answered. Behind the first denial nothing is charged any more: limits in this
    /// process are peeked, others are left unasked. Of an allowed request whose rule is not enforced these are not for
    /// the client's eyes: see told().
    std::span<const PolicyAnswer> answers() const noexcept { return answers_.all(); }
    /// The answers to put into headers: none for rules that are not enforced at all, and for clients whose denial
    /// was waived.
    std::span<const PolicyAnswer> told() const noexcept {
        const bool enforced = rule_ != nullptr && rule_->enforce_percent > 0 && outcome_ != Outcome::would_deny;
        return enforced ? answers() : std::span<const PolicyAnswer>{};
    }
    /// How long to hold the request before it is served, so that those of a LeakyBucket leave evenly: the longest that
    /// a limit asks for. 0 for all but allowed requests of enforced clients.
    std::chrono::nanoseconds delay() const noexcept { return delay_; }

    /// For a handler: what the request has cost, to limits that count what is reported; the last report counts. Thread-safe.
    void report_cost(std::uint64_t units) const noexcept {
        if (settlement_) settlement_->report(units);
    }
    /// For an adapter, after the handler: limits that count by outcome give back, or take the rest. Once; of a request that
    /// is never settled all stays charged. One call to the store for each such limit.
    void settle(int status) const noexcept {
        if (settlement_) settlement_->settle(status);
    }

private:
    friend class detail::Charging;

    std::shared_ptr<const void> rules_{};  // a RuleSet
    std::shared_ptr<detail::Settlement> settlement_{};
    const Rule* rule_ = nullptr;
    detail::AnswerList answers_{};
    std::chrono::nanoseconds delay_{0};
    Outcome outcome_ = Outcome::allowed;
    bool is_forbidden_ = false;
};

}  // namespace sluice::http

#endif
