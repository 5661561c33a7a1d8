// SPDX-License-Identifier: MIT
#ifndef SLUICE_HTTP_JSON_RULES_HPP
#define SLUICE_HTTP_JSON_RULES_HPP

#include <cstddef>
#include <initializer_list>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <sluice/http/json/detail/limit_reader.hpp>
#include <sluice/http/json/detail/node.hpp>
#include <sluice/http/json/detail/parse.hpp>
#include <sluice/http/json/detail/read_file.hpp>
#include <sluice/http/json/detail/shared_limits.hpp>
#include <sluice/http/json/functions.hpp>
#include <sluice/http/json/rules_error.hpp>
#include <sluice/http/rules/limiter_factory.hpp>
#include <sluice/http/rules/rules.hpp>
#include <sluice/metrics/registry.hpp>

// Rules from a JSON file. The only folder that needs nlohmann-json.
//
//     {"rules": [
//        {"name": "login", "routes": ["/login"], "methods": ["POST"],
//         "limits": [{"name": "per-address", "policy": {"kind": "token_bucket", "capacity": 5, "refill": "1/m"},
//                     "key": ["address"], "cost": 1, "count": "failures", "on_failure": "deny", "shared": false,
//                     "lease": false}],
//         "exempt": {"networks": ["10.0.0.0/8"], "users": ["monitor"]}, "enforce_percent": 100},
//        {"name": "api", "routes": ["/api/**"],
//         "tiers": [{"plan": "partner", "unlimited": true}, {"plan": "gold", "limits": [...]},
//                   {"authenticated": true, "limits": [...]}, {"limits": [...]}]},
//        {"name": "tenants", "routes": ["/tenants/{id}/**"], "hosts": ["api.example.com", "*.example.org"],
//         "headers": {"X-Beta": true}, "query": {"format": "csv"}, "skip": "is_internal",
//         "limits": [{"name": "tenant", "policy": {...}, "key": ["method", "host", {"path": "id"}, {"header": "X-Tenant"},
//                     {"query": "q"}, {"cookie": "session"}, {"function": "tenant"}], "cost": {"body_bytes": 1024}}]},
//        {"name": "old", "routes": ["/v1/**"], "blocked": true,
//         "answer": {"status": 503, "content_type": "text/plain", "body": "Again in {retry_after} s"}},
//        {"name": "health", "routes": ["/health"]}],
//      "default": {"name": "default", "limits": [...]},
//      "deny": {"networks": ["203.0.113.0/24"]}}
//
// The first rule that matches applies, and of its tiers the first that takes the caller. A rule without limits and
// tiers, and requests that no rule and no default take, have no limit.
//
// "deny" refuses (403) before any rule is asked; "blocked", or a policy of 0 units, refuses all of a rule or tier. true for
// a header or a query's parameter means that it is there, once, whatever its value. Functions are the program's, by the
// name that RulesFunctions gives them. A part of a key that a request lacks, or has several times, is its address.
//
// "count" says which requests count in the end: "all", "failures" (an answer of 400 or more), "successes", or "reported":
// the cost that the handler tells Verdict::report_cost, of which "cost" is an estimate. The others give back what they took.
//
// Policies: token_bucket (capacity, refill), leaky_bucket (queue, drain, burst or none), fixed_window, sliding_window and
// sliding_window_counter (limit, window). Rates are "10/s" or "1/5m", durations "500ms". A leaky_bucket paces only
// where the guard may hold requests (GuardOptions::max_hold) or a handler minds Verdict::delay(); else it only counts.
//
// "lease": true takes units of busy keys ahead and decides in process (layers/lease.hpp); not for sliding_window and
// leaky_bucket. Limiters in memory decide in process anyway.
//
// When a file is read again (Rules::replace), a limit of other numbers takes over what is used: "reset": true starts it fresh.
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
    RulesReader(const LimiterFactory& make, metrics::Registry* registry, const RulesFunctions& functions)
        : make_(make), registry_(registry), functions_(functions) {}

    RuleSet document(const JsonNode& node) {
        node.check_object({"rules", "default", "deny", "$schema"});
        std::vector<Rule> rules;
        for (const auto& element : node.at("rules").elements()) {
            rule_ = rules.size();
            rules.push_back(rule(element, true));
        }
        std::optional<Rule> otherwise;
        rule_ = InvalidRule::default_rule;
        if (node.has("default")) otherwise = rule(node.at("default"), false);
        DenyList denied;
        if (node.has("deny")) {
            node.at("deny").check_object({"networks"});
            denied.networks = networks(node.at("deny").at("networks"));
            if (registry_ != nullptr) denied.counters = registry_->rule("deny");
        }
        try {
            RuleSet set{std::move(rules), std::move(otherwise), std::move(denied)};
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
            node.check_object({"name", "routes", "methods", "hosts", "headers", "query", "skip", "blocked", "answer",
                               "limits", "tiers", "exempt", "enforce_percent"});
        } else {
            node.check_object({"name", "skip", "blocked", "answer", "limits", "tiers", "exempt", "enforce_percent"});
        }
        Rule rule{.name = name(node.at("name"))};
        if (routed) {
            for (const auto& route : node.at("routes").some_elements()) {
                rule.routes.push_back(route.checked([&] { return RoutePattern{route.string()}; }));
            }
            if (node.has("methods")) {
                for (const auto& method : node.at("methods").some_elements()) rule.methods.push_back(method.string());
            }
            condition(node, rule.condition);
        }
        if (node.has("skip")) rule.skip = function_named(node.at("skip"), functions_.skips);
        only_one_of(node, {"limits", "tiers", "blocked"});
        if (node.has("limits") || is_true(node, "blocked")) rule.tiers.push_back(limits_of(node));
        if (node.has("tiers")) {
            for (const auto& element : node.at("tiers").some_elements()) rule.tiers.push_back(tier(element));
        }
        if (node.has("exempt")) exempt(node.at("exempt"), rule);
        if (node.has("answer")) rule.answer = denial_template(node.at("answer"));
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
        if (node.has("networks")) rule.exempt_networks = networks(node.at("networks"));
    }
    static std::vector<Network> networks(const JsonNode& node) {
        std::vector<Network> all;
        for (const auto& network : node.elements()) {
            all.push_back(network.checked([&] { return Network{network.string()}; }));
        }
        return all;
    }
    static void condition(const JsonNode& node, Condition& condition) {
        if (node.has("hosts")) {
            for (const auto& host : node.at("hosts").some_elements()) condition.hosts.push_back(host.string());
        }
        if (node.has("headers")) condition.headers = named_values(node.at("headers"));
        if (node.has("query")) condition.query = named_values(node.at("query"));
    }
    static std::vector<NamedValue> named_values(const JsonNode& node) {
        std::vector<NamedValue> all;
        for (const auto& name : node.member_names()) {
            const auto wanted = node.at(name);
            if (wanted.is_string()) {
                all.push_back({name, wanted.string()});
            } else {
                if (!wanted.boolean()) wanted.fail_value("true or a value");
                all.push_back({name, std::nullopt});
            }
        }
        if (all.empty()) node.fail("is empty, which cannot be meant");
        return all;
    }
    static bool is_true(const JsonNode& node, const char* member) {
        return node.has(member) && node.at(member).boolean();
    }
    static void only_one_of(const JsonNode& node, std::initializer_list<const char*> members) {
        const char* found = nullptr;
        for (const char* member : members) {
            if (!node.has(member)) continue;
            if (found != nullptr) node.fail("has both \"" + std::string{found} + "\" and \"" + member + '"');
            found = member;
        }
    }

    Tier tier(const JsonNode& node) {
        node.check_object({"limits", "unlimited", "blocked", "authenticated", "plan"});
        only_one_of(node, {"limits", "unlimited", "blocked"});
        Tier tier = is_true(node, "unlimited") ? Tier{} : limits_of(node);
        if (node.has("authenticated")) tier.authenticated = node.at("authenticated").boolean();
        if (node.has("plan")) {
            tier.plan = node.at("plan").string();
            if (tier.plan.empty()) node.at("plan").fail("is empty; leave it out for callers of any plan");
        }
        return tier;
    }
    /// What "limits" or "blocked" of a rule or a tier say.
    Tier limits_of(const JsonNode& node) {
        Tier tier{.blocked = is_true(node, "blocked")};
        if (tier.blocked) return tier;
        for (const auto& element : node.at("limits").some_elements()) {
            if (auto one = limit(element)) {
                tier.limits.push_back(std::move(*one));
            } else {
                tier.blocked = true;
            }
        }
        if (tier.blocked) tier.limits.clear();
        return tier;
    }
    /// Nothing for a limit of 0.
    std::optional<Limit> limit(const JsonNode& node) {
        node.check_object(
            {"name", "policy", "key", "cost", "on_failure", "shared", "lease", "count", "unit", "partition", "reset"});
        LimiterOptions options{.name = name(node.at("name"))};
        if (node.has("on_failure")) options.on_failure = failure_mode(node.at("on_failure"));
        const std::vector<KeySource> parts =
            node.has("key") ? key(node.at("key"), functions_) : std::vector<KeySource>{KeyPart::address};
        const Cost units = node.has("cost") ? cost(node.at("cost"), functions_) : Cost{1};
        const bool is_shared = is_true(node, "shared");
        const std::optional<AnyPolicy> chosen = policy(node.at("policy"));
        if (!chosen) return std::nullopt;
        if (registry_ != nullptr) options.observer = registry_->limiter(options.name);
        limits_.add(node, rule_, options.name, *chosen, parts, is_shared);
        const bool is_leased = is_true(node, "lease") && make_.leased;
        return Limit{.limiter = node.at(is_leased ? "lease" : "policy").checked([&] {
                         return is_leased ? make_.leased(*chosen, options) : make_(*chosen, options);
                     }),
                     .key = parts,
                     .cost = units,
                     .counted = node.has("count") ? counted(node.at("count")) : Counted::all,
                     .unit = node.has("unit") ? unit(node.at("unit")) : std::string{},
                     .tells_partition = is_true(node, "partition"),
                     .carries_over = !is_true(node, "reset")};
    }

    const LimiterFactory& make_;
    metrics::Registry* registry_;
    const RulesFunctions& functions_;
    SharedLimits limits_{};
    std::size_t rule_ = 0;  // the one that is being read
};

}  // namespace detail

