// SPDX-License-Identifier: MIT
#ifndef SLUICE_HTTP_RULES_RELOAD_HPP
#define SLUICE_HTTP_RULES_RELOAD_HPP

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include <sluice/any_limiter.hpp>
#include <sluice/carry_over.hpp>
#include <sluice/http/rules/rule.hpp>

namespace sluice::http::detail {

/// Has the limits of new rules take over what is used of the old ones': see Rules::replace(). May throw std::bad_alloc.
class Reload {
public:
    Reload(const std::vector<Rule>& old_rules, const std::optional<Rule>& old_default)
        : old_rules_(old_rules), old_default_(old_default) {
        each(old_rules_, old_default_, [&](const Limit& limit) { old_states_.insert(limit.limiter.identity()); });
    }

    /// Changes limiters of the new rules. The names of the limits that start fresh because their store is no CarryingStore.
    std::vector<std::string> apply(std::vector<Rule>& rules, std::optional<Rule>& otherwise) {
        each(rules, otherwise, [&](const Limit& limit) { new_states_.insert(limit.limiter.identity()); });
        for (Rule& rule : rules) apply_to(rule, rule_of(rule.name));
        if (otherwise) apply_to(*otherwise, old_default_ ? &*old_default_ : nullptr);
        return std::move(fresh_);
    }

private:
    template <class Visit>
    static void each(const std::vector<Rule>& rules, const std::optional<Rule>& otherwise, Visit visit) {
        const auto each_of = [&](const Rule& rule) {
            for (const Tier& tier : rule.tiers) std::for_each(tier.limits.begin(), tier.limits.end(), visit);
        };
        std::for_each(rules.begin(), rules.end(), each_of);
        if (otherwise) each_of(*otherwise);
    }
    const Rule* rule_of(const std::string& name) const {
        const auto rule =
            std::find_if(old_rules_.begin(), old_rules_.end(), [&](const Rule& old) { return old.name == name; });
        return rule == old_rules_.end() ? nullptr : &*rule;
    }

    void apply_to(Rule& rule, const Rule* old_rule) {
        if (old_rule == nullptr) return;
        for (Tier& tier : rule.tiers) {
            const auto old_tier = std::find_if(old_rule->tiers.begin(), old_rule->tiers.end(), [&](const Tier& old) {
                return old.authenticated == tier.authenticated && old.plan == tier.plan;
            });
            if (old_tier == old_rule->tiers.end()) continue;
            for (Limit& limit : tier.limits) {
                const auto same = [&](const Limit& old) { return old.limiter.name() == limit.limiter.name(); };
                const auto old = std::find_if(old_tier->limits.begin(), old_tier->limits.end(), same);
                if (old != old_tier->limits.end()) apply_to(limit, *old);
            }
        }
    }
    void apply_to(Limit& limit, const Limit& old) {
        const std::uint64_t before = old.limiter.identity(), now = limit.limiter.identity();
        const bool is_changed = before != now;
        // What others count by stays theirs.
        if (is_changed && (new_states_.count(before) != 0 || old_states_.count(now) != 0)) return;
        if (!limit.carries_over || !(limit.key == old.key)) return;
        if (!sluice::detail::CarryOver::can_take_over(limit.limiter, old.limiter)) {
            const std::string& name = limit.limiter.name();
            if (is_changed && std::find(fresh_.begin(), fresh_.end(), name) == fresh_.end()) fresh_.push_back(name);
            return;
        }
        // Rules that share a limit share what takes over, too.
        const auto [known, is_new] = carried_.try_emplace(now, limit.limiter);
        if (is_new) known->second = carry_over(limit.limiter, old.limiter);
        limit.limiter = known->second;
    }

    const std::vector<Rule>& old_rules_;
    const std::optional<Rule>& old_default_;
    std::unordered_set<std::uint64_t> old_states_{}, new_states_{};  // identities of limiters
    std::unordered_map<std::uint64_t, AnyLimiter> carried_{};
    std::vector<std::string> fresh_{};
};

}  // namespace sluice::http::detail

#endif
