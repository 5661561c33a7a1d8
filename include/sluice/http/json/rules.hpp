// SPDX-License-Identifier: MIT
#ifndef SLUICE_HTTP_JSON_RULES_HPP
#define SLUICE_HTTP_JSON_RULES_HPP

#include <cstddef>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <sluice/detail/validate.hpp>
#include <sluice/http/json/detail/node.hpp>
#include <sluice/http/json/detail/parse.hpp>
#include <sluice/http/json/detail/quantity.hpp>
#include <sluice/http/json/detail/read_file.hpp>
#include <sluice/http/json/detail/shared_limits.hpp>
#include <sluice/http/json/rules_error.hpp>
#include <sluice/http/limiter_factory.hpp>
#include <sluice/http/rules.hpp>
#include <sluice/metrics/registry.hpp>

// Rules from a JSON file. The only folder that needs nlohmann-json.
//
//     {"rules": [
//        {"name": "login", "routes": ["/login"], "methods": ["POST"],
//         "limits": [{"name": "per-address", "policy": {"kind": "token_bucket", "capacity": 5, "refill": "1/m"},
//                     "key": ["address"], "cost": 1, "on_failure": "deny", "shared": false}],
//         "exempt": {"networks": ["10.0.0.0/8"], "users": ["monitor"]}, "enforce_percent": 100},
//        {"name": "api", "routes": ["/api/**"],
//         "tiers": [{"plan": "partner", "unlimited": true}, {"plan": "gold", "limits": [...]},
//                   {"authenticated": true, "limits": [...]}, {"limits": [...]}]},
//        {"name": "health", "routes": ["/health"]}],
//      "default": {"name": "default", "limits": [...]}}
//
// The first rule that matches applies, and of its tiers the first that takes the caller. A rule without limits and
// tiers, and requests that no rule and no default take, have no limit.
//
// Policies: token_bucket (capacity, refill), leaky_bucket (queue, drain, burst or none), fixed_window, sliding_window and
// sliding_window_counter (limit, window). Rates are "10/s" or "1/5m", durations "500ms". A leaky_bucket paces only
// where the guard may hold requests (GuardOptions::max_hold) or a handler minds Verdict::delay(); else it only counts.
//
// Limits of one name and one policy count in one bucket, also in two rules: a request to either takes from both. That
// has to be said in each of them ("shared": true), or one has to have another name, or "rule" in its key.
//
// A file that cannot be meant is refused: see RuleSet, and here also lists that are empty, members that are unknown or
// given twice, limits that are shared without saying so or say so alone, more than 1 MiB.
namespace sluice::http {

namespace detail {

class RulesReader {
public:
    RulesReader(const LimiterFactory& make, metrics::Registry* registry) : make_(make), registry_(registry) {}

    RuleSet document(const JsonNode& node) {
        node.check_object({"rules", "default"});
        std::vector<Rule> rules;
        for (const auto& element : node.at("rules").elements()) {
            rule_ = rules.size();
            rules.push_back(rule(element, true));
        }
        std::optional<Rule> otherwise;
        rule_ = InvalidRule::default_rule;
        if (node.has("default")) otherwise = rule(node.at("default"), false);
        try {
            RuleSet set{std::move(rules), std::move(otherwise)};
            limits_.check();
            return set;
        } catch (const InvalidRule& error) {
            refuse(node, error);
        }
    }

private:
    /// Turns a place in a RuleSet into one in the document, where a rule's only tier may be left out.
    [[noreturn]] static void refuse(const JsonNode& document, const InvalidRule& error) {
        const auto rule = error.rule() == InvalidRule::default_rule ? document.at("default")
                                                                    : document.at("rules").elements().at(error.rule());
        constexpr std::string_view only_tier = "/tiers/0";
        std::string_view place = error.place();
        if (rule.has("limits") && place.substr(0, only_tier.size()) == only_tier) place.remove_prefix(only_tier.size());
        rule.fail_below(std::string{place}, JsonNode::without_prefix(error.what()));
    }

