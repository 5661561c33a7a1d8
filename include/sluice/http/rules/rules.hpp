// SPDX-License-Identifier: MIT
#ifndef SLUICE_HTTP_RULES_RULES_HPP
#define SLUICE_HTTP_RULES_RULES_HPP

#include <algorithm>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <sluice/http/asked.hpp>
#include <sluice/http/rules/charging.hpp>
#include <sluice/http/rules/reload.hpp>
#include <sluice/http/rules/rule.hpp>
#include <sluice/http/rules/rule_check.hpp>
#include <sluice/http/verdict.hpp>

namespace sluice::http {

/// Who is refused (403) before any rule is asked; Network{"unix"}: callers that have no address.
struct DenyList {
    std::vector<Network> networks{};
    std::shared_ptr<metrics::RuleCounters> counters{};
};

/// The rules of a server, checked as a whole. The first that matches a request's method and path applies; the default
/// rule takes all others, so that a flood of unknown paths is limited too.
class RuleSet {
public:
    RuleSet() = default;

    /// Throws std::invalid_argument with the rule's name for what cannot be meant:
    /// - a rule: a name that is no policy's name or twice in the set, no route, an unknown method, an exempt user "", a
    ///   percentage above 100, a route that never reaches it because the rules before take all its requests;
    /// - a tier: one that never applies because an earlier one takes all its callers, a last one that does not take
    ///   everybody, more than 4 limits, two limits of one name;
    /// - a limit: a cost below 1 or above its quota, a part that is twice in its key.
    explicit RuleSet(std::vector<Rule> rules, std::optional<Rule> otherwise = std::nullopt, DenyList deny = {})
        : rules_(std::move(rules)), otherwise_(std::move(otherwise)), denied_networks_(std::move(deny.networks)) {
        deny_.counters = std::move(deny.counters);
        detail::check_rules(rules_, otherwise_);
    }

    /// Null where no rule matches and there is no default. Linear in the number of rules.
    const Rule* find(const Asked& asked) const noexcept {
        const auto rule = std::find_if(rules_.begin(), rules_.end(), [&](const Rule& r) { return r.matches(asked); });
        if (rule != rules_.end()) return &*rule;
        return otherwise_ ? &*otherwise_ : nullptr;
    }
    /// The rule that applies: the one that is named in `asked`, if any is.
    const Rule* rule_of(const Asked& asked) const noexcept {
        return asked.rule.empty() ? find(asked) : named(asked.rule);
    }

    /// The rule of that name; the default where there is none, null without a default.
    const Rule* named(std::string_view name) const noexcept {
        const auto rule = std::find_if(rules_.begin(), rules_.end(), [&](const Rule& r) { return r.name == name; });
        if (rule != rules_.end()) return &*rule;
        return otherwise_ ? &*otherwise_ : nullptr;
    }

    const std::vector<Rule>& rules() const noexcept { return rules_; }
    const std::optional<Rule>& otherwise() const noexcept { return otherwise_; }
    /// Whether the deny list refuses the caller.
    bool denies(const Caller& caller) const noexcept { return holds(denied_networks_, caller); }
    /// Stands for the deny list in verdicts; its name is "deny".
    const Rule& deny_rule() const noexcept { return deny_; }

    /// See Rules::replace().
    std::vector<std::string> take_over_from(const RuleSet& old) {
        return detail::Reload{old.rules_, old.otherwise_}.apply(rules_, otherwise_);
    }

private:
    std::vector<Rule> rules_;
    std::optional<Rule> otherwise_;
    std::vector<Network> denied_networks_;
    Rule deny_{.name = "deny"};
};

/// A RuleSet that can be replaced while requests are checked: each request sees the old rules or the new ones whole.
/// Thread-safe.
class Rules {
public:
    explicit Rules(RuleSet rules) : current_(std::make_shared<const RuleSet>(std::move(rules))) {}

    /// Limits that keep their limiter's name, policy and store keep their states. One that keeps its rule, its tier (by
    /// `authenticated` and `plan`), its name and its key, and has another policy, takes over what is used of the old one
    /// (see carry_over), unless it says otherwise (Limit::carries_over) or another limit counts by either policy's states.
    ///
    /// Returns the names of limits that should and cannot, since their store is no CarryingStore: they start fresh. May throw
    /// std::bad_alloc and has changed nothing then.
    std::vector<std::string> replace(RuleSet rules) {
        const std::lock_guard one_at_a_time{replacing_};
        auto fresh = rules.take_over_from(*current());
        auto next = std::make_shared<const RuleSet>(std::move(rules));
        {
            const std::lock_guard lock{mutex_};
            current_.swap(next);
        }  // the old rules are destroyed without the lock
        return fresh;
    }

    std::shared_ptr<const RuleSet> current() const noexcept {
        // A mutex, since not every standard library has std::atomic<std::shared_ptr>, nor has it without a lock.
        const std::lock_guard lock{mutex_};
        return current_;
    }

    /// Charges a request to what its rule says: the caller's addresses in it count, not the peer. With the name of a rule
    /// that one applies whatever its routes and methods, for a program that has routed the request itself; the default
    /// rule applies where a reload has taken the named one away. Never throws; the cost is that of the limiters and one lock, for
    /// the time of a copied pointer, and no allocation for keys up to 255 bytes.
    ///
    /// The limits of a tier are asked one after another; where several are outside of this process, with try_consume_all: on
    /// one Redis in one round trip. When one denies, the others get back what they had given, as of the time when they gave
    /// it, so a denied request is charged nowhere; until then, for the time of these calls, other requests on the same keys
    /// may see the units as taken and be denied. What a failed or full store answered by its mode was charged nowhere and is
    /// not returned. The limits behind it are peeked, if their stores are in this process, or else only named.
    Verdict check(const Asked& asked) const noexcept {
        Verdict verdict;
        check(asked, verdict);
        return verdict;
    }
    /// The same into a verdict that has just been made.
    void check(const Asked& asked, Verdict& verdict) const noexcept {
        detail::Charging{verdict, applied(asked), asked}.charge();
    }
    /// For who charges without waiting.
    detail::AppliedRule applied(const Asked& asked) const noexcept {
        auto rules = current();
        const bool forbids = rules->denies(asked.caller);
        const Rule* const rule = forbids ? &rules->deny_rule() : rules->rule_of(asked);
        return {std::move(rules), rule, forbids};
    }

private:
    std::mutex replacing_;
    mutable std::mutex mutex_;
    std::shared_ptr<const RuleSet> current_;
};

}  // namespace sluice::http

#endif
