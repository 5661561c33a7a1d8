// SPDX-License-Identifier: MIT
//
// A cpp-httplib server for wrk, with or without a guard:  http_benchmark [--limited]
// The guard does what a service's would: one of several rules, a key by address, X-RateLimit headers, counters.
// Nothing is denied, so that both servers send the same answers.
#include <cstring>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include <httplib.h>

#include <sluice/http/httplib.hpp>
#include <sluice/metrics/registry.hpp>
#include <sluice/sluice.hpp>

namespace {

sluice::http::Guard make_guard(sluice::metrics::Registry& registry) {
    using namespace sluice::http;
    std::vector<Rule> rules;
    for (const char* name : {"login", "search", "admin", "data"}) {
        Rule rule{.name = name, .routes = {RoutePattern{"/api/" + std::string{name}}}};
        const sluice::TokenBucket policy{1'000'000'000, sluice::per_second(1'000'000)};
        rule.tiers = {{.limits = {{sluice::RateLimiter{policy, {.name = name, .observer = registry.limiter(name)}}}}}};
        rule.counters = registry.rule(name);
        rules.push_back(std::move(rule));
    }
    return Guard{RuleSet{std::move(rules)}};
}

}  // namespace

int main(int argc, char* argv[]) {
    sluice::metrics::Registry registry;
    httplib::Server server;
    if (argc > 1 && std::strcmp(argv[1], "--limited") == 0) {
        sluice::http::install(server, make_guard(registry));
    }
    server.set_tcp_nodelay(true);
    server.set_keep_alive_max_count(1'000'000'000);
    server.Get("/api/data", [](const httplib::Request&, httplib::Response& response) {
        response.set_content(R"({"data":"as much as you like"})", "application/json");
    });
    const int port = server.bind_to_any_port("127.0.0.1");
    std::cout << "Listening on http://127.0.0.1:" << port << std::endl;
    return server.listen_after_bind() ? 0 : 1;
}
