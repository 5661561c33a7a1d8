// SPDX-License-Identifier: MIT
#ifndef SLUICE_BENCHMARKS_ASYNC_HEALTH_HPP
#define SLUICE_BENCHMARKS_ASYNC_HEALTH_HPP

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <asio/buffer.hpp>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/read_until.hpp>
#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>
#include <asio/write.hpp>

// A small HTTP server with two io threads. /limited asks a limiter, /health asks nobody: how long does /health take while
// Redis is late?
namespace health {

using Clock = std::chrono::steady_clock;
using asio::ip::tcp;

/// Answers /limited, in the connection's coroutine.
using Limited = std::function<asio::awaitable<bool>()>;

inline asio::awaitable<void> serve(tcp::socket socket, const Limited& limited) {
    socket.set_option(tcp::no_delay{true});
    std::string received;
    for (;;) {
        const auto size =
            co_await asio::async_read_until(socket, asio::dynamic_buffer(received), "\r\n\r\n", asio::use_awaitable);
        const bool is_limited = received.starts_with("GET /limited ");
        received.erase(0, size);
        const bool allowed = !is_limited || co_await limited();
        const std::string_view answer = allowed ? "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
                                                : "HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n";
        co_await asio::async_write(socket, asio::buffer(answer), asio::use_awaitable);
    }
}

class Server {
public:
    explicit Server(Limited limited) : limited_(std::move(limited)) { asio::co_spawn(io, accept(), asio::detached); }
    ~Server() { stop(); }
    void stop() {
        io.stop();
        for (auto& thread : threads_) thread.join();
        threads_.clear();
    }
    void start(int threads) {
        for (int i = 0; i != threads; ++i) threads_.emplace_back([this] { io.run(); });
    }
    std::uint16_t port() const { return acceptor_.local_endpoint().port(); }

    asio::io_context io;

private:
    asio::awaitable<void> accept() {
        for (;;) {
            // Each connection by itself, on whichever thread is free.
            asio::co_spawn(io, serve(co_await acceptor_.async_accept(asio::use_awaitable), limited_), asio::detached);
        }
    }

    Limited limited_;
    tcp::acceptor acceptor_{io, {asio::ip::address_v4::loopback(), 0}};
    std::vector<std::thread> threads_;
};

struct Result {
    double health_p50_ms = 0, health_max_ms = 0;
    double limited_per_second = 0;
};

/// So many clients ask for /limited, one after the other each, and one asks for /health every 10 ms.
inline Result measure(std::uint16_t port, int clients, std::chrono::milliseconds time) {
    asio::io_context io;
    std::vector<double> health;
    std::uint64_t limited = 0;
    const auto client = [&](std::string_view path, std::chrono::milliseconds pause,
                            std::function<void(double)> heard) -> asio::awaitable<void> {
        tcp::socket socket{io};
        co_await socket.async_connect({asio::ip::address_v4::loopback(), port}, asio::use_awaitable);
        socket.set_option(tcp::no_delay{true});
        const std::string request = "GET " + std::string{path} + " HTTP/1.1\r\nHost: localhost\r\n\r\n";
        std::string received;
        asio::steady_timer timer{io};
        for (;;) {
            const auto start = Clock::now();
            co_await asio::async_write(socket, asio::buffer(request), asio::use_awaitable);
            const auto size = co_await asio::async_read_until(socket, asio::dynamic_buffer(received), "\r\n\r\n",
                                                              asio::use_awaitable);
            received.erase(0, size);
            heard(std::chrono::duration<double, std::milli>{Clock::now() - start}.count());
            if (pause.count() == 0) continue;
            timer.expires_after(pause);
            co_await timer.async_wait(asio::use_awaitable);
        }
    };
    for (int i = 0; i != clients; ++i)
        asio::co_spawn(io, client("/limited", {}, [&](double) { ++limited; }), asio::detached);
    asio::co_spawn(io, client("/health", std::chrono::milliseconds{10}, [&](double ms) { health.push_back(ms); }),
                   asio::detached);
    io.run_for(time);
    std::sort(health.begin(), health.end());
    Result result;
    // Where not even one came back, it took all the time.
    const double all = static_cast<double>(time.count());
    result.health_p50_ms = health.empty() ? all : health[health.size() / 2];
    result.health_max_ms = health.empty() ? all : health.back();
    result.limited_per_second = static_cast<double>(limited) * 1'000 / all;
    return result;
}

}  // namespace health

#endif
