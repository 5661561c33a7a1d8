// SPDX-License-Identifier: MIT
//
// The demo service on cpp-httplib: its routes behind a guard, and its metrics on a port of their own.
#include <iostream>
#include <string>
#include <thread>

#include <httplib.h>

#include <sluice/http/httplib.hpp>

#include "demo/service.hpp"

namespace {

using httplib::Request;
using httplib::Response;

struct ByApiKey {
    sluice::http::Caller operator()(const Request& request) const {
        return demo::caller_of(request.get_header_value("X-API-Key"));
    }
};

/// A server and the thread that it runs on.
class Listener {
public:
    explicit Listener(const sluice::http::Guard& guard) {
        sluice::http::install(server, guard, ByApiKey{});
        // By default two servers could share one port without noticing.
        server.set_socket_options([](socket_t socket) {
            const int yes = 1;
            setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
        });
        server.set_tcp_nodelay(true);
        server.set_keep_alive_max_count(1000);
        server.set_payload_max_length(64 * 1024);
    }
    ~Listener() {
        server.stop();
        if (thread_.joinable()) thread_.join();
    }

    /// Returns the port.
    int listen(int port) {
        const int bound = port == 0                                  ? server.bind_to_any_port(demo::address)
                          : server.bind_to_port(demo::address, port) ? port
                                                                     : -1;
        if (bound <= 0) demo::Options::port_is_taken(port);
        thread_ = std::thread{[this] { server.listen_after_bind(); }};
        while (!server.is_running()) std::this_thread::yield();
        return bound;
    }

    httplib::Server server;

private:
    std::thread thread_;
};

int serve(const demo::Options& options) {
    const auto signals = demo::hold_signals();
    demo::Service service{options};

    Listener main{service.guard()};
    main.server.Get("/", [](const Request&, Response& response) {
        response.set_header("Content-Security-Policy", demo::page_policy);
        response.set_content(std::string{demo::page}, "text/html; charset=utf-8");
    });
    main.server.Get("/README.md", [](const Request&, Response& response) {
        response.set_content(std::string{demo::readme}, "text/plain; charset=utf-8");
    });
    main.server.Get("/debug", [&](const Request&, Response& response) {
        response.set_content(service.debug(), "application/json");
    });
    for (const auto& route : demo::routes) {
        main.server.Get(std::string{route.path}, [&route](const Request&, Response& response) {
            response.set_content(std::string{route.answer}, "application/json");
        });
    }
    main.server.Post("/login", [](const Request&, Response& response) {
        response.status = 401;
        response.set_content(std::string{demo::login_answer}, "application/json");
    });

    Listener metrics{service.guard()};
    metrics.server.Get("/metrics", [&](const Request&, Response& response) {
        response.set_content(service.metrics(), sluice::metrics::prometheus_content_type);
    });

    const int metrics_port = metrics.listen(options.metrics_port);
    const int port = main.listen(options.port);
    std::cout << "Metrics on http://" << demo::address << ':' << metrics_port << "/metrics\n"
              << "Listening on http://" << demo::address << ':' << port << std::endl;
    demo::wait_until_stopped(signals, service);
    return 0;
}

}  // namespace

int main(int argc, char* argv[]) { return demo::run(argc, argv, serve); }
