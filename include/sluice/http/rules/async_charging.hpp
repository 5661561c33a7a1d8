// SPDX-License-Identifier: MIT
#ifndef SLUICE_HTTP_RULES_ASYNC_CHARGING_HPP
#define SLUICE_HTTP_RULES_ASYNC_CHARGING_HPP

#include <functional>
#include <mutex>
#include <optional>
#include <utility>

#include <sluice/decision.hpp>
#include <sluice/http/asked.hpp>
#include <sluice/http/rules/charging.hpp>
#include <sluice/http/rules/rule.hpp>
#include <sluice/http/rules/several_limits.hpp>
#include <sluice/http/verdict.hpp>
#include <sluice/reservation.hpp>

namespace sluice::http::detail {

/// Charges one request without waiting for the stores of its limits. Stays where it is until it has ended.
class AsyncCharging {
public:
    AsyncCharging(Verdict& verdict, AppliedRule applied, const Asked& asked) noexcept
        : charging_(verdict, std::move(applied), asked) {}

    /// Calls ended() once, where the last answer comes, maybe before it returns; `this` may be gone then.
    void start(std::function<void()> ended) noexcept {
        ended_ = std::move(ended);
        if (const Tier* tier = charging_.begin()) {
            limits_.emplace(charging_, *tier);
            go_on([] {});
        } else {
            end();
        }
    }

private:
    /// An optional makes what cannot be moved.
    struct Limits : SeveralLimits {
        Limits(Charging& charging, const Tier& tier) noexcept
            : SeveralLimits(charging.limits_of(tier, AskOrder::at_once)) {}
    };

    /// take() takes an answer in. Those of several stores may come on several threads, and, of one that has it at once, while
    /// it is asked: the same thread then, which goes on by itself.
    template <class Take>
    void go_on(Take take) noexcept {
        {
            const std::lock_guard lock{mutex_};
            take();
            if (is_asking_) return;
            is_asking_ = true;
            while (const auto question = limits_->next()) ask(*question);
            is_asking_ = false;
            if (!limits_->is_decided()) return;
        }
        charging_.end(limits_->passes(), limits_->first_key());
        end();
    }
    void ask(const LimitQuestion& question) noexcept {
        const auto done = [this, i = question.index](auto answer) {
            go_on([&] { limits_->answered(i, std::move(answer)); });
        };
        if (question.reserves) {
            question.limiter.async_reserve(question.key, question.cost, done);
        } else {
            question.limiter.async_try_consume(question.key, question.cost, done);
        }
    }
    void end() noexcept {
        const auto ended = std::move(ended_);
        ended();
    }

    Charging charging_;
    std::optional<Limits> limits_{};
    std::function<void()> ended_{};
    std::recursive_mutex mutex_{};
    bool is_asking_ = false;
};

}  // namespace sluice::http::detail

#endif
