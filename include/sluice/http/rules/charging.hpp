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
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <sluice/error.hpp>
#include <sluice/http/detail/request_values.hpp>
#include <sluice/http/rules/key.hpp>
#include <sluice/http/rules/rule.hpp>
#include <sluice/http/verdict.hpp>
#include <sluice/policy.hpp>

namespace sluice::http::detail {

/// Makes the key of one limit for one request.
class KeyMaker {
public:
    KeyMaker(const Rule& rule, const Asked& asked) noexcept : rule_(rule), asked_(asked) {}

    /// Appends all parts. May throw std::bad_alloc where one is long.
    void append_to(Key& key, const Limit& limit) const {
        bool has_address = false;
        for (const KeySource& source : limit.key) {
            if (append(key, source) || has_address) continue;
            has_address = true;
            const auto& block = asked_.caller.block;
            key.add("ip", block ? std::string_view{block->text()} : std::string_view{"unknown"});
        }
    }

private:
    /// False where the address has to stand for the part.
    bool append(Key& key, const KeySource& source) const {
        const auto known = [&](std::string_view label, std::string_view value) {
            if (!value.empty()) key.add(label, value);
            return !value.empty();
        };
        const auto named = [&](const char* label, const std::optional<std::string>& value) {
            return value && !value->empty() && known(label + ('.' + source.name()), *value);
        };
        switch (source.part()) {
            case KeyPart::address: return false;
            case KeyPart::user: return known("user", asked_.caller.user);
            case KeyPart::api_key: return known("api_key", asked_.caller.api_key);
            case KeyPart::rule: return known("rule", rule_.name);
            case KeyPart::host: return known("host", host_of(asked_));
            case KeyPart::method: return known("method", asked_.method);
            case KeyPart::header: {
                const auto value = asked_.header(source.name()).only();
                return value && known("header." + source.name(), trimmed(*value));
            }
            case KeyPart::query: return named("query", query_value(asked_.query, source.name()));
            case KeyPart::cookie: return named("cookie", cookie_value(asked_, source.name()));
            case KeyPart::path: return named("path", path_value(source.name()));
            case KeyPart::function:
                return named("function", sluice::detail::try_or([&] { return source.function()(asked_); },
                                                                [] { return std::string{}; }));
        }
        return false;
    }
    std::optional<std::string> path_value(std::string_view name) const {
        const RoutePattern* route = rule_.route_of(asked_.path);
        const auto value = route == nullptr ? std::nullopt : route->parameter(asked_.path, name);
        if (!value) return std::nullopt;
        return asked_.path_is_decoded ? std::string{*value} : decoded(*value, false);
    }

    const Rule& rule_;
    const Asked& asked_;
};

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
        for (const Limit& limit : tier.limits) {
            auto& answer = add(limit);
            Key& key = keys_[verdict_.count_ - 1];
            if (make_key(limit, key, answer)) answer.decision = limit.limiter.try_consume(key, answer.cost);
            deny_rejected(answer.decision);
            if (answer.decision.allowed) continue;
            give_back(tier);
            verdict_.outcome_ = is_enforced(keys_[0]) ? Outcome::denied : Outcome::would_deny;
            if (verdict_.outcome_ == Outcome::denied) peek_rest(tier);
            return;
        }
        for (const auto& answer : verdict_.answers()) {
            verdict_.delay_ = std::max(verdict_.delay_, answer.decision.delay);
        }
        if (verdict_.delay_ > std::chrono::nanoseconds{0} && !is_enforced(keys_[0])) {
            verdict_.delay_ = std::chrono::nanoseconds{0};
        }
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

    /// Undoes what the limits before the one that denied have taken.
    void give_back(const Tier& tier) noexcept {
        for (std::size_t i = 0; i + 1 < verdict_.count_; ++i) {
            auto& answer = verdict_.answers_[i];
            auto& decision = answer.decision;
            if (decision.error && decision.error != Errc::degraded) continue;
            if (tier.limits[i].limiter.refund(keys_[i], answer.cost)) continue;
            decision.remaining = std::min(decision.remaining + answer.cost, decision.limit);
        }
    }

    const Rule* rule_;
    const Asked& asked_;
    Verdict verdict_{};
    std::array<Key, max_limits> keys_{};
};

}  // namespace sluice::http::detail

#endif
