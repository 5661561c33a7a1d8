// SPDX-License-Identifier: MIT
//
// The demo service on Crow: its routes behind a middleware, and its metrics on a port of their own.
#include <future>
#include <iostream>
#include <string>

#include <crow.h>

#include <sluice/http/crow.hpp>

#include "demo/service.hpp"

namespace {

struct ByApiKey {
    sluice::http::Caller operator()(const crow::request& request) const {
        return demo::caller_of(request.get_header_value("X-API-Key"));
    }
};
using Limiter = sluice::http::CrowGuard<sluice::http::CrowGlobal, ByApiKey>;

crow::response answer(int status, std::string_view type, std::string_view body) {
    crow::response response{status, std::string{body}};
    response.set_header("Content-Type", std::string{type});
    return response;
}

/// A server and the threads that it runs on.
class Listener {
public:
    explicit Listener(const sluice::http::Guard& guard) : app{Limiter{guard}} {
        app.loglevel(crow::LogLevel::Critical);
    }
    ~Listener() {
        app.stop();
        if (running_.valid()) running_.wait();
    }

    /// Returns the port.
    int listen(int port) {
        app.bindaddr(demo::address).port(static_cast<std::uint16_t>(port)).concurrency(4).signal_clear();
        // An answer with more than three fields is sent in two pieces: without this the second waits 40 ms for the first.
        // Older versions of Crow have no such setting.
        [](auto& any) {
            if constexpr (requires { any.tcp_nodelay(); }) any.tcp_nodelay();
        }(app);
        running_ = app.run_async();
        const bool started = app.wait_for_server_start() == std::cv_status::no_timeout;
        if (!started || app.port() == 0) demo::Options::port_is_taken(port);
        return app.port();
    }

    crow::App<Limiter> app;

private:
    std::future<void> running_;
};

int serve(const demo::Options& options) {
    const auto signals = demo::hold_signals();
    demo::Service service{options};

    Listener main{service.guard()};
    CROW_ROUTE(main.app, "/")
    ([] {
        auto response = answer(200, "text/html; charset=utf-8", demo::page);
        response.set_header("Content-Security-Policy", demo::page_policy);
        return response;
    });
    CROW_ROUTE(main.app, "/README.md")([] { return answer(200, "text/plain; charset=utf-8", demo::readme); });
    CROW_ROUTE(main.app, "/debug")([&] { return answer(200, "application/json", service.debug()); });
    for (const auto& route : demo::routes) {
        main.app.route_dynamic(std::string{route.path})(
            [&route] { return answer(200, "application/json", route.answer); });
    }
    CROW_ROUTE(main.app, "/login").methods("POST"_method)([] {
        return answer(401, "application/json", demo::login_answer);
    });

    Listener metrics{service.guard()};
    CROW_ROUTE(metrics.app, "/metrics")
    ([&] { return answer(200, sluice::metrics::prometheus_content_type, service.metrics()); });

    const int metrics_port = metrics.listen(options.metrics_port);
    const int port = main.listen(options.port);
    std::cout << "Metrics on http://" << demo::address << ':' << metrics_port << "/metrics\n"
              << "Listening on http://" << demo::address << ':' << port << std::endl;
    demo::wait_until_stopped(signals, service);
    return 0;
}

}  // namespace

int main(int argc, char* argv[]) { return demo::run(argc, argv, serve); }
