// SPDX-License-Identifier: MIT
//
// A server of which any number may run: all share the limits, whose states are in Redis.
//
//     redis_server redis://127.0.0.1:6379 [PORT]
#include <string>

#include <httplib.h>

#include <sluice/http/httplib.hpp>
#include <sluice/redis.hpp>
#include <sluice/sluice.hpp>

#include "support/api_server.hpp"

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
    return run_api_server(argc, argv, "redis://HOST[:PORT]", [](httplib::Server& server, const std::string& url) {
        sluice::http::install(server, make_guard(url));
    });
}
