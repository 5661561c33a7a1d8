// SPDX-License-Identifier: MIT
#ifndef SLUICE_EXAMPLES_SUPPORT_API_SERVER_HPP
#define SLUICE_EXAMPLES_SUPPORT_API_SERVER_HPP

#include <cstdlib>
#include <exception>
#include <iostream>
#include <string>

#include <httplib.h>

/// The main() of a server with one route, /api/data: PROGRAM STORE [PORT]. `limit(server, store)` puts a limit before it.
template <class Limit>
int run_api_server(int argc, char* argv[], const char* store, Limit limit) {
    if (argc < 2 || argc > 3) {
        std::cerr << "Usage: " << argv[0] << ' ' << store << " [PORT]\n";
        return 2;
    }
    try {
        httplib::Server server;
        limit(server, std::string{argv[1]});
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

#endif
