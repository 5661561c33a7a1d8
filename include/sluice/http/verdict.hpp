// SPDX-License-Identifier: MIT
#ifndef SLUICE_HTTP_VERDICT_HPP
#define SLUICE_HTTP_VERDICT_HPP

#include <algorithm>
#include <array>
#include <chrono>
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
    /// What each limit of the tier answered. Behind the first denial nothing is charged any more: limits in this
    /// process are peeked, others are left unasked. Of an allowed request whose rule is not enforced these are not for
    /// the client's eyes: see told().
    std::span<const PolicyAnswer> answers() const noexcept { return {answers_.data(), count_}; }
    /// The answers to put into headers: none for rules that are not enforced at all, and for clients whose denial
    /// was waived.
    std::span<const PolicyAnswer> told() const noexcept {
        const bool enforced = rule_ != nullptr && rule_->enforce_percent > 0 && outcome_ != Outcome::would_deny;
        return enforced ? answers() : std::span<const PolicyAnswer>{};
    }
    /// How long to hold the request before it is served, so that those of a LeakyBucket leave evenly: the longest that
    /// a limit asks for. 0 for all but allowed requests of enforced clients.
    std::chrono::nanoseconds delay() const noexcept { return delay_; }

private:
    friend class Rules;
    using Keys = std::array<Key, max_limits>;

    explicit Verdict(std::shared_ptr<const RuleSet> rules) noexcept : rules_(std::move(rules)) {}

    void charge(const Tier& tier, const Caller& caller) noexcept {
        Keys keys;
        for (const Limit& limit : tier.limits) {
            auto& answer = add(limit);
            const bool has_key = make_key(limit, caller, keys[count_ - 1], answer.decision);
            if (has_key) answer.decision = limit.limiter.try_consume(keys[count_ - 1], limit.cost);
            deny_rejected(answer.decision);
            if (answer.decision.allowed) continue;
            give_back(tier, keys);
            outcome_ = is_enforced(keys) ? Outcome::denied : Outcome::would_deny;
            if (outcome_ == Outcome::denied) peek_rest(tier, caller, keys);
            return;
        }
        for (const auto& answer : answers()) delay_ = std::max(delay_, answer.decision.delay);
        if (delay_ > std::chrono::nanoseconds{0} && !is_enforced(keys)) delay_ = std::chrono::nanoseconds{0};
    }

    PolicyAnswer& add(const Limit& limit) noexcept {
        answers_[count_] = {limit.limiter.name(), limit.limiter.quota(), {}, limit.cost};
        return answers_[count_++];
    }

    /// False where there is no memory for the key, which only a long one needs; the decision says so then.
    bool make_key(const Limit& limit, const Caller& caller, Key& key, Decision& decision) const noexcept {
        try {
            detail::add_key(key, limit, *rule_, caller);
            return true;
        } catch (...) {
            decision.error = Errc::no_memory;
            return false;
        }
    }

    /// A key that the store refuses must not be a way around the limit, whatever the limiter does on failures.
    static void deny_rejected(Decision& decision) noexcept {
        if (is_rejected(decision.error)) decision.allowed = false;
    }

    bool is_enforced(const Keys& keys) const noexcept {
        return std::hash<std::string_view>{}(keys[0].view()) % 100 < rule_->enforce_percent;
    }

    /// What the limits behind the one that denied would say, so that a client is not told to come back only to be
    /// denied by the next. For a remote one that would be a round trip for each denial, in a flood of them.
    void peek_rest(const Tier& tier, const Caller& caller, Keys& keys) noexcept {
        while (count_ < tier.limits.size()) {
            const Limit& limit = tier.limits[count_];
            auto& answer = add(limit);
            Key& key = keys[count_ - 1];
            answer.asked = limit.limiter.is_in_process() && make_key(limit, caller, key, answer.decision);
            answer.decision = answer.asked ? limit.limiter.peek(key, limit.cost) : Decision{.allowed = true};
            deny_rejected(answer.decision);
        }
    }

    /// Undoes what the limits before the one that denied have taken.
    void give_back(const Tier& tier, const Keys& keys) noexcept {
        for (std::size_t i = 0; i + 1 < count_; ++i) {
            auto& decision = answers_[i].decision;
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
    std::chrono::nanoseconds delay_{0};
    Outcome outcome_ = Outcome::allowed;
};

}  // namespace sluice::http

#endif
