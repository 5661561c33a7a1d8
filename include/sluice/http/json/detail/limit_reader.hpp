// SPDX-License-Identifier: MIT
#ifndef SLUICE_HTTP_JSON_DETAIL_LIMIT_READER_HPP
#define SLUICE_HTTP_JSON_DETAIL_LIMIT_READER_HPP

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <sluice/detail/validate.hpp>
#include <sluice/http/json/detail/node.hpp>
#include <sluice/http/json/detail/quantity.hpp>
#include <sluice/http/json/functions.hpp>
#include <sluice/http/rules/limiter_factory.hpp>
#include <sluice/http/rules/rule.hpp>

// The parts of a limit in a rules file.
namespace sluice::http::detail {

/// The named one of `functions`; fails where there is none.
template <class Function>
const Function& function_named(const JsonNode& node, const std::map<std::string, Function>& functions) {
    const auto found = functions.find(node.string());
    if (found != functions.end()) return found->second;
    std::string known;
    for (const auto& [name, function] : functions) known += (known.empty() ? "" : ", ") + name;
    node.fail_value(known.empty() ? "the name of a function, of which the program gives none here"
                                  : "the name of a function that the program gives here (" + known + ")");
}

inline KeySource key_source(const JsonNode& node, const RulesFunctions& functions) {
    constexpr std::pair<std::string_view, KeyPart> plain[] = {
        {"address", KeyPart::address}, {"user", KeyPart::user}, {"api_key", KeyPart::api_key},
        {"rule", KeyPart::rule},       {"host", KeyPart::host}, {"method", KeyPart::method}};
    constexpr const char* wanted =
        "\"address\", \"user\", \"api_key\", \"rule\", \"host\", \"method\", or one of header, query, cookie, path and "
        "function with its name, such as {\"header\": \"X-Tenant\"}";
    if (node.is_string()) {
        for (const auto& [name, part] : plain) {
            if (node.string() == name) return part;
        }
    }
    constexpr std::pair<const char*, KeySource (*)(std::string)> named[] = {{"header", KeySource::header},
                                                                            {"query", KeySource::query},
                                                                            {"cookie", KeySource::cookie},
                                                                            {"path", KeySource::path}};
    if (!node.is_object() || node.size() != 1) node.fail_value(wanted);
    for (const auto& [name, make] : named) {
        if (node.has(name))
            return node.at(name).checked([&, make = make, name = name] { return make(node.at(name).string()); });
    }
    node.check_object({"header", "query", "cookie", "path", "function"});
    const auto function = node.at("function");
    return function.checked(
        [&] { return KeySource::function(function.string(), function_named(function, functions.keys)); });
}

inline std::vector<KeySource> key(const JsonNode& node, const RulesFunctions& functions) {
    std::vector<KeySource> parts;
    for (const auto& element : node.elements()) parts.push_back(key_source(element, functions));
    return parts;
}

inline Cost cost(const JsonNode& node, const RulesFunctions& functions) {
    if (!node.is_object()) return node.integer(1, sluice::detail::max_units);
    node.check_object({"body_bytes", "function"});
    if (node.size() != 1) node.fail_value("a number, {\"body_bytes\": 1024} or {\"function\": \"name\"}");
    if (node.has("function")) return Cost::of(function_named(node.at("function"), functions.costs));
    return Cost::of_body(node.at("body_bytes").integer(1, sluice::detail::max_units));
}

inline DenialTemplate denial_template(const JsonNode& node) {
    node.check_object({"status", "content_type", "body"});
    if (node.has("body") != node.has("content_type"))
        node.fail("has one of \"body\" and \"content_type\", which need each other");
    if (node.size() == 0) node.fail("is empty, which cannot be meant");
    const int status = node.has("status") ? static_cast<int>(node.at("status").integer(400, 599)) : 0;
    const auto text = [&](const char* member) { return node.has(member) ? node.at(member).string() : std::string{}; };
    return node.checked([&] { return DenialTemplate{text("content_type"), text("body"), status}; });
}

inline Counted counted(const JsonNode& node) {
    constexpr std::pair<std::string_view, Counted> all[] = {{"all", Counted::all},
                                                            {"failures", Counted::failures},
                                                            {"successes", Counted::successes},
                                                            {"reported", Counted::reported}};
    for (const auto& [name, counted] : all) {
        if (node.string() == name) return counted;
    }
    node.fail_value("\"all\", \"failures\", \"successes\" or \"reported\"");
}

inline std::string unit(const JsonNode& node) {
    return node.checked([&] { return checked_policy_name(node.string()); });
}

inline FailureMode failure_mode(const JsonNode& node) {
    const auto text = node.string();
    if (text != "allow" && text != "deny") node.fail_value("\"allow\" or \"deny\"");
    return text == "deny" ? FailureMode::deny : FailureMode::allow;
}

inline Rate rate(const JsonNode& node) {
    return node.checked([&] { return parse_rate(node.string()); });
}
inline std::optional<AnyPolicy> token_bucket(const JsonNode& node) {
    node.check_object({"kind", "capacity", "refill"});
    const auto units = node.at("capacity").integer(0, sluice::detail::max_units);
    const auto per = rate(node.at("refill"));
    if (units == 0) return std::nullopt;
    return node.checked([&] { return TokenBucket{units, per}; });
}
inline std::optional<AnyPolicy> leaky_bucket(const JsonNode& node) {
    node.check_object({"kind", "queue", "drain", "burst"});
    const auto units = node.at("queue").integer(0, sluice::detail::max_units);
    const auto per = rate(node.at("drain"));
    if (units == 0) return std::nullopt;
    const std::uint64_t burst = node.has("burst") ? node.at("burst").integer(1, units) : 1;
    return node.checked([&] { return LeakyBucket{units, per, burst}; });
}
template <class Window>
std::optional<AnyPolicy> window(const JsonNode& node) {
    node.check_object({"kind", "limit", "window"});
    const auto units = node.at("limit").integer(0, sluice::detail::max_units);
    const auto length = node.at("window").checked([&] { return parse_duration(node.at("window").string()); });
    if (units == 0) return std::nullopt;
    return node.checked([&] { return Window{units, length}; });
}
template <class P>
std::optional<AnyPolicy> policy_of(const JsonNode& node) {
    if constexpr (requires(const P& p) { p.window(); })
        return window<P>(node);
    else if constexpr (std::is_same_v<P, LeakyBucket>)
        return leaky_bucket(node);
    else
        return token_bucket(node);
}

/// Nothing for a policy of 0 units, which lets nobody pass.
inline std::optional<AnyPolicy> policy(const JsonNode& node) {
    const auto kind = node.at("kind").string();
    std::optional<AnyPolicy> policy;
    std::string known;
    const bool is_known = BuiltinPolicies::any([&]<class P>(std::type_identity<P>) {
        known += (known.empty() ? "" : ", ") + std::string{P::kind};
        if (kind == P::kind) policy = policy_of<P>(node);
        return kind == P::kind;
    });
    if (!is_known) node.at("kind").fail_value(known.replace(known.rfind(", "), 2, " or "));
    return policy;
}

}  // namespace sluice::http::detail

#endif