    Rule rule(const JsonNode& node, bool routed) {
        if (routed) {
            node.check_object({"name", "routes", "methods", "limits", "tiers", "exempt", "enforce_percent"});
        } else {
            node.check_object({"name", "limits", "tiers", "exempt", "enforce_percent"});
        }
        Rule rule{.name = name(node.at("name"))};
        if (routed) {
            for (const auto& route : node.at("routes").some_elements()) {
                rule.routes.push_back(route.checked([&] { return RoutePattern{route.string()}; }));
            }
            if (node.has("methods")) {
                for (const auto& method : node.at("methods").some_elements()) rule.methods.push_back(method.string());
            }
        }
        if (node.has("limits") && node.has("tiers")) node.fail("has both \"limits\" and \"tiers\"");
        if (node.has("limits")) rule.tiers.push_back({.limits = limits(node.at("limits"))});
        if (node.has("tiers")) {
            for (const auto& element : node.at("tiers").some_elements()) rule.tiers.push_back(tier(element));
        }
        if (node.has("exempt")) exempt(node.at("exempt"), rule);
        if (node.has("enforce_percent")) {
            rule.enforce_percent = static_cast<unsigned>(node.at("enforce_percent").integer(0, 100));
        }
        if (registry_ != nullptr) rule.counters = registry_->rule(rule.name);
        return rule;
    }

    static std::string name(const JsonNode& node) {
        return node.checked([&] { return checked_policy_name(node.string()); });
    }
    static void exempt(const JsonNode& node, Rule& rule) {
        node.check_object({"networks", "users"});
        if (node.has("users")) rule.exempt_users = node.at("users").strings();
        if (!node.has("networks")) return;
        for (const auto& network : node.at("networks").elements()) {
            rule.exempt_networks.push_back(network.checked([&] { return Network{network.string()}; }));
        }
    }

    Tier tier(const JsonNode& node) {
        node.check_object({"limits", "unlimited", "authenticated", "plan"});
        Tier tier;
        const bool is_unlimited = node.has("unlimited") && node.at("unlimited").boolean();
        if (is_unlimited && node.has("limits")) node.fail("has both \"limits\" and \"unlimited\"");
        if (!is_unlimited) tier.limits = limits(node.at("limits"));
        if (node.has("authenticated")) tier.authenticated = node.at("authenticated").boolean();
        if (node.has("plan")) {
            tier.plan = node.at("plan").string();
            if (tier.plan.empty()) node.at("plan").fail("is empty; leave it out for callers of any plan");
        }
        return tier;
    }
    std::vector<Limit> limits(const JsonNode& node) {
        std::vector<Limit> limits;
        for (const auto& element : node.some_elements()) limits.push_back(limit(element));
        return limits;
    }
    Limit limit(const JsonNode& node) {
        node.check_object({"name", "policy", "key", "cost", "on_failure", "shared"});
        LimiterOptions options{.name = name(node.at("name"))};
        if (node.has("on_failure")) options.on_failure = failure_mode(node.at("on_failure"));
        if (registry_ != nullptr) options.observer = registry_->limiter(options.name);
        const AnyPolicy chosen = policy(node.at("policy"));
        Limit limit{node.at("policy").checked([&] { return make_(chosen, options); })};
        if (node.has("cost")) limit.cost = node.at("cost").integer(1, sluice::detail::max_units);
        if (node.has("key")) limit.key = key(node.at("key"));
        limits_.add(node, rule_, options.name, chosen, limit.key, node.has("shared") && node.at("shared").boolean());
        return limit;
    }

