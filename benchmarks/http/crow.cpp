// SPDX-License-Identifier: MIT
//
// A Crow server for wrk, with or without a guard:  http_crow_benchmark [--limited]
#include <iostream>
#include <utility>

#include <crow.h>

#include <sluice/http/crow.hpp>

#include "http/guard.hpp"

template <class App>
void serve(App& app) {
    app.loglevel(crow::LogLevel::Critical);
    CROW_ROUTE(app, "/api/data")
    ([] {
        crow::response response{benchmark_answer};
        response.set_header("Content-Type", "application/json");
        return response;
    });
    app.bindaddr("127.0.0.1").port(0).concurrency(2);
    if constexpr (requires { app.tcp_nodelay(); }) app.tcp_nodelay();
    auto running = app.run_async();
    app.wait_for_server_start();
    std::cout << "Listening on http://127.0.0.1:" << app.port() << std::endl;
    running.wait();
}

int main(int argc, char* argv[]) {
    sluice::metrics::Registry registry;
    if (auto guard = benchmark_guard(argc, argv, registry)) {
        crow::App<sluice::http::CrowGuard<>> app{sluice::http::CrowGuard<>{std::move(*guard)}};
        serve(app);
    } else {
        crow::SimpleApp app;
        serve(app);
    }
}
