// SPDX-License-Identifier: MIT
//
// A server whose instances share a limit through Redis and go on limiting while Redis is away: then each of the two
// enforces half the limit in its own memory. X-Decided-By tells who decided.
//
//     fallback_server redis://127.0.0.1:6379 [PORT]
#include <string>

#include <httplib.h>

#include <sluice/http/headers.hpp>
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

    server.set_pre_routing_handler([limiter](const httplib::Request& request, httplib::Response& response) {
        const sluice::Decision decision = limiter.try_consume(request.remote_addr);
        response.set_header("X-Decided-By", decision.error == sluice::Errc::degraded ? "memory" : "redis");
        if (decision.error && decision.error != sluice::Errc::degraded) {
            response.status = 503;  // cannot be: the memory store decides whatever happens to Redis
            return httplib::Server::HandlerResponse::Handled;
        }
        if (decision) return httplib::Server::HandlerResponse::Unhandled;
        response.status = 429;
        response.set_header("Retry-After", std::to_string(sluice::http::retry_after_seconds(decision).value_or(1)));
        return httplib::Server::HandlerResponse::Handled;
    });
}

}  // namespace

int main(int argc, char* argv[]) { return run_api_server(argc, argv, "redis://HOST[:PORT]", limit); }
