// SPDX-License-Identifier: MIT
#ifndef SLUICE_HTTP_RULES_CHARGING_HPP
#define SLUICE_HTTP_RULES_CHARGING_HPP

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include <sluice/charge.hpp>
#include <sluice/error.hpp>
#include <sluice/http/rules/key.hpp>
#include <sluice/http/rules/key_maker.hpp>
#include <sluice/http/rules/rule.hpp>
#include <sluice/http/verdict.hpp>
#include <sluice/policy.hpp>
#include <sluice/reservation.hpp>

namespace sluice::http::detail {

/// Charges one request to what a rule says, and writes the verdict.
class Charging {
public:
    /// `rules` holds the rule, which may be null.
    Charging(std::shared_ptr<const void> rules, const Rule* rule, const Asked& asked) noexcept
        : rule_(rule), asked_(asked) {
        verdict_.rules_ = std::move(rules);
        verdict_.rule_ = rule;
    }

    Verdict forbid() noexcept {
        verdict_.outcome_ = Outcome::denied;
        verdict_.is_forbidden_ = true;
        if (rule_->counters) rule_->counters->count(verdict_.outcome_);
        return std::move(verdict_);
    }

    Verdict charge() noexcept {
        if (rule_ == nullptr) return std::move(verdict_);
        if (rule_->exempts(asked_)) {
            verdict_.outcome_ = Outcome::exempt;
        } else if (const Tier* tier = rule_->tier_of(asked_.caller)) {
            if (tier->blocked) {
                block();
            } else {
                charge(*tier);
            }
        }
        if (rule_->counters) rule_->counters->count(verdict_.outcome_);
        return std::move(verdict_);
    }

private:
    using Outcome = metrics::Outcome;

    /// A limit of 0: nobody passes, but in shadow mode.
    void block() noexcept {
        const auto& block = asked_.caller.block;
        const bool denied = is_enforced(block ? std::string_view{block->text()} : std::string_view{});
        verdict_.outcome_ = denied ? Outcome::denied : Outcome::would_deny;
        verdict_.is_forbidden_ = denied;
    }

    void charge(const Tier& tier) noexcept {
        const bool passes = shares_round_trip(tier) ? charge_together(tier) : charge_in_turn(tier);
        if (!passes) {
            verdict_.outcome_ = is_enforced(keys_[0]) ? Outcome::denied : Outcome::would_deny;
            return;
        }
        for (const auto& answer : verdict_.answers()) {
            verdict_.delay_ = std::max(verdict_.delay_, answer.decision.delay);
        }
        if (verdict_.delay_ > std::chrono::nanoseconds{0} && !is_enforced(keys_[0])) {
            verdict_.delay_ = std::chrono::nanoseconds{0};
        }
    }

    /// One limit after another, up to the first that denies.
    bool charge_in_turn(const Tier& tier) noexcept {
        for (const Limit& limit : tier.limits) {
            const std::size_t i = verdict_.count_;
            auto& answer = add(limit);
            if (make_key(limit, keys_[i], answer)) answer.decision = take(i, tier, answer.cost);
            deny_rejected(answer.decision);
            if (answer.decision.allowed) continue;
            give_back();
            if (is_enforced(keys_[0])) peek_rest(tier);
            return false;
        }
        keep(tier);
        return true;
    }

    /// What may have to go back, since a later limit denies or the answer decides, is reserved.
    Decision take(std::size_t i, const Tier& tier, std::uint64_t cost) noexcept {
        const Limit& limit = tier.limits[i];
        if (limit.counted == Counted::all && i + 1 == tier.limits.size())
            return limit.limiter.try_consume(keys_[i], cost);
        taken_[i] = limit.limiter.reserve(keys_[i], cost);
        return taken_[i].decision();
    }
    /// All limits allow. What counts by outcome is settled later; without memory for that it stays charged.
    void keep(const Tier& tier) noexcept {
        for (std::size_t i = 0; i != verdict_.count_; ++i) {
            if (!taken_[i]) continue;
            if (tier.limits[i].counted != Counted::all) {
                if (!verdict_.settlement_) verdict_.settlement_ = new_settlement();
                if (verdict_.settlement_) {
                    verdict_.settlement_->add(std::move(taken_[i]), tier.limits[i].counted);
                    continue;
                }
            }
            taken_[i].settle(taken_[i].units());
        }
    }
    static std::shared_ptr<Settlement> new_settlement() noexcept {
        return sluice::detail::try_or([] { return std::make_shared<Settlement>(); },
                                      [] { return std::shared_ptr<Settlement>{}; });
    }
    /// Undoes what the limits before the one that denied have taken, as of the time when they took it.
    void give_back() noexcept {
        for (std::size_t i = 0; i + 1 < verdict_.count_; ++i) {
            Decision& decision = verdict_.answers_[i].decision;
            const auto units = taken_[i].units();
            if (!taken_[i].settle(0).error) decision.remaining = std::min(decision.remaining + units, decision.limit);
        }
    }

