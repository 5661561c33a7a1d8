// SPDX-License-Identifier: MIT
//
// A server of which any number may run: all share the limits of many clients, whose states are spread over the masters of
// a Redis Cluster. It tells who decided: while a master is away, the clients whose states it held are let through.
//
//     cluster_server redis+cluster://127.0.0.1:7000,127.0.0.1:7001 [PORT]
//     curl 'http://127.0.0.1:8080/api/data?client=alice'      takes a unit
//     curl 'http://127.0.0.1:8080/api/used?client=alice'      how many were taken
#include <chrono>
#include <string>

#include <httplib.h>

#include <sluice/redis.hpp>
#include <sluice/sluice.hpp>

#include "support/api_server.hpp"

namespace {

constexpr std::uint64_t limit = 100'000;

void install(httplib::Server& server, const std::string& url) {
    const sluice::RedisStore redis{url};
    const sluice::RateLimiter limiter{sluice::FixedWindow{limit, std::chrono::hours{24}}, redis, {.name = "api"}};

    const auto answer = [](const sluice::Decision& decision, const std::string& text, httplib::Response& response) {
        response.status = decision.allowed ? 200 : 429;
        response.set_content((decision.error ? "degraded: " + decision.error.message() : text) + '\n', "text/plain");
    };
    server.set_pre_routing_handler([=](const httplib::Request& request, httplib::Response& response) {
        const std::string client = request.get_param_value("client");
        if (request.path == "/api/used") {
            const sluice::Decision decision = limiter.peek(client);
            answer(decision, std::to_string(limit - decision.remaining), response);
        } else {
            const sluice::Decision decision = limiter.try_consume(client);
            answer(decision, "decided, " + std::to_string(decision.remaining) + " left", response);
        }
        return httplib::Server::HandlerResponse::Handled;
    });
}

}  // namespace

int main(int argc, char* argv[]) { return run_api_server(argc, argv, "redis+cluster://HOST[:PORT],...", install); }
