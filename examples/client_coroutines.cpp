// SPDX-License-Identifier: MIT
//
// examples/client.cpp with coroutines instead of threads: 50 of them on one thread send 10 requests a second together, and
// heed what the service says.
//
//     client_coroutines PORT /api/data [SECONDS]
//
// Exit status 0 only if the service, on 127.0.0.1, never denied, and at least 95 % of what it allows was used.
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <string>
#include <string_view>

#include <asio/awaitable.hpp>
#include <asio/buffer.hpp>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/read.hpp>
#include <asio/read_until.hpp>
#include <asio/redirect_error.hpp>
#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>
#include <asio/write.hpp>

#include <sluice/asio.hpp>
#include <sluice/sluice.hpp>

#include "support/service_pause.hpp"

namespace {

using namespace std::chrono_literals;
using asio::awaitable;
using asio::use_awaitable;
using Clock = std::chrono::steady_clock;

constexpr int requests_per_second = 10;
constexpr int coroutines = 50;

/// The value of a field in the head of an answer, or nothing.
std::string_view field(std::string_view head, std::string_view name) {
    const auto at = head.find("\r\n" + std::string{name} + ": ");
    if (at == std::string_view::npos) return {};
    const auto begin = at + name.size() + 4;
    return head.substr(begin, head.find("\r\n", begin) - begin);
}

/// One service and one connection, for all coroutines; all on one thread.
class Service {
public:
    Service(asio::io_context& loop, unsigned short port)
        : socket_(loop), free_(loop, Clock::time_point::max()), gap_timer_(loop) {
        socket_.connect({asio::ip::make_address("127.0.0.1"), port});
        socket_.set_option(asio::ip::tcp::no_delay{true});
    }

    awaitable<void> run(std::string path, Clock::time_point end) {
        for (;;) {
            const auto turn = co_await sluice::async_acquire(limiter_, "service", 1, end - Clock::now(), use_awaitable);
            if (!turn) co_return;
            // One request under way at a time, and a gap counted from the answer: see examples/client.cpp.
            while (is_busy_) {
                asio::error_code cancelled;
                co_await free_.async_wait(asio::redirect_error(use_awaitable, cancelled));
            }
            is_busy_ = true;
            gap_timer_.expires_at(next_);
            co_await gap_timer_.async_wait(use_awaitable);
            if (Clock::now() < end) co_await get(path);
            is_busy_ = false;
            free_.cancel_one();
        }
    }

    int served = 0, denied = 0, failed = 0;

private:
    awaitable<void> get(const std::string& path) {
        const std::string request = "GET " + path + " HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
        co_await asio::async_write(socket_, asio::buffer(request), use_awaitable);
        const std::size_t head_size =
            co_await asio::async_read_until(socket_, asio::dynamic_buffer(read_), "\r\n\r\n", use_awaitable);
        const std::string head = read_.substr(0, head_size);
        const std::size_t size = head_size + std::stoul("0" + std::string{field(head, "Content-Length")});
        if (size > read_.size()) {
            const std::size_t missing = size - read_.size();
            co_await asio::async_read(socket_, asio::dynamic_buffer(read_), asio::transfer_exactly(missing),
                                      use_awaitable);
        }
        read_.erase(0, size);
        const auto answered = Clock::now();
        next_ = answered + std::max<std::chrono::nanoseconds>(
                               gap, example::pause_after(field(head, "Retry-After"), field(head, "RateLimit")));
        const std::string_view status = std::string_view{head}.substr(0, 12);
        ++(status == "HTTP/1.1 200" ? served : status == "HTTP/1.1 429" ? denied : failed);
    }

    static constexpr std::chrono::nanoseconds gap = std::chrono::nanoseconds{1s} / requests_per_second;

    sluice::MemoryLimiter<sluice::LeakyBucket> limiter_{
        sluice::LeakyBucket{coroutines, sluice::per_second(requests_per_second)}};
    asio::ip::tcp::socket socket_;
    asio::steady_timer free_;  // never expires; a wait ends when the connection is free
    asio::steady_timer gap_timer_;
    Clock::time_point next_{};
    std::string read_;
    bool is_busy_ = false;
};

}  // namespace

int main(int argc, char* argv[]) try {
    if (argc < 3) {
        std::cerr << "Usage: " << argv[0] << " PORT PATH [SECONDS]\n";
        return EXIT_FAILURE;
    }
    const int seconds = argc > 3 ? std::max(1, std::atoi(argv[3])) : 30;
    asio::io_context loop;
    Service service{loop, static_cast<unsigned short>(std::atoi(argv[1]))};

    const auto end = Clock::now() + std::chrono::seconds{seconds};
    for (int i = 0; i != coroutines; ++i) {
        asio::co_spawn(loop, service.run(argv[2], end), [](const std::exception_ptr& error) {
            if (error) std::rethrow_exception(error);
        });
    }
    loop.run();

    const int allowance = seconds * requests_per_second;
    const int used = service.served * 100 / allowance;
    std::cout << "429 answers: " << service.denied << '\n'
              << "of the allowance used: " << used << " % (" << service.served << " of " << allowance << ")\n";
    if (service.failed != 0) std::cout << "failed: " << service.failed << '\n';
    return service.denied == 0 && service.failed == 0 && used >= 95 ? EXIT_SUCCESS : EXIT_FAILURE;
} catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return EXIT_FAILURE;
}
