// SPDX-License-Identifier: MIT
//
// The demo service on Boost.Beast: coroutines on two threads, its routes behind a guard, and its metrics on a port of their own.
// A request that a leaky_bucket paces waits on a timer, and one whose limits are in Redis for Redis' answer: neither holds a thread.
#include <chrono>
#include <exception>
#include <iostream>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

#include <sluice/http/beast.hpp>
#include <sluice/http/beast_async.hpp>
#ifdef DEMO_HAS_REDIS
#include <sluice/http/beast_redis.hpp>
#endif

#include "demo/service.hpp"

namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using asio::ip::tcp;
using Request = http::request<http::string_body>;
using Response = http::response<http::string_body>;

struct ByApiKey {
    sluice::http::Caller operator()(const Request& request) const {
        const auto key = request["X-API-Key"];
        return demo::caller_of({key.data(), key.size()});
    }
};
using Limiter = sluice::http::BeastGuard<ByApiKey>;

Response answer(const Request& request, http::status status, std::string_view type, std::string_view body) {
    Response response{status, request.version()};
    response.set(http::field::content_type, {type.data(), type.size()});
    response.keep_alive(request.keep_alive());
    response.content_length(body.size());
    if (request.method() != http::verb::head) response.body() = body;
    return response;
}

/// What the demo answers to a request that may pass.
Response handle(const Request& request, const demo::Service& service) {
    const auto target = request.target();
    const auto [path, query] = sluice::http::split_target({target.data(), target.size()});
    constexpr std::string_view json = "application/json";
    if (request.method() == http::verb::post) {
        if (path == "/login") return answer(request, http::status::unauthorized, json, demo::login_answer);
    } else if (path == "/") {
        auto response = answer(request, http::status::ok, "text/html; charset=utf-8", demo::page);
        response.set("Content-Security-Policy", demo::page_policy);
        return response;
    } else if (path == "/debug") {
        return answer(request, http::status::ok, json, service.debug());
    } else if (path == "/README.md") {
        return answer(request, http::status::ok, "text/plain; charset=utf-8", demo::readme);
    } else {
        for (const auto& route : demo::routes) {
            if (path == route.path) return answer(request, http::status::ok, json, route.answer);
        }
    }
    return answer(request, http::status::not_found, json, R"({"error":"not found"})");
}

/// Limits in a Redis that no thread waits for; none where --store names something else.
sluice::http::LimiterFactory limiters([[maybe_unused]] asio::io_context& context,
                                      [[maybe_unused]] const std::string& store) {
#ifdef DEMO_HAS_REDIS
    if (store.starts_with("redis"))
        return sluice::http::limiters_in(sluice::BoostAsioRedis{asio::make_strand(context), store});
#endif
    return {};
}

/// Serves one connection to its end. `handler` answers what the limiter lets pass.
template <class Handler>
asio::awaitable<void> serve_connection(tcp::socket socket, Limiter limiter, Handler handler) {
    boost::beast::tcp_stream stream{std::move(socket)};
    boost::beast::flat_buffer buffer;
    const std::string peer = stream.socket().remote_endpoint().address().to_string();
    for (bool stays = true; stays;) {
        stream.expires_after(std::chrono::seconds{30});
        Request request;
        co_await http::async_read(stream, buffer, request, asio::use_awaitable);
        const auto verdict = co_await sluice::http::async_check(limiter, request, peer, asio::use_awaitable);
        if (verdict.delay.count() > 0) {
            asio::steady_timer timer{stream.get_executor(), verdict.delay};
            co_await timer.async_wait(asio::use_awaitable);
        }
        Response response = verdict.allowed ? handler(request) : limiter.denial<Response>(verdict, request);
        if (verdict.allowed) limiter.finish(verdict, response);
        stays = response.keep_alive();
        co_await http::async_write(stream, response, asio::use_awaitable);
    }
    boost::system::error_code ignored;
    stream.socket().shutdown(tcp::socket::shutdown_send, ignored);
}

template <class Handler>
asio::awaitable<void> accept_all(tcp::acceptor acceptor, Limiter limiter, Handler handler) {
    for (;;) {
        tcp::socket socket = co_await acceptor.async_accept(asio::use_awaitable);
        socket.set_option(tcp::no_delay{true});
        const auto end = [](const std::exception_ptr&) {};  // the client has gone: nothing to do
        co_spawn(acceptor.get_executor(), serve_connection(std::move(socket), limiter, handler), end);
    }
}

/// Returns the port.
template <class Handler>
int listen(asio::io_context& context, int port, const Limiter& limiter, Handler handler) {
    try {
        tcp::acceptor acceptor{context, {asio::ip::make_address(demo::address), static_cast<unsigned short>(port)}};
        const int bound = acceptor.local_endpoint().port();
        co_spawn(context, accept_all(std::move(acceptor), limiter, std::move(handler)), asio::detached);
        return bound;
    } catch (const boost::system::system_error&) {
        demo::Options::port_is_taken(port);
    }
}

int serve(const demo::Options& options) {
    const auto signals = demo::hold_signals();
    asio::io_context context;
    demo::Service service{options, limiters(context, options.store)};
    const Limiter limiter{service.guard()};

    const int metrics_port = listen(context, options.metrics_port, limiter, [&service](const Request& request) {
        return answer(request, http::status::ok, sluice::metrics::prometheus_content_type, service.metrics());
    });
    const int port =
        listen(context, options.port, limiter, [&service](const Request& request) { return handle(request, service); });
    std::vector<std::thread> threads;
    for (int i = 0; i < 2; ++i) threads.emplace_back([&context] { context.run(); });
    std::cout << "Metrics on http://" << demo::address << ':' << metrics_port << "/metrics\n"
              << "Listening on http://" << demo::address << ':' << port << std::endl;
    demo::wait_until_stopped(signals, service);
    context.stop();
    for (auto& thread : threads) thread.join();
    return 0;
}

}  // namespace

int main(int argc, char* argv[]) { return demo::run(argc, argv, serve); }
