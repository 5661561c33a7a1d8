// SPDX-License-Identifier: MIT
//
// A cpp-httplib server that limits each client address.  httplib_server [PORT]  (default 8080; 0 is any free port)
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>

#include <httplib.h>

#include <sluice/sluice.hpp>

using namespace std::chrono_literals;

namespace {

std::string whole_seconds(std::chrono::nanoseconds time) {
    return std::to_string(std::chrono::ceil<std::chrono::seconds>(time).count());
}

void set_rate_limit_headers(httplib::Response& response, const sluice::Decision& decision) {
    response.set_header("X-RateLimit-Limit", std::to_string(decision.limit));
    response.set_header("X-RateLimit-Remaining", std::to_string(decision.remaining));
    response.set_header("X-RateLimit-Reset", whole_seconds(decision.reset_after));
}

void deny(const httplib::Request& request, httplib::Response& response, const sluice::Decision& decision) {
    char seconds[32];
    std::snprintf(seconds, sizeof seconds, "%.1f", std::chrono::duration<double>(decision.retry_after).count());
    const std::string body = std::string{R"({"error":"Rate limit exceeded","retry_after":)"} + seconds + "}";

    response.status = 429;
    response.set_header("Retry-After", whole_seconds(std::max<std::chrono::nanoseconds>(decision.retry_after, 1s)));
    if (!request.has_header("Content-Length") && !request.has_header("Transfer-Encoding")) {
        response.set_content(body, "application/json");
        return;
    }
    // This handler runs before the body is read. Were the connection kept, the body would be taken for the next
    // request; a provider that fails after it has written everything makes the server close it.
    response.set_content_provider(body.size(), "application/json",
                                  [body](std::size_t offset, std::size_t length, httplib::DataSink& sink) {
                                      sink.write(body.data() + offset, length);
                                      return false;
                                  });
}

}  // namespace

int main(int argc, char* argv[]) {
    sluice::RateLimiter data{sluice::TokenBucket{10, sluice::per_second(1)}};
    sluice::RateLimiter expensive{sluice::TokenBucket{2, sluice::Rate{1, 5s}}};

    httplib::Server server;
    server.set_tcp_nodelay(true);
    // By default two servers could share one port without noticing.
    server.set_socket_options([](socket_t socket) {
        const int yes = 1;
        setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    });
    server.set_pre_routing_handler([&](const httplib::Request& request, httplib::Response& response) {
        using enum httplib::Server::HandlerResponse;
        auto* limiter = request.path == "/api/data" ? &data : request.path == "/api/expensive" ? &expensive : nullptr;
        if (!limiter) return Unhandled;
        const sluice::Decision decision = limiter->try_consume(request.remote_addr);
        set_rate_limit_headers(response, decision);
        if (decision) return Unhandled;
        deny(request, response, decision);
        return Handled;
    });
    const auto answer = [&](const char* path, const char* body) {
        server.Get(path, [body](const httplib::Request&, httplib::Response& response) {
            response.set_content(body, "application/json");
        });
    };
    answer("/api/data", R"({"data":"as much as ten requests at once, then one per second"})");
    answer("/api/expensive", R"({"data":"as much as two requests at once, then one in five seconds"})");
    answer("/free", R"({"data":"without a limit"})");

    const char* address = "127.0.0.1";
    int port = argc > 1 ? std::atoi(argv[1]) : 8080;
    const bool bound = port == 0 ? (port = server.bind_to_any_port(address)) > 0 : server.bind_to_port(address, port);
    if (!bound) {
        std::cerr << "httplib_server: cannot listen on " << address << ':' << port << "; is the port taken?\n";
        return EXIT_FAILURE;
    }
    std::cout << "Listening on http://" << address << ':' << port << std::endl;
    return server.listen_after_bind() ? EXIT_SUCCESS : EXIT_FAILURE;
}
