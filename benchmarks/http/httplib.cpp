// SPDX-License-Identifier: MIT
//
// A cpp-httplib server for wrk, with or without a guard:  http_httplib_benchmark [--limited]
#include <iostream>

#include <httplib.h>

#include <sluice/http/httplib.hpp>

#include "http/guard.hpp"

int main(int argc, char* argv[]) {
    sluice::metrics::Registry registry;
    httplib::Server server;
    if (const auto guard = benchmark_guard(argc, argv, registry)) sluice::http::install(server, *guard);
    server.set_tcp_nodelay(true);
    server.set_keep_alive_max_count(1'000'000'000);
    server.Get("/api/data", [](const httplib::Request&, httplib::Response& response) {
        response.set_content(benchmark_answer, "application/json");
    });
    const int port = server.bind_to_any_port("127.0.0.1");
    std::cout << "Listening on http://127.0.0.1:" << port << std::endl;
    return server.listen_after_bind() ? 0 : 1;
}
