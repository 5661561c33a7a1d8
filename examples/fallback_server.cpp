// SPDX-License-Identifier: MIT
//
// A server whose instances share a limit through Redis and go on limiting while Redis is away: then each of the two
// enforces half the limit in its own memory. X-Decided-By tells who decided.
//
//     fallback_server redis://127.0.0.1:6379 [PORT]
#include <string>

#include <httplib.h>

#include <sluice/http/httplib.hpp>
#include <sluice/layers/fallback.hpp>
#include <sluice/layers/share.hpp>
#include <sluice/redis.hpp>
#include <sluice/sluice.hpp>

#include "support/api_server.hpp"

namespace {

constexpr int instances = 2;

void limit(httplib::Server& server, const std::string& url) {
    using sluice::TokenBucket;
    const sluice::Fallback store{sluice::RedisStore{url}, sluice::Share{sluice::MemoryStore<TokenBucket>{}, instances}};
    const sluice::RateLimiter limiter{TokenBucket{20, sluice::per_second(1)}, store, {.name = "api"}};

    sluice::http::Rule rule;
    rule.name = "api";
    rule.routes = {sluice::http::RoutePattern{"/**"}};
    rule.tiers = {{.limits = {{.limiter = limiter}}}};
    const sluice::http::HttplibGuard<httplib::Server> guard{sluice::http::Guard{sluice::http::RuleSet{{rule}}}};

    const auto tell_decider = [guard](const httplib::Request& request, httplib::Response& response) {
        const auto* verdict = guard.verdict(request);
        if (verdict == nullptr) return;
        const auto& decision = verdict->answers().front().decision;
        response.set_header("X-Decided-By", decision.error == sluice::Errc::degraded ? "memory" : "redis");
    };
    guard.install_in(server, {.post_routing = tell_decider});
}

}  // namespace

int main(int argc, char* argv[]) { return run_api_server(argc, argv, "redis://HOST[:PORT]", limit); }