    /// Whether limits outside of this process are asked in as few round trips as they have stores.
    static bool shares_round_trip(const Tier& tier) noexcept {
        const auto counts_all = [](const Limit& limit) { return limit.counted == Counted::all; };
        const auto is_remote = [](const Limit& limit) { return !limit.limiter.is_in_process(); };
        return tier.limits.size() > 1 && std::count_if(tier.limits.begin(), tier.limits.end(), is_remote) > 1 &&
               std::all_of(tier.limits.begin(), tier.limits.end(), counts_all);
    }
    bool charge_together(const Tier& tier) noexcept {
        const std::size_t count = tier.limits.size();
        for (std::size_t i = 0; i != count; ++i) {
            if (make_key(tier.limits[i], keys_[i], add(tier.limits[i]))) continue;
            deny_rejected(verdict_.answers_[i].decision);  // no memory: nothing has been asked
            return verdict_.answers_[i].decision.allowed;
        }
        const auto charge = [&](std::size_t i) {
            i = std::min(i, count - 1);
            return Charge{tier.limits[i].limiter, keys_[i], verdict_.answers_[i].cost};
        };
        const std::array<Charge, max_limits> charges{charge(0), charge(1), charge(2), charge(3)};
        std::array<Decision, max_limits> decisions;
        const bool passes = try_consume_all(std::span{charges}.first(count), std::span{decisions}.first(count));
        for (std::size_t i = 0; i != count; ++i) verdict_.answers_[i].decision = decisions[i];
        if (!passes) tell_apart();
        return passes;
    }
    /// Of charges that were denied together, who denied: what has a wait or was wrong in itself; a store that failed only
    /// where no other has, since its limiter's failure mode is not known here.
    void tell_apart() noexcept {
        const auto answers = std::span{verdict_.answers_}.first(verdict_.count_);
        const auto has_denied = [](const PolicyAnswer& answer) {
            return answer.decision.retry_after > std::chrono::nanoseconds{0} || is_rejected(answer.decision.error);
        };
        const bool is_known = std::any_of(answers.begin(), answers.end(), has_denied);
        for (PolicyAnswer& answer : answers) {
            answer.asked = !(answer.decision.error == Errc::cancelled);
            const bool has_failed = answer.asked && answer.decision.error && answer.decision.error != Errc::degraded;
            if (!answer.asked) answer.decision = Decision{};
            answer.decision.allowed = !has_denied(answer) && (is_known || !has_failed);
        }
        const auto is_allowed = [](const PolicyAnswer& answer) { return answer.decision.allowed; };
        if (!std::all_of(answers.begin(), answers.end(), is_allowed)) return;
        for (PolicyAnswer& answer : answers) answer.decision.allowed = !answer.asked;  // a policy that knows no wait
    }

    PolicyAnswer& add(const Limit& limit) noexcept {
        const Quota quota = limit.limiter.quota();
        const std::string_view default_unit = limit.cost.is_fixed() ? "" : "units";  // the same in all answers
        verdict_.answers_[verdict_.count_] = {.name = limit.limiter.name(),
                                              .quota = quota,
                                              .cost = limit.cost.of_request(asked_, quota.limit),
                                              .unit = limit.unit.empty() ? default_unit : limit.unit};
        return verdict_.answers_[verdict_.count_++];
    }

    /// False where there is no memory for the key, which only a long one needs; the decision says so then.
    bool make_key(const Limit& limit, Key& key, PolicyAnswer& answer) const noexcept {
        const auto make = [&] {
            KeyMaker{*rule_, asked_}.append_to(key, limit);
            if (limit.tells_partition) answer.partition = partition_of(key);
            return true;
        };
        return sluice::detail::try_or(make, [&] {
            answer.decision.error = Errc::no_memory;
            return false;
        });
    }

    static std::uint64_t partition_of(std::string_view key) noexcept {
        sluice::detail::Fingerprint print;
        print.add(key);
        return print.value();
    }

    /// A key that the store refuses must not be a way around the limit, whatever the limiter does on failures.
    static void deny_rejected(Decision& decision) noexcept {
        if (is_rejected(decision.error)) decision.allowed = false;
    }

    bool is_enforced(std::string_view key) const noexcept {
        return std::hash<std::string_view>{}(key) % 100 < rule_->enforce_percent;
    }

    /// What the limits behind the one that denied would say, so that a client is not told to come back only to be
    /// denied by the next. For a remote one that would be a round trip for each denial, in a flood of them.
    void peek_rest(const Tier& tier) noexcept {
        while (verdict_.count_ < tier.limits.size()) {
            const Limit& limit = tier.limits[verdict_.count_];
            auto& answer = add(limit);
            Key& key = keys_[verdict_.count_ - 1];
            answer.asked = limit.limiter.is_in_process() && make_key(limit, key, answer);
            answer.decision = answer.asked ? limit.limiter.peek(key, answer.cost) : Decision{.allowed = true};
            deny_rejected(answer.decision);
        }
    }

    const Rule* rule_;
    const Asked& asked_;
    Verdict verdict_{};
    std::array<Key, max_limits> keys_{};
    std::array<Reservation, max_limits> taken_{};
};

}  // namespace sluice::http::detail

#endif
