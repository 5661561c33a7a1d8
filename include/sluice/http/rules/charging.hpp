// SPDX-License-Identifier: MIT
#ifndef SLUICE_HTTP_RULES_CHARGING_HPP
#define SLUICE_HTTP_RULES_CHARGING_HPP

#include <algorithm>
#include <chrono>
#include <memory>
#include <string_view>
#include <utility>

#include <sluice/http/asked.hpp>
#include <sluice/http/rules/key.hpp>
#include <sluice/http/rules/limit_call.hpp>
#include <sluice/http/rules/rule.hpp>
#include <sluice/http/rules/several_limits.hpp>
#include <sluice/http/verdict.hpp>

namespace sluice::http::detail {

/// Which rule applies to a request, and what holds it.
struct AppliedRule {
    std::shared_ptr<const void> rules;
    const Rule* rule;  // may be null
    bool forbids;      // as the deny list does
};

/// What a rule makes of one request, written into the verdict, which is a new one: which tier's limits are charged, and what it
/// means that they allow or deny. It waits for nobody: charge() does, and AsyncCharging does not.
class Charging {
public:
    Charging(Verdict& verdict, AppliedRule applied, const Asked& asked) noexcept
        : verdict_(verdict), asked_(asked), forbids_(applied.forbids) {
        verdict_.rules_ = std::move(applied.rules);
        verdict_.rule_ = applied.rule;
    }

    /// The tier whose limits are to be charged before end(); null where the verdict is complete.
    const Tier* begin() noexcept {
        const Rule* rule = verdict_.rule_;
        if (rule == nullptr) return nullptr;
        if (forbids_) {
            verdict_.outcome_ = Outcome::denied;
            verdict_.is_forbidden_ = true;
        } else if (rule->exempts(asked_)) {
            verdict_.outcome_ = Outcome::exempt;
        } else if (const Tier* tier = rule->tier_of(asked_.caller)) {
            if (!tier->blocked) return tier;
            block();
        }
        count();
        return nullptr;
    }
    SeveralLimits limits_of(const Tier& tier, AskOrder order) noexcept {
        return {*verdict_.rule_, tier, asked_, verdict_.answers_, verdict_.settlement_, order};
    }
    /// `client` is the first limit's key.
    void end(bool passes, std::string_view client) noexcept {
        finish(passes, client);
        count();
    }

    /// All of it.
    void charge() noexcept {
        const Tier* tier = begin();
        if (tier == nullptr) return;
        if (tier->limits.size() == 1 && tier->limits.front().counted == Counted::all)
            return charge_one(tier->limits.front());
        SeveralLimits limits = limits_of(*tier, AskOrder::in_turn);
        if (limits.shares_round_trip()) {
            limits.charge_together();
        } else {
            ask_in_turn(limits);
        }
        end(limits.passes(), limits.first_key());
    }

private:
    using Outcome = metrics::Outcome;

    static void ask_in_turn(SeveralLimits& limits) noexcept {
        while (const auto question = limits.next()) {
            const auto& [i, limiter, key, cost, reserves] = *question;
            if (reserves) {
                limits.answered(i, limiter.reserve(key, cost));
            } else {
                limits.answered(i, limiter.try_consume(key, cost));
            }
        }
    }

    void count() noexcept {
        if (verdict_.rule_->counters) verdict_.rule_->counters->count(verdict_.outcome_);
    }

    /// A limit of 0: nobody passes, but in shadow mode.
    void block() noexcept {
        const auto& block = asked_.caller.block;
        const bool denied = is_enforced(*verdict_.rule_, block ? std::string_view{block->text()} : std::string_view{});
        verdict_.outcome_ = denied ? Outcome::denied : Outcome::would_deny;
        verdict_.is_forbidden_ = denied;
    }

    /// The usual case: nothing to give back, and nothing to settle.
    void charge_one(const Limit& limit) noexcept {
        PolicyAnswer& answer = verdict_.answers_.add(open_answer(limit, asked_));
        Key key;
        if (make_key(*verdict_.rule_, limit, asked_, key, answer)) {
            answer.decision = limit.limiter.try_consume(key, answer.cost);
        }
        end(answer.decision.allowed, key);
    }

    void finish(bool passes, std::string_view client) noexcept {
        if (!passes) {
            verdict_.outcome_ = is_enforced(*verdict_.rule_, client) ? Outcome::denied : Outcome::would_deny;
            return;
        }
        for (const auto& answer : verdict_.answers()) {
            verdict_.delay_ = std::max(verdict_.delay_, answer.decision.delay);
        }
        if (verdict_.delay_ > std::chrono::nanoseconds{0} && !is_enforced(*verdict_.rule_, client)) {
            verdict_.delay_ = std::chrono::nanoseconds{0};
        }
    }

    Verdict& verdict_;
    const Asked& asked_;
    const bool forbids_;
};

}  // namespace sluice::http::detail

#endif
