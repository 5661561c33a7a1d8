// SPDX-License-Identifier: MIT
#ifndef SLUICE_HTTP_RULES_SEVERAL_LIMITS_HPP
#define SLUICE_HTTP_RULES_SEVERAL_LIMITS_HPP

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include <sluice/charge.hpp>
#include <sluice/error.hpp>
#include <sluice/http/answer.hpp>
#include <sluice/http/asked.hpp>
#include <sluice/http/rules/key.hpp>
#include <sluice/http/rules/limit_call.hpp>
#include <sluice/http/rules/rule.hpp>
#include <sluice/reservation.hpp>

namespace sluice::http::detail {

/// Charges one request to all limits of a tier or to none. Also to a single one that counts by outcome.
class SeveralLimits {
public:
    /// The answers are written into `answers`, what is to be settled when the outcome is known into `settlement`.
    SeveralLimits(const Rule& rule, const Tier& tier, const Asked& asked, AnswerList& answers,
                  std::shared_ptr<Settlement>& settlement) noexcept
        : rule_(rule), tier_(tier), asked_(asked), answers_(answers), settlement_(settlement) {}

    /// Whether all have allowed it.
    bool charge() noexcept { return shares_round_trip() ? charge_together() : charge_in_turn(); }
    /// By which a client is known; after charge().
    std::string_view first_key() const noexcept { return keys_[0]; }

private:
    /// One limit after another, up to the first that denies.
    bool charge_in_turn() noexcept {
        for (std::size_t i = 0; i != tier_.limits.size(); ++i) {
            PolicyAnswer& answer = answers_.add(open_answer(tier_.limits[i], asked_));
            if (make_key(rule_, tier_.limits[i], asked_, keys_[i], answer)) answer.decision = take(i, answer.cost);
            deny_rejected(answer.decision);
            if (answer.decision.allowed) continue;
            give_back();
            if (is_enforced(rule_, first_key())) peek_rest();
            return false;
        }
        keep();
        return true;
    }

    /// What may have to go back, since a later limit denies or the answer decides, is reserved.
    Decision take(std::size_t i, std::uint64_t cost) noexcept {
        const Limit& limit = tier_.limits[i];
        if (limit.counted == Counted::all && i + 1 == tier_.limits.size())
            return limit.limiter.try_consume(keys_[i], cost);
        taken_[i] = limit.limiter.reserve(keys_[i], cost);
        return taken_[i].decision();
    }
    /// All limits allow. What counts by outcome is settled later; without memory for that it stays charged.
    void keep() noexcept {
        for (std::size_t i = 0; i != answers_.size(); ++i) {
            if (!taken_[i]) continue;
            if (tier_.limits[i].counted != Counted::all) {
                if (!settlement_) settlement_ = new_settlement();
                if (settlement_) {
                    settlement_->add(std::move(taken_[i]), tier_.limits[i].counted);
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
        for (std::size_t i = 0; i + 1 < answers_.size(); ++i) {
            Decision& decision = answers_[i].decision;
            const auto units = taken_[i].units();
            if (!taken_[i].settle(0).error) decision.remaining = std::min(decision.remaining + units, decision.limit);
        }
    }

    /// Whether limits outside of this process are asked in as few round trips as they have stores.
    bool shares_round_trip() const noexcept {
        const auto& limits = tier_.limits;
        const auto counts_all = [](const Limit& limit) { return limit.counted == Counted::all; };
        const auto is_remote = [](const Limit& limit) { return !limit.limiter.is_in_process(); };
        return std::count_if(limits.begin(), limits.end(), is_remote) > 1 &&
               std::all_of(limits.begin(), limits.end(), counts_all);
    }
    bool charge_together() noexcept {
        const std::size_t count = tier_.limits.size();
        for (std::size_t i = 0; i != count; ++i) {
            PolicyAnswer& answer = answers_.add(open_answer(tier_.limits[i], asked_));
            if (make_key(rule_, tier_.limits[i], asked_, keys_[i], answer)) continue;
            deny_rejected(answer.decision);  // no memory: nothing has been asked
            return answer.decision.allowed;
        }
        const auto charge = [&](std::size_t i) {
            i = std::min(i, count - 1);
            return Charge{tier_.limits[i].limiter, keys_[i], answers_[i].cost};
        };
        const std::array<Charge, max_limits> charges{charge(0), charge(1), charge(2), charge(3)};
        std::array<Decision, max_limits> decisions;
        const bool passes = try_consume_all(std::span{charges}.first(count), std::span{decisions}.first(count));
        for (std::size_t i = 0; i != count; ++i) answers_[i].decision = decisions[i];
        if (!passes) tell_apart();
        return passes;
    }
    /// Of charges that were denied together, who denied: what has a wait or was wrong in itself; a store that failed only
    /// where no other has, since its limiter's failure mode is not known here.
    void tell_apart() noexcept {
        const auto answers = answers_.all();
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

    /// What the limits behind the one that denied would say, so that a client is not told to come back only to be
    /// denied by the next. For a remote one that would be a round trip for each denial, in a flood of them.
    void peek_rest() noexcept {
        for (std::size_t i = answers_.size(); i != tier_.limits.size(); ++i) {
            const Limit& limit = tier_.limits[i];
            PolicyAnswer& answer = answers_.add(open_answer(limit, asked_));
            answer.asked = limit.limiter.is_in_process() && make_key(rule_, limit, asked_, keys_[i], answer);
            answer.decision = answer.asked ? limit.limiter.peek(keys_[i], answer.cost) : Decision{.allowed = true};
            deny_rejected(answer.decision);
        }
    }

    const Rule& rule_;
    const Tier& tier_;
    const Asked& asked_;
    AnswerList& answers_;
    std::shared_ptr<Settlement>& settlement_;
    std::array<Key, max_limits> keys_;
    std::array<Reservation, max_limits> taken_{};
};

}  // namespace sluice::http::detail

#endif