    static FailureMode failure_mode(const JsonNode& node) {
        const auto text = node.string();
        if (text != "allow" && text != "deny") node.fail_value("\"allow\" or \"deny\"");
        return text == "deny" ? FailureMode::deny : FailureMode::allow;
    }
    static std::vector<KeyPart> key(const JsonNode& node) {
        std::vector<KeyPart> parts;
        for (const auto& element : node.elements()) {
            const auto text = element.string();
            if (text == "address")
                parts.push_back(KeyPart::address);
            else if (text == "user")
                parts.push_back(KeyPart::user);
            else if (text == "api_key")
                parts.push_back(KeyPart::api_key);
            else if (text == "rule")
                parts.push_back(KeyPart::rule);
            else
                element.fail_value("\"address\", \"user\", \"api_key\" or \"rule\"");
        }
        return parts;
    }

    static AnyPolicy policy(const JsonNode& node) {
        const auto kind = node.at("kind").string();
        std::optional<AnyPolicy> policy;
        std::string known;
        BuiltinPolicies::any([&]<class P>(std::type_identity<P>) {
            if (kind == P::kind) policy = policy_of<P>(node);
            known += (known.empty() ? "" : ", ") + std::string{P::kind};
            return policy.has_value();
        });
        if (!policy) node.at("kind").fail_value(known.replace(known.rfind(", "), 2, " or "));
        return *policy;
    }
    template <class P>
    static AnyPolicy policy_of(const JsonNode& node) {
        if constexpr (requires(const P& p) { p.window(); })
            return window<P>(node);
        else if constexpr (requires(const P& p) { p.drain(); })
            return leaky_bucket(node);
        else
            return bucket<P>(node);
    }
    static AnyPolicy leaky_bucket(const JsonNode& node) {
        node.check_object({"kind", "queue", "drain", "burst"});
        const auto units = node.at("queue").integer(1, sluice::detail::max_units);
        const auto per = node.at("drain").checked([&] { return parse_rate(node.at("drain").string()); });
        const auto burst = node.has("burst") ? node.at("burst").integer(1, units) : 1;
        return node.checked([&] { return LeakyBucket{units, per, burst}; });
    }
    template <class Bucket>
    static AnyPolicy bucket(const JsonNode& node) {
        node.check_object({"kind", "capacity", "refill"});
        const auto units = node.at("capacity").integer(1, sluice::detail::max_units);
        const auto per = node.at("refill").checked([&] { return parse_rate(node.at("refill").string()); });
        return node.checked([&] { return Bucket{units, per}; });
    }
    template <class Window>
    static AnyPolicy window(const JsonNode& node) {
        node.check_object({"kind", "limit", "window"});
        const auto units = node.at("limit").integer(1, sluice::detail::max_units);
        const auto length = node.at("window").checked([&] { return parse_duration(node.at("window").string()); });
        return node.checked([&] { return Window{units, length}; });
    }

    const LimiterFactory& make_;
    metrics::Registry* registry_;
    SharedLimits limits_{};
    std::size_t rule_ = 0;  // the one that is being read
};

}  // namespace detail

/// Reads and checks a whole document; `file` is its name in messages. Throws RulesError and nothing else. With a
/// registry, each limiter and rule counts there under its name.
inline RuleSet parse_rules(std::string_view text, const std::string& file, const LimiterFactory& make,
                           metrics::Registry* registry = nullptr) {
    const RulesError no_memory{file, {}, "there is not enough memory to read it"};  // made while there is some
    try {
        if (text.size() > detail::max_rules_bytes) detail::refuse_size(file);
        const auto json = detail::parse_json(text, file);
        return detail::RulesReader{make, registry}.document({json, file});
    } catch (const std::bad_alloc&) {
        throw no_memory;
    }
}

/// Reads a file. Throws RulesError (whose text has the file's name, the place in it and the value) and nothing else, and
/// has changed nothing then, so that a server goes on with the rules that it has:
///
///     guard.rules().replace(load_rules("rules.json", limiters));
inline RuleSet load_rules(const std::string& file, const LimiterFactory& make, metrics::Registry* registry = nullptr) {
    const RulesError no_memory{file, {}, "there is not enough memory to read it"};
    try {
        return parse_rules(detail::read_rules_file(file), file, make, registry);
    } catch (const std::bad_alloc&) {
        throw no_memory;
    }
}

}  // namespace sluice::http

#endif
