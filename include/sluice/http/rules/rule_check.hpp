// SPDX-License-Identifier: MIT
#ifndef SLUICE_HTTP_RULES_RULE_CHECK_HPP
#define SLUICE_HTTP_RULES_RULE_CHECK_HPP

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include <sluice/http/rules/rule.hpp>

// What a list of rules cannot mean. Written once, for rules made in C++ and rules read from a file.
namespace sluice::http::detail {

/// Knows where the fault is, so that who read the rules from a file can tell its author.
class InvalidRule : public std::invalid_argument {
public:
    static constexpr std::size_t default_rule = SIZE_MAX;

    InvalidRule(std::size_t rule, std::string place, const std::string& why)
        : std::invalid_argument(why), rule_(rule), place_(std::move(place)) {}

    std::size_t rule() const noexcept { return rule_; }           ///< its index, or default_rule
    const std::string& place() const noexcept { return place_; }  ///< in the rule, such as "/tiers/0/limits/1"

private:
    std::size_t rule_;
    std::string place_;
};

/// The methods that are registered with IANA, and those of caches, UPnP and streaming that servers know beside them.
// clang-format off
inline constexpr std::array<std::string_view, 45> known_methods{
    "ACL", "BASELINE-CONTROL", "BIND", "CHECKIN", "CHECKOUT", "CONNECT", "COPY", "DELETE", "GET", "HEAD", "LABEL",
    "LINK", "LOCK", "M-SEARCH", "MERGE", "MKACTIVITY", "MKCALENDAR", "MKCOL", "MKREDIRECTREF", "MKWORKSPACE", "MOVE",
    "NOTIFY", "OPTIONS", "ORDERPATCH", "PATCH", "POST", "PROPFIND", "PROPPATCH", "PURGE", "PUT", "QUERY", "REBIND",
    "REPORT", "SEARCH", "SOURCE", "SUBSCRIBE", "TRACE", "UNBIND", "UNCHECKOUT", "UNLINK", "UNLOCK", "UNSUBSCRIBE",
    "UPDATE", "UPDATEREDIRECTREF", "VERSION-CONTROL"};
// clang-format on

/// What is wrong with one rule, whatever the others are.
class OneRuleCheck {
public:
    OneRuleCheck(const Rule& rule, std::size_t index) noexcept : rule_(rule), index_(index) {}

    void check() const {
        check_name(rule_.name, "/name");
        if (rule_.enforce_percent > 100) {
            refuse("/enforce_percent",
                   "enforce_percent must be from 0 to 100, not " + std::to_string(rule_.enforce_percent));
        }
        if (rule_.routes.empty() && index_ != InvalidRule::default_rule) refuse("/routes", "has no route");
        for (std::size_t i = 0; i != rule_.methods.size(); ++i) {
            const std::string& method = rule_.methods[i];
            if (std::find(known_methods.begin(), known_methods.end(), method) == known_methods.end()) {
                refuse("/methods/" + std::to_string(i), "there is no method \"" + shown(method) + "\"");
            }
        }
        const auto& users = rule_.exempt_users;
        if (const auto empty = std::find(users.begin(), users.end(), ""); empty != users.end()) {
            refuse("/exempt/users/" + std::to_string(empty - users.begin()),
                   "an exempt user without a name would be nobody: callers that are not known have none");
        }
        check_condition();
        check_tiers();
    }

    [[noreturn]] void refuse(const std::string& place, const std::string& why) const {
        throw InvalidRule(index_, place, "sluice: rule '" + rule_.name + "': " + why);
    }

private:
    void check_name(const std::string& name, const std::string& place) const {
        try {
            static_cast<void>(checked_policy_name(name));
        } catch (const std::invalid_argument& error) {
            throw InvalidRule(index_, place, error.what());
        }
    }
    static std::string shown(std::string_view text) {
        std::string out;
        for (const char c : text.substr(0, 40)) out += c >= 0x20 && c <= 0x7e ? c : '?';
        return out;
    }

    void check_tiers() const {
        const auto& tiers = rule_.tiers;
        for (std::size_t i = 0; i != tiers.size(); ++i) {
            const std::string place = "/tiers/" + std::to_string(i);
            check_limits(tiers[i].limits, place + "/limits");
            if (tiers[i].blocked && !tiers[i].limits.empty()) {
                refuse(place + "/blocked", "a tier that is blocked has no limits");
            }
            const auto before = std::find_if(tiers.begin(), tiers.begin() + static_cast<std::ptrdiff_t>(i),
                                             [&](const Tier& tier) { return takes_all_of(tier, tiers[i]); });
            if (before != tiers.begin() + static_cast<std::ptrdiff_t>(i)) {
                refuse(place, "this tier can never apply: tier " + std::to_string(before - tiers.begin()) +
                                  ", before it, takes all its callers");
            }
        }
        if (!tiers.empty() && (tiers.back().authenticated || !tiers.back().plan.empty())) {
            refuse("/tiers/" + std::to_string(tiers.size() - 1), "the last tier must take every caller");
        }
    }
    static bool takes_all_of(const Tier& tier, const Tier& later) noexcept {
        return (!tier.authenticated || later.authenticated) && (tier.plan.empty() || tier.plan == later.plan);
    }

