// SPDX-License-Identifier: MIT
#ifndef SLUICE_BENCHMARKS_HTTP_GUARD_HPP
#define SLUICE_BENCHMARKS_HTTP_GUARD_HPP

#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include <sluice/http/guard.hpp>
#include <sluice/metrics/registry.hpp>
#include <sluice/sluice.hpp>

// What the servers for wrk share. The guard does what a service's would: one of several rules, a key by address, X-RateLimit
// headers, counters. Nothing is denied, so that a server with and one without it send the same answers.

inline constexpr const char* benchmark_answer = R"({"data":"as much as you like"})";

/// A guard where the command line says --limited: of four routes, whose last is the one that is asked.
inline std::optional<sluice::http::Guard> benchmark_guard(int argc, char* argv[], sluice::metrics::Registry& registry,
                                                          const std::string& folder = "/api/",
                                                          const std::vector<const char*>& names = {"login", "search",
                                                                                                   "admin", "data"}) {
    using namespace sluice::http;
    if (argc < 2 || std::strcmp(argv[1], "--limited") != 0) return std::nullopt;
    std::vector<Rule> rules;
    for (const char* name : names) {
        Rule rule{.name = name, .routes = {RoutePattern{folder + name}}};
        const sluice::TokenBucket policy{1'000'000'000, sluice::per_second(1'000'000)};
        rule.tiers = {{.limits = {{sluice::RateLimiter{policy, {.name = name, .observer = registry.limiter(name)}}}}}};
        rule.counters = registry.rule(name);
        rules.push_back(std::move(rule));
    }
    return Guard{RuleSet{std::move(rules)}};
}

#endif
