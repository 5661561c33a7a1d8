// SPDX-License-Identifier: MIT
//
// A server of which any number may run: all share the limits, whose states are in Redis.
//
//     redis_server redis://127.0.0.1:6379 [PORT]
#include <cstdlib>
#include <exception>
#include <iostream>
#include <string>

#include <httplib.h>

#include <sluice/http/httplib.hpp>
#include <sluice/redis.hpp>
#include <sluice/sluice.hpp>

namespace {

sluice::http::Guard make_guard(const std::string& url) {
    // A handle on the connections, for any number of limiters. Nothing is dialled yet, and the server starts and
    // answers while Redis is away: then the limiter lets all requests through.
    const sluice::RedisStore redis{url};
    const sluice::RateLimiter limiter{sluice::TokenBucket{10, sluice::per_second(1)}, redis, {.name = "api"}};

    sluice::http::Rule rule;
    rule.name = "api";
    rule.routes = {sluice::http::RoutePattern{"/api/*"}};
    rule.tiers = {{.limits = {{.limiter = limiter}}}};
    return sluice::http::Guard{sluice::http::RuleSet{{rule}}};
}

}  // namespace

int main(int argc, char* argv[]) {
    if (argc < 2 || argc > 3) {
        std::cerr << "Usage: redis_server redis://HOST[:PORT] [PORT]\n";
        return 2;
    }
    try {
        httplib::Server server;
        server.set_pre_routing_handler(sluice::http::HttplibGuard<httplib::Server>{make_guard(argv[1])});
        server.Get("/api/data", [](const httplib::Request&, httplib::Response& response) {
            response.set_content("{\"data\":42}\n", "application/json");
        });
        const int wanted = argc == 3 ? std::atoi(argv[2]) : 8080;
        const int port = wanted == 0 ? server.bind_to_any_port("127.0.0.1") : wanted;
        if (port < 0 || (wanted != 0 && !server.bind_to_port("127.0.0.1", port))) {
            std::cerr << "cannot listen on port " << wanted << '\n';
            return 1;
        }
        std::cout << "Listening on http://127.0.0.1:" << port << std::endl;
        return server.listen_after_bind() ? 0 : 1;
    } catch (const std::exception& error) {
        std::cerr << error.what() << '\n';
        return 2;
    }
}
