// SPDX-License-Identifier: MIT
#ifndef SLUICE_HTTP_VERDICT_HPP
#define SLUICE_HTTP_VERDICT_HPP

#include <algorithm>
#include <array>
#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include <sluice/error.hpp>
#include <sluice/http/answer.hpp>
#include <sluice/http/rule.hpp>

namespace sluice::http {

class RuleSet;

/// What the rules say to one request. Keeps the rules that it comes from alive.
class Verdict {
public:
    using Outcome = metrics::Outcome;

    Verdict() = default;

    bool allowed() const noexcept { return outcome_ != Outcome::denied; }
    Outcome outcome() const noexcept { return outcome_; }
    /// The rule that applied; null if none did.
    const Rule* rule() const noexcept { return rule_; }
    /// What each limit answered, up to the first denial. Of an allowed request whose rule is not enforced these are
    /// not for the client's eyes: see told().
    std::span<const PolicyAnswer> answers() const noexcept { return {answers_.data(), count_}; }
    /// The answers to put into headers: none for rules that are not enforced at all, and for clients whose denial
    /// was waived.
    std::span<const PolicyAnswer> told() const noexcept {
        const bool enforced = rule_ != nullptr && rule_->enforce_percent > 0 && outcome_ != Outcome::would_deny;
        return enforced ? answers() : std::span<const PolicyAnswer>{};
    }

private:
    friend class Rules;

    explicit Verdict(std::shared_ptr<const RuleSet> rules) noexcept : rules_(std::move(rules)) {}

    void charge(const Tier& tier, const Caller& caller) noexcept {
        std::array<Key, max_limits> keys;
        for (const Limit& limit : tier.limits) {
            const Decision decision = ask(limit, caller, keys[count_]);
            answers_[count_++] = {limit.limiter.name(), limit.limiter.quota(), decision};
            if (decision.allowed) continue;
            give_back(tier, keys);
            const bool enforced = std::hash<std::string_view>{}(keys[0].view()) % 100 < rule_->enforce_percent;
            outcome_ = enforced ? Outcome::denied : Outcome::would_deny;
            return;
        }
    }

    Decision ask(const Limit& limit, const Caller& caller, Key& key) const noexcept {
        Decision decision;
        try {
            detail::add_key(key, limit, *rule_, caller);
            decision = limit.limiter.try_consume(key, limit.cost);
        } catch (...) {  // no memory for a key, which only a long one needs
            decision.error = Errc::no_memory;
        }
        // A key that the store refuses must not be a way around the limit, whatever the limiter does on failures.
        if (decision.error == Errc::invalid_argument) decision.allowed = false;
        return decision;
    }

    /// Undoes what the limits before the one that denied have taken.
    void give_back(const Tier& tier, const std::array<Key, max_limits>& keys) noexcept {
        for (std::size_t i = 0; i + 1 < count_; ++i) {
            auto& [name, quota, decision] = answers_[i];
            if (decision.error && decision.error != Errc::degraded) continue;
            const Limit& limit = tier.limits[i];
            if (limit.limiter.refund(keys[i], limit.cost)) continue;
            decision.remaining = std::min(decision.remaining + limit.cost, decision.limit);
        }
    }

    std::shared_ptr<const RuleSet> rules_{};
    const Rule* rule_ = nullptr;
    std::array<PolicyAnswer, max_limits> answers_{};
    std::size_t count_ = 0;
    Outcome outcome_ = Outcome::allowed;
};

}  // namespace sluice::http

#endif
