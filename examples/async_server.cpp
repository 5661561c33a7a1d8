// SPDX-License-Identifier: MIT
//
// A server of coroutines on one thread that asks Redis and is never held up by it: /health answers at once, however slow
// Redis is. /api/... has a limit for each client, shared by all servers; /batch waits for its turn instead of being denied.
//
//     async_server redis://127.0.0.1:6379 [PORT]
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <string_view>
#include <utility>

#include <asio/buffer.hpp>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/read_until.hpp>
#include <asio/signal_set.hpp>
#include <asio/use_awaitable.hpp>
#include <asio/write.hpp>

#include <sluice/asio.hpp>
#include <sluice/sluice.hpp>

using namespace std::chrono_literals;
using asio::ip::tcp;

namespace {

/// As little of HTTP as will do here: no bodies, and each answer ends the connection.
std::string answer(std::string_view status, std::string_view fields, std::string_view body) {
    return "HTTP/1.1 " + std::string{status} + "\r\n" + std::string{fields} +
           "Connection: close\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string{body};
}

std::string answer_for(const sluice::Decision& decision) {
    if (decision) return answer("200 OK", {}, "Here you are.\n");
    const auto wait = std::chrono::ceil<std::chrono::seconds>(decision.retry_after).count();
    return answer("429 Too Many Requests", "Retry-After: " + std::to_string(wait < 1 ? 1 : wait) + "\r\n",
                  "Too many requests.\n");
}

class Server {
public:
    Server(asio::io_context& io, const std::string& url, std::uint16_t port)
        : redis_{io, url}, acceptor_{io, {asio::ip::address_v4::loopback(), port}} {}

    std::uint16_t port() const { return acceptor_.local_endpoint().port(); }

    asio::awaitable<void> accept() {
        for (;;) {
            auto socket = co_await acceptor_.async_accept(asio::use_awaitable);
            asio::co_spawn(acceptor_.get_executor(), serve(std::move(socket)), asio::detached);
        }
    }

private:
    asio::awaitable<void> serve(tcp::socket socket) {
        std::string request;
        co_await asio::async_read_until(socket, asio::dynamic_buffer(request, 8'192), "\r\n\r\n", asio::use_awaitable);
        const std::string client = socket.remote_endpoint().address().to_string();
        std::string response = answer("404 Not Found", {}, "There is /api/..., /batch and /health.\n");
        if (request.starts_with("GET /health ")) {
            response = answer("200 OK", {}, "well\n");
        } else if (request.starts_with("GET /api/")) {
            response = answer_for(co_await sluice::async_try_consume(api_, client, 1, asio::use_awaitable));
        } else if (request.starts_with("GET /batch ")) {
            response = answer_for(co_await sluice::async_acquire(batch_, client, 1, 5s, asio::use_awaitable));
        }
        co_await asio::async_write(socket, asio::buffer(response), asio::use_awaitable);
    }

    sluice::AsioRedis redis_;  // one for all limiters of this loop
    sluice::RateLimiter<sluice::TokenBucket, sluice::AsioRedis> api_{
        sluice::TokenBucket{10, sluice::per_second(1)}, redis_, {.name = "api"}};
    sluice::RateLimiter<sluice::LeakyBucket, sluice::AsioRedis> batch_{
        sluice::LeakyBucket{100, sluice::per_second(5)}, redis_, {.name = "batch"}};
    tcp::acceptor acceptor_;
};

}  // namespace

int main(int argc, char* argv[]) {
    if (argc < 2) {
        std::fprintf(stderr, "usage: async_server redis://HOST[:PORT] [PORT]\n");
        return 2;
    }
    try {
        asio::io_context io{1};
        Server server{io, argv[1], static_cast<std::uint16_t>(argc > 2 ? std::atoi(argv[2]) : 8080)};
        asio::co_spawn(io, server.accept(), asio::detached);
        asio::signal_set signals{io, SIGINT, SIGTERM};
        signals.async_wait([&](auto, auto) { io.stop(); });
        std::printf("Listening on http://127.0.0.1:%d\n", server.port());
        std::fflush(stdout);
        io.run();
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}
