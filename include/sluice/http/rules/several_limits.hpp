// SPDX-License-Identifier: MIT
#ifndef SLUICE_HTTP_RULES_SEVERAL_LIMITS_HPP
#define SLUICE_HTTP_RULES_SEVERAL_LIMITS_HPP

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include <sluice/any_limiter.hpp>
#include <sluice/charge.hpp>
#include <sluice/error.hpp>
#include <sluice/http/answer.hpp>
#include <sluice/http/asked.hpp>
#include <sluice/http/rules/key.hpp>
#include <sluice/http/rules/limit_call.hpp>
#include <sluice/http/rules/rule.hpp>
#include <sluice/reservation.hpp>

namespace sluice::http::detail {

/// What a limiter is to be asked: to reserve what may have to go back, else to consume.
struct LimitQuestion {
    std::size_t index;
    const AnyLimiter& limiter;
    std::string_view key;
    std::uint64_t cost;
    bool reserves;
};

/// When limits are asked.
enum class AskOrder : std::uint8_t {
    in_turn,  ///< one after another, up to the first that denies; by who waits for each
    at_once,  ///< those in this process in turn, then all others; by who does not wait
};

/// Charges one request to all limits of a tier or to none. Also to a single one that counts by outcome. It asks nobody: whoever
/// uses it asks what next() says, and hands in the answers, in any order.
class SeveralLimits {
public:
    /// The answers are written into `answers`, what is to be settled when the outcome is known into `settlement`. Asked at
    /// once, `asked` is used here alone.
    SeveralLimits(const Rule& rule, const Tier& tier, const Asked& asked, AnswerList& answers,
                  std::shared_ptr<Settlement>& settlement, AskOrder order) noexcept
        : rule_(rule), tier_(tier), asked_(asked), answers_(answers), settlement_(settlement), order_(order) {
        if (order_ == AskOrder::at_once) open_all();
    }

    /// Nothing where an answer is waited for, or it is decided.
    std::optional<LimitQuestion> next() noexcept {
        while (!is_decided_ && !is_denied_) {
            const std::size_t i = first_unasked();
            if (waiting_ != 0 && (order_ == AskOrder::in_turn || i == count() || is_local(i))) break;
            if (i == count()) {
                keep();
                is_decided_ = true;
                break;
            }
            const bool has_key = order_ == AskOrder::at_once || open(i);
            answers_[i].asked = true;
            ++waiting_;
            if (has_key) return LimitQuestion{i, tier_.limits[i].limiter, keys_[i], answers_[i].cost, may_go_back(i)};
            answered(i, answers_[i].decision);
        }
        return std::nullopt;
    }
    void answered(std::size_t i, Reservation taken) noexcept {
        taken_[i] = std::move(taken);
        answered(i, taken_[i].decision());
    }
    void answered(std::size_t i, const Decision& decision) noexcept {
        --waiting_;
        Decision& answer = answers_[i].decision;
        answer = decision;
        is_denied_ = is_denied_ || !answer.allowed;
        if (!is_denied_ || waiting_ != 0) return;
        give_back();
        if (is_enforced(rule_, first_key())) peek_rest();
        is_decided_ = true;
    }
    bool is_decided() const noexcept { return is_decided_; }
    /// Whether all have allowed it.
    bool passes() const noexcept { return !is_denied_; }
    /// By which a client is known.
    std::string_view first_key() const noexcept { return keys_[0]; }

    /// Whether limits outside of this process are to be asked in as few round trips as they have stores, by charge_together()
    /// in the place of next().
    bool shares_round_trip() const noexcept {
        const auto& limits = tier_.limits;
        const auto counts_all = [](const Limit& limit) { return limit.counted == Counted::all; };
        const auto is_remote = [](const Limit& limit) { return !limit.limiter.is_in_process(); };
        return std::count_if(limits.begin(), limits.end(), is_remote) > 1 &&
               std::all_of(limits.begin(), limits.end(), counts_all);
    }
    /// Waits.
    void charge_together() noexcept {
        open_all();
        if (is_decided_) return;
        const auto charge = [&](std::size_t i) {
            i = std::min(i, count() - 1);
            return Charge{tier_.limits[i].limiter, keys_[i], answers_[i].cost};
        };
        const std::array<Charge, max_limits> charges{charge(0), charge(1), charge(2), charge(3)};
        std::array<Decision, max_limits> decisions;
        is_denied_ = !try_consume_all(std::span{charges}.first(count()), std::span{decisions}.first(count()));
        for (std::size_t i = 0; i != count(); ++i) {
            answers_[i].asked = true;
            answers_[i].decision = decisions[i];
        }
        if (is_denied_) tell_apart();
    }

private:
    std::size_t count() const noexcept { return tier_.limits.size(); }
    bool is_local(std::size_t i) const noexcept { return tier_.limits[i].limiter.is_in_process(); }

    /// False where there is no key.
    bool open(std::size_t i) noexcept {
        PolicyAnswer& answer = answers_.add(open_answer(tier_.limits[i], asked_));
        return make_key(rule_, tier_.limits[i], asked_, keys_[i], answer);
    }
    void open_all() noexcept {
        for (std::size_t i = 0; i != count() && !is_decided_; ++i) {
            is_denied_ = is_decided_ = !open(i);  // no memory: nothing has been asked
            answers_[i].asked = is_decided_;
            if (!is_decided_) answers_[i].decision.allowed = true;
        }
    }
    /// In order; at once, those in this process come first: what they deny spares others their round trip.
    std::size_t first_unasked() const noexcept {
        if (order_ == AskOrder::in_turn) return answers_.size();
        std::size_t first = count();
        for (std::size_t i = 0; i != count(); ++i) {
            if (answers_.all()[i].asked) continue;
            if (is_local(i)) return i;
            first = std::min(first, i);
        }
        return first;
    }
    /// Since another limit may deny, or the outcome of the request decides.
    bool may_go_back(std::size_t i) const noexcept {
        const bool is_last = waiting_ == 1 && first_unasked() == count();
        return !is_last || tier_.limits[i].counted != Counted::all;
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
    /// Undoes what the limits that did not deny have taken, as of the time when they took it.
    void give_back() noexcept {
        for (std::size_t i = 0; i != answers_.size(); ++i) {
            Decision& decision = answers_[i].decision;
            const auto units = taken_[i].units();
            if (!taken_[i].settle(0).error) decision.remaining = std::min(decision.remaining + units, decision.limit);
        }
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

    /// What the limits that were not asked would say, so that a client is not told to come back only to be denied by the
    /// next. For a remote one that would be a round trip for each denial, in a flood of them.
    void peek_rest() noexcept {
        for (std::size_t i = 0; i != count(); ++i) {
            const bool is_open = i < answers_.size();
            if (is_open && answers_[i].asked) continue;
            const Limit& limit = tier_.limits[i];
            PolicyAnswer& answer = is_open ? answers_[i] : answers_.add(open_answer(limit, asked_));
            answer.asked = is_local(i) && (is_open || make_key(rule_, limit, asked_, keys_[i], answer));
            answer.decision = answer.asked ? limit.limiter.peek(keys_[i], answer.cost) : Decision{.allowed = true};
        }
    }

    const Rule& rule_;
    const Tier& tier_;
    const Asked& asked_;
    AnswerList& answers_;
    std::shared_ptr<Settlement>& settlement_;
    const AskOrder order_;
    std::array<Key, max_limits> keys_;
    std::array<Reservation, max_limits> taken_{};
    std::size_t waiting_ = 0;  // answers that have not come
    bool is_denied_ = false;
    bool is_decided_ = false;
};

}  // namespace sluice::http::detail

#endif
