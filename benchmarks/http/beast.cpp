// SPDX-License-Identifier: MIT
//
// A Boost.Beast server for wrk, with or without a guard:  http_beast_benchmark [--limited]
// Each connection has a thread, as simple as can be: a busier server would make the guard's share look smaller.
#include <iostream>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

#include <sluice/http/beast.hpp>

#include "http/guard.hpp"

namespace {

namespace http = boost::beast::http;
using boost::asio::ip::tcp;
using Request = http::request<http::string_body>;
using Response = http::response<http::string_body>;
using Limiter = std::optional<sluice::http::BeastGuard<>>;

void serve(tcp::socket socket, const Limiter& limiter) {
    boost::beast::flat_buffer buffer;
    boost::system::error_code error;
    socket.set_option(tcp::no_delay{true}, error);
    const std::string peer = socket.remote_endpoint(error).address().to_string();
    while (!error) {
        Request request;
        http::read(socket, buffer, request, error);
        if (error) return;
        Response response{http::status::ok, request.version()};
        std::optional<sluice::http::Answer> answer;
        if (limiter) answer = limiter->check(request, peer);
        if (answer && !answer->allowed) {
            response = limiter->denial<Response>(*answer, request);
        } else {
            response.set(http::field::content_type, "application/json");
            response.body() = benchmark_answer;
            response.prepare_payload();
            if (answer) limiter->finish(*answer, response);
        }
        http::write(socket, response, error);
    }
}

}  // namespace

int main(int argc, char* argv[]) {
    sluice::metrics::Registry registry;
    Limiter limiter;
    if (auto guard = benchmark_guard(argc, argv, registry)) limiter.emplace(std::move(*guard));
    boost::asio::io_context context;
    tcp::acceptor acceptor{context, {boost::asio::ip::make_address("127.0.0.1"), 0}};
    std::cout << "Listening on http://127.0.0.1:" << acceptor.local_endpoint().port() << std::endl;
    for (;;)
        std::thread{[socket = acceptor.accept(), &limiter]() mutable { serve(std::move(socket), limiter); }}.detach();
}
