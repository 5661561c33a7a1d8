// SPDX-License-Identifier: MIT
#ifndef SLUICE_HTTP_RULES_RULE_HPP
#define SLUICE_HTTP_RULES_RULE_HPP

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <sluice/any_limiter.hpp>
#include <sluice/detail/exceptions.hpp>
#include <sluice/http/answer.hpp>
#include <sluice/http/asked.hpp>
#include <sluice/http/client/ip_address.hpp>
#include <sluice/http/denial_template.hpp>
#include <sluice/http/policy_name.hpp>
#include <sluice/http/rules/caller.hpp>
#include <sluice/http/rules/condition.hpp>
#include <sluice/http/rules/cost.hpp>
#include <sluice/http/rules/key_source.hpp>
#include <sluice/http/rules/route_pattern.hpp>
#include <sluice/http/rules/settlement.hpp>
#include <sluice/metrics/rule_counters.hpp>

namespace sluice::http {

/// One limit of a rule.
struct Limit {
    AnyLimiter limiter;                            ///< its name is the policy's name in headers and bodies
    std::vector<KeySource> key{KeyPart::address};  ///< none: one bucket for all
    Cost cost = 1;                                 ///< a number: from 1 to the limiter's quota
    Counted counted = Counted::all;                ///< others need a store that settles (SettlingStore)
    /// What the quota counts, for RateLimit-Policy: "content-bytes" or the like; empty: requests, or units where the cost is
    /// not 1.
    std::string unit{};
    /// Tells clients a hash of the key (pk), so that they know which of their requests share the limit. FNV-1a, the same
    /// in all instances, and no secret: who knows all possible keys finds out which it is.
    bool tells_partition = false;
    /// Where Rules::replace() finds the limit with other numbers: what is used of the old one stays used. False: starts fresh.
    bool carries_over = true;
};

/// The limits of one kind of caller. A request is charged to all of them or to none.
struct Tier {
    std::vector<Limit> limits{};  ///< none: no limit
    bool authenticated = false;   ///< only callers with a user
    std::string plan{};           ///< only callers with this plan; empty for any
    bool blocked = false;         ///< a limit of 0: nobody, 403. Without limits then

    bool takes(const Caller& caller) const noexcept {
        return (!authenticated || !caller.user.empty()) && (plan.empty() || plan == caller.plan);
    }
};

/// Whether one of the networks holds the caller's address; "unix" holds callers that have none.
inline bool holds(const std::vector<Network>& networks, const Caller& caller) noexcept {
    return std::any_of(networks.begin(), networks.end(), [&](const Network& network) {
        return caller.address ? network.contains(*caller.address) : network.is_unix();
    });
}

/// What applies to some routes.
struct Rule {
    std::string name;
    std::vector<RoutePattern> routes{};
    std::vector<std::string> methods{};      ///< empty: all. "GET" stands for HEAD too
    std::vector<Tier> tiers{};               ///< the first that takes the caller; none: no limit
    std::vector<Network> exempt_networks{};  ///< Network{"unix"}: callers that have no address
    std::vector<std::string> exempt_users{};
    unsigned enforce_percent = 100;  ///< of clients, chosen by hash; 0 is shadow mode: count, never deny
    std::shared_ptr<metrics::RuleCounters> counters{};
    Condition condition{};
    /// Requests for which this says true are exempt. Called by many threads at once; an exception means false.
    std::function<bool(const Asked&)> skip{};
    DenialTemplate answer{};  ///< in the place of GuardOptions::answer

    bool matches(const Asked& asked) const noexcept {
        return route_of(asked.path) != nullptr && takes_method(asked.method) && condition.holds(asked);
    }
    /// The route that matches the path; null for none.
    const RoutePattern* route_of(std::string_view path) const noexcept {
        for (const RoutePattern& route : routes) {  // most rules have one; std::find_if is unrolled for many
            if (route.matches(path)) return &route;
        }
        return nullptr;
    }
    bool takes_method(std::string_view method) const noexcept {
        const auto same = [&](const std::string& wanted) {
            return wanted == method || (wanted == "GET" && method == "HEAD");
        };
        return methods.empty() || std::any_of(methods.begin(), methods.end(), same);
    }
    /// Whether one of its limits is outside of this process.
    bool may_wait() const noexcept {
        const auto is_remote = [](const Limit& limit) { return !limit.limiter.is_in_process(); };
        return std::any_of(tiers.begin(), tiers.end(), [&](const Tier& tier) {
            return std::any_of(tier.limits.begin(), tier.limits.end(), is_remote);
        });
    }
    bool exempts(const Asked& asked) const noexcept {
        const Caller& caller = asked.caller;
        return holds(exempt_networks, caller) ||
               (!caller.user.empty() &&
                std::find(exempt_users.begin(), exempt_users.end(), caller.user) != exempt_users.end()) ||
               (skip && sluice::detail::try_or([&] { return skip(asked); }, [] { return false; }));
    }
    const Tier* tier_of(const Caller& caller) const noexcept {
        const auto tier = std::find_if(tiers.begin(), tiers.end(), [&](const Tier& t) { return t.takes(caller); });
        return tier == tiers.end() ? nullptr : &*tier;
    }
};

}  // namespace sluice::http

#endif
