// SPDX-License-Identifier: MIT
#ifndef SLUICE_DEMO_OPTIONS_HPP
#define SLUICE_DEMO_OPTIONS_HPP

#include <charconv>
#include <cstdlib>
#include <iostream>
#include <stdexcept>
#include <string>
#include <string_view>

namespace demo {

inline constexpr const char* address = "127.0.0.1";

/// An example server's command line.
struct Options {
    int port = 8080;
    int metrics_port = 9090;
    std::string store = "memory";
    std::string rules{};

    static Options parse(int argc, char* argv[]) {
        Options options;
        for (int i = 1; i < argc; ++i) {
            const std::string_view name = argv[i];
            if (name == "--help") {
                std::cout << "Usage: " << argv[0]
                          << " [--port N] [--metrics-port N] [--store memory|[lease+]redis://HOST:PORT]"
                          << " [--rules FILE]\nListens on " << address
                          << "; port 0 is any free one. SIGHUP reads the rules"
                          << " again, SIGTERM stops.\n";
                std::exit(EXIT_SUCCESS);
            }
            if (i + 1 == argc) throw std::invalid_argument(std::string{name} + ": unknown, or without its value");
            const std::string value = argv[++i];
            if (name == "--port")
                options.port = port_number(value);
            else if (name == "--metrics-port")
                options.metrics_port = port_number(value);
            else if (name == "--store")
                options.store = value;
            else if (name == "--rules")
                options.rules = value;
            else
                throw std::invalid_argument("unknown option " + std::string{name});
        }
        return options;
    }

    [[noreturn]] static void port_is_taken(int port) {
        throw std::runtime_error("cannot listen on " + std::string{address} + ":" + std::to_string(port) +
                                 "; is the port taken?");
    }

private:
    static int port_number(const std::string& text) {
        int port = -1;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
        if (error != std::errc{} || end != text.data() + text.size() || port < 0 || port > 65535) {
            throw std::invalid_argument("a port must be from 0 to 65535, not " + text);
        }
        return port;
    }
};

}  // namespace demo

#endif