/// Reads and checks a whole document; `file` is its name in messages. Throws RulesError and nothing else. With a
/// registry, each limiter and rule counts there under its name. `functions` are those that it may name.
inline RuleSet parse_rules(std::string_view text, const std::string& file, const LimiterFactory& make,
                           metrics::Registry* registry = nullptr, const RulesFunctions& functions = {}) {
    const RulesError no_memory{file, {}, "there is not enough memory to read it"};  // made while there is some
    try {
        if (text.size() > detail::max_rules_bytes) detail::refuse_size(file);
        const auto json = detail::parse_json(text, file);
        return detail::RulesReader{make, registry, functions}.document({json, file});
    } catch (const std::bad_alloc&) {
        throw no_memory;
    }
}

/// Reads a file. Throws RulesError (whose text has the file's name, the place in it and the value) and nothing else, and
/// has changed nothing then, so that a server goes on with the rules that it has. A registry is told how it went:
///
///     guard.rules().replace(load_rules("rules.json", limiters));
inline RuleSet load_rules(const std::string& file, const LimiterFactory& make, metrics::Registry* registry = nullptr,
                          const RulesFunctions& functions = {}) {
    const RulesError no_memory{file, {}, "there is not enough memory to read it"};
    try {
        RuleSet rules = parse_rules(detail::read_rules_file(file), file, make, registry, functions);
        if (registry != nullptr) registry->reload_status().succeeded();
        return rules;
    } catch (const std::bad_alloc&) {
        if (registry != nullptr) registry->reload_status().failed();
        throw no_memory;
    } catch (const RulesError&) {
        if (registry != nullptr) registry->reload_status().failed();
        throw;
    }
}

}  // namespace sluice::http

#endif