    void check_limits(const std::vector<Limit>& limits, const std::string& place) const {
        if (limits.size() > max_limits) {
            refuse(place, "a tier has at most " + std::to_string(max_limits) + " limits, not " +
                              std::to_string(limits.size()));
        }
        for (std::size_t i = 0; i != limits.size(); ++i) {
            const std::string here = place + "/" + std::to_string(i);
            const std::string& name = limits[i].limiter.name();
            check_name(name, here + "/name");
            for (std::size_t j = 0; j != i; ++j) {
                if (limits[j].limiter.name() == name) refuse(here, "limit '" + name + "' is twice in one tier");
            }
            const std::uint64_t most = limits[i].limiter.quota().limit;
            const std::uint64_t cost = limits[i].cost.units();
            if (cost < 1 || cost > most) {
                refuse(here + "/cost", "limit '" + name + "': cost must be from 1 to " + std::to_string(most) +
                                           ", not " + std::to_string(cost));
            }
            const auto& key = limits[i].key;
            for (auto part = key.begin(); part != key.end(); ++part) {
                if (std::find(key.begin(), part, *part) != part) {
                    refuse(here + "/key/" + std::to_string(part - key.begin()),
                           "limit '" + name + "': a part is twice in its key");
                }
                if (part->part() == KeyPart::path) check_parameter(*part, here, part - key.begin());
            }
        }
    }

    /// A path without the parameter would be counted by the address, which cannot be meant.
    void check_parameter(const KeySource& part, const std::string& limit, std::ptrdiff_t index) const {
        const auto lacks = [&](const RoutePattern& route) { return !route.has_parameter(part.name()); };
        const auto route = std::find_if(rule_.routes.begin(), rule_.routes.end(), lacks);
        if (!rule_.routes.empty() && route == rule_.routes.end()) return;
        refuse(limit + "/key/" + std::to_string(index),
               (rule_.routes.empty() ? "the default rule has no route"
                                     : "route '" + route->text() + "' has no \"{" + part.name() + "}\"") +
                   ", so the path has no \"" + part.name() + "\" to count by");
    }
    void check_condition() const {
        const auto& hosts = rule_.condition.hosts;
        for (std::size_t i = 0; i != hosts.size(); ++i) {
            const std::string_view name = hosts[i];
            const auto rest = name.substr(name.substr(0, 2) == "*." ? 2 : 0);
            const bool is_host = !rest.empty() && std::none_of(rest.begin(), rest.end(), [](char c) {
                return c <= ' ' || c > '~' || (c >= 'A' && c <= 'Z') || c == '*' || c == '/';
            }) && (rest.front() == '[' ? rest.back() == ']' : rest.find(':') == std::string_view::npos);
            if (!is_host) {
                refuse("/hosts/" + std::to_string(i),
                       "a host is a name in small letters without a port, such as "
                       "\"api.example.com\" or \"*.example.com\", not \"" +
                           shown(name) + "\"");
            }
        }
        check_names(rule_.condition.headers, "/headers/");
        check_names(rule_.condition.query, "/query/");
    }
    void check_names(const std::vector<NamedValue>& wanted, const std::string& place) const {
        for (const auto& [name, value] : wanted) {
            if (name.empty() || (place == "/headers/" && !std::all_of(name.begin(), name.end(), is_token_char))) {
                refuse(place + name, "\"" + shown(name) + "\" cannot be such a name");
            }
        }
    }

    const Rule& rule_;
    std::size_t index_;
};

/// The routes of the rules so far, to find out which of them take all requests of a further one.
class RoutesBefore {
public:
    void add(const Rule& rule) {
        if (!rule.condition.is_empty()) return;  // it leaves requests to others
        for (const RoutePattern& route : rule.routes) {
            (route.has_variables() ? variable_ : exact_[route.text()]).push_back({&route, &rule});
        }
    }

    /// A rule that takes the requests of `rule` on `route`, together with others perhaps; null where some are left.
    const Rule* taker(const Rule& rule, const RoutePattern& route) const {
        std::vector<const Rule*> all;
        const auto collect = [&](const std::vector<Entry>& entries) {
            for (const auto& [earlier, owner] : entries) {
                if (earlier->covers(route)) all.push_back(owner);
            }
        };
        collect(variable_);
        if (const auto same = exact_.find(route.text()); same != exact_.end()) collect(same->second);
        const auto any_method = [](const Rule* one) { return one->methods.empty(); };
        if (const auto whole = std::find_if(all.begin(), all.end(), any_method); whole != all.end()) return *whole;

        const auto is_taken = [&](const std::string& method) {
            return std::any_of(all.begin(), all.end(), [&](const Rule* one) { return one->takes_method(method); });
        };
        const bool none_left = !rule.methods.empty() && std::all_of(rule.methods.begin(), rule.methods.end(), is_taken);
        return none_left ? all.front() : nullptr;
    }

private:
    using Entry = std::pair<const RoutePattern*, const Rule*>;
    std::unordered_map<std::string_view, std::vector<Entry>> exact_;
    std::vector<Entry> variable_;
};

/// Throws InvalidRule. Fast where few routes have variable segments: linear in those for each route.
inline void check_rules(const std::vector<Rule>& rules, const std::optional<Rule>& otherwise) {
    std::unordered_set<std::string_view> names;
    RoutesBefore before;
    const auto check = [&](const Rule& rule, std::size_t index) {
        const OneRuleCheck one{rule, index};
        one.check();
        if (!names.insert(rule.name).second) {
            throw InvalidRule(index, "/name", "sluice: two rules have the name '" + rule.name + "'");
        }
        return one;
    };
    for (std::size_t i = 0; i != rules.size(); ++i) {
        const Rule& rule = rules[i];
        const auto one = check(rule, i);
        for (std::size_t j = 0; j != rule.routes.size(); ++j) {
            const Rule* taker = before.taker(rule, rule.routes[j]);
            if (taker == nullptr) continue;
            one.refuse("/routes/" + std::to_string(j), "can never apply to route '" + rule.routes[j].text() +
                                                           "': rule '" + taker->name +
                                                           "', before it, takes all its requests");
        }
        before.add(rule);
    }
    if (otherwise) check(*otherwise, InvalidRule::default_rule);
}

}  // namespace sluice::http::detail

#endif
