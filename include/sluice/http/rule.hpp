// SPDX-License-Identifier: MIT
#ifndef SLUICE_HTTP_RULE_HPP
#define SLUICE_HTTP_RULE_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <sluice/any_limiter.hpp>
#include <sluice/http/caller.hpp>
#include <sluice/http/ip_address.hpp>
#include <sluice/http/key.hpp>
#include <sluice/http/policy_name.hpp>
#include <sluice/http/route_pattern.hpp>
#include <sluice/metrics/rule_counters.hpp>

namespace sluice::http {

/// What of a request makes a limit's key. A caller without a user or an API key is counted by the address instead.
enum class KeyPart : std::uint8_t {
    address,  ///< the client's address, IPv6 cut to its prefix
    user,
    api_key,
    rule,  ///< the rule's name: where several rules share a limiter, each counts for itself
};

/// One limit of a rule.
struct Limit {
    AnyLimiter limiter;                          ///< its name is the policy's name in headers and bodies
    std::vector<KeyPart> key{KeyPart::address};  ///< none: one bucket for all
    std::uint64_t cost = 1;                      ///< from 1 to the limiter's quota
};

/// The limits of one kind of caller. A request is charged to all of them or to none.
struct Tier {
    std::vector<Limit> limits{};  ///< none: no limit
    bool authenticated = false;   ///< only callers with a user
    std::string plan{};           ///< only callers with this plan; empty for any

    bool takes(const Caller& caller) const noexcept {
        return (!authenticated || !caller.user.empty()) && (plan.empty() || plan == caller.plan);
    }
};

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

    bool matches(std::string_view method, std::string_view path) const noexcept {
        return takes_method(method) && std::any_of(routes.begin(), routes.end(),
                                                   [&](const RoutePattern& route) { return route.matches(path); });
    }
    bool takes_method(std::string_view method) const noexcept {
        const auto same = [&](const std::string& wanted) {
            return wanted == method || (wanted == "GET" && method == "HEAD");
        };
        return methods.empty() || std::any_of(methods.begin(), methods.end(), same);
    }
    bool exempts(const Caller& caller) const noexcept {
        const auto holds = [&](const Network& network) {
            return caller.address ? network.contains(*caller.address) : network.is_unix();
        };
        return std::any_of(exempt_networks.begin(), exempt_networks.end(), holds) ||
               (!caller.user.empty() &&
                std::find(exempt_users.begin(), exempt_users.end(), caller.user) != exempt_users.end());
    }
    const Tier* tier_of(const Caller& caller) const noexcept {
        const auto tier = std::find_if(tiers.begin(), tiers.end(), [&](const Tier& t) { return t.takes(caller); });
        return tier == tiers.end() ? nullptr : &*tier;
    }
};

inline constexpr std::size_t max_limits = 4;  ///< of one tier

namespace detail {

/// Appends the key of `limit`. May throw std::bad_alloc where a part is long.
inline void add_key(Key& key, const Limit& limit, const Rule& rule, const Caller& caller) {
    bool has_address = false;
    const auto add_address = [&] {
        if (has_address) return;
        has_address = true;
        key.add("ip", caller.block ? std::string_view{caller.block->text()} : std::string_view{"unknown"});
    };
    const auto add_known = [&](std::string_view label, const std::string& value) {
        if (value.empty()) return add_address();
        key.add(label, value);
    };
    for (const KeyPart part : limit.key) {
        switch (part) {
            case KeyPart::address: add_address(); break;
            case KeyPart::user: add_known("user", caller.user); break;
            case KeyPart::api_key: add_known("api_key", caller.api_key); break;
            case KeyPart::rule: key.add("rule", rule.name); break;
        }
    }
}

}  // namespace detail

}  // namespace sluice::http

#endif
