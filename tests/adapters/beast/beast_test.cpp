// SPDX-License-Identifier: MIT
#include "support/catch.hpp"

#include <atomic>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

#include <sluice/http/beast.hpp>
#include <sluice/http/json/rules.hpp>
#include <sluice/sluice.hpp>

#include "support/raw_client.hpp"

namespace beast = boost::beast;
using boost::asio::ip::tcp;
using namespace sluice::http;

namespace {

using Request = beast::http::request<beast::http::string_body>;
using Response = beast::http::response<beast::http::string_body>;

struct ByToken {
    Caller operator()(const Request& request) const {
        const auto token = request["X-Token"];
        if (token == "throw") throw std::runtime_error{"?"};
        return {.user = std::string{token.data(), token.size()}};
    }
};

constexpr const char* rules = R"({"rules":[
    {"name":"login","routes":["/login"],"limits":[{"name":"login","count":"failures",
        "policy":{"kind":"token_bucket","capacity":1,"refill":"1/h"}}]},
    {"name":"two","routes":["/two"],"limits":[{"name":"two","policy":{"kind":"token_bucket","capacity":2,"refill":"1/h"}}]},
    {"name":"tenant","routes":["/tenants/{id}"],"limits":[{"name":"tenant","key":[{"path":"id"},{"query":"q"}],
        "policy":{"kind":"token_bucket","capacity":1,"refill":"1/h"}}]},
    {"name":"user","routes":["/user"],"limits":[{"name":"user","key":["user"],
        "policy":{"kind":"token_bucket","capacity":1,"refill":"1/h"}}]}]})";

/// A server on a port of its own that serves one connection at a time, on one thread.
class LoopbackServer {
public:
    explicit LoopbackServer(GuardOptions options = {.headers = {HeaderStyle::both}})
        : limiter_(Guard{parse_rules(rules, "rules", MemoryLimiters{}), std::move(options)}),
          acceptor_(context_, {boost::asio::ip::make_address("127.0.0.1"), 0}), port(acceptor_.local_endpoint().port()),
          thread_([this] { run(); }) {}
    ~LoopbackServer() {
        stop_ = true;
        tcp::socket last{context_};
        boost::system::error_code ignored;
        last.connect(acceptor_.local_endpoint(), ignored);
        last.close(ignored);
        thread_.join();
    }

private:
    void run() {
        while (!stop_) {
            tcp::socket socket{context_};
            acceptor_.accept(socket);
            serve(socket);
        }
    }
    void serve(tcp::socket& socket) {
        beast::flat_buffer buffer;
        boost::system::error_code error;
        const std::string peer = socket.remote_endpoint(error).address().to_string();
        while (!error) {
            Request request;
            beast::http::read(socket, buffer, request, error);
            if (error) return;
            const Answer answer = limiter_.check(request, peer);
            Response response{beast::http::status::ok, request.version()};
            if (answer.allowed) {
                ++handled;
                if (request.target() == "/login") response.result(beast::http::status::unauthorized);
                response.keep_alive(request.keep_alive());
                response.set("RateLimit", "\"mine\";r=1");
                response.body() = "body of " + std::to_string(request.body().size());
                response.prepare_payload();
                limiter_.finish(answer, response);
            } else {
                response = limiter_.denial<Response>(answer, request);
            }
            beast::http::write(socket, response, error);
            if (!response.keep_alive()) return;
        }
    }

    BeastGuard<ByToken> limiter_;
    boost::asio::io_context context_;
    tcp::acceptor acceptor_;

public:
    int port;
    std::atomic<int> handled{0};

private:
    std::atomic<bool> stop_{false};
    std::thread thread_;
};

int status(const std::optional<RawResponse>& response) { return response ? response->status : -1; }

}  // namespace

TEST_CASE("beast: answers tell the limit, denials keep the connection alive", "[beast]") {
    LoopbackServer server;
    RawClient client{server.port};
    const auto first = client.ask(raw_request("GET", "/two?x=%2F"));
    REQUIRE(status(first) == 200);
    CHECK(first->header("RateLimit") == "\"two\";r=1;t=3600");  // not the handler's
    CHECK(first->header("X-RateLimit-Remaining") == "1");
    CHECK(status(client.ask(raw_request("POST", "/two", {}, "hello"))) == 200);
    for (int i = 0; i < 3; ++i) {
        const auto denied = client.ask(raw_request("GET", "/two"));
        REQUIRE(status(denied) == 429);
        CHECK(denied->header("Retry-After") == "3600");
        CHECK(denied->header("Content-Type") == "application/problem+json");
        CHECK(denied->body.find("\"violated-policies\":[\"two\"]") != std::string::npos);
    }
    CHECK(status(client.ask(raw_request("GET", "/free"))) == 200);
    CHECK(server.handled == 3);
}

TEST_CASE("beast: the body of a denied request never becomes a request", "[beast]") {
    LoopbackServer server;
    RawClient client{server.port};
    for (int i = 0; i < 2; ++i) CHECK(status(client.ask(raw_request("GET", "/two"))) == 200);
    const std::string hidden = "GET /free HTTP/1.1\r\nHost: localhost\r\n\r\n";
    CHECK(status(client.ask(raw_request("POST", "/two", {}, hidden))) == 429);
    CHECK(status(client.ask(raw_request("GET", "/two"))) == 429);
    CHECK(server.handled == 2);
}

TEST_CASE("beast: a denied HEAD has no body", "[beast]") {
    LoopbackServer server;
    RawClient client{server.port};
    for (int i = 0; i < 2; ++i) CHECK(status(client.ask(raw_request("GET", "/two"))) == 200);
    const auto denied = client.ask(raw_request("HEAD", "/two"));
    REQUIRE(status(denied) == 429);
    CHECK(denied->header("Content-Length") != "");
    CHECK(status(client.ask(raw_request("GET", "/free"))) == 200);  // what follows the header is the next answer
}

TEST_CASE("beast: keys are made of the raw path and query, and of whom the program knows", "[beast]") {
    LoopbackServer server;
    RawClient client{server.port};
    CHECK(status(client.ask(raw_request("GET", "/tenants/a?q=1"))) == 200);
    CHECK(status(client.ask(raw_request("GET", "/tenants/%61?q=1"))) == 429);
    CHECK(status(client.ask(raw_request("GET", "/tenants/b?q=1"))) == 200);
    CHECK(status(client.ask(raw_request("GET", "/tenants/b?q=2"))) == 200);
    CHECK(status(client.ask(raw_request("GET", "/user", "X-Token: ann\r\n"))) == 200);
    CHECK(status(client.ask(raw_request("GET", "/user", "X-Token: ann\r\n"))) == 429);
    CHECK(status(client.ask(raw_request("GET", "/user", "X-Token: throw\r\n"))) == 200);
    CHECK(status(client.ask(raw_request("GET", "/user"))) == 429);  // both are nobody: by address
}

TEST_CASE("beast: lines of a trusted proxy are read in their order", "[beast]") {
    LoopbackServer server{{.client_address = ClientAddress{{.trusted_proxies = {Network{"127.0.0.1"}}}}}};
    RawClient client{server.port};
    const auto ask = [&](const std::string& headers) {
        return status(client.ask(raw_request("GET", "/two", headers)));
    };
    const std::string name = "X-Forwarded-For: ";
    CHECK(ask(name + "9.9.9.9\r\n" + name + "203.0.113.1\r\n") == 200);
    CHECK(ask(name + "9.9.9.8\r\n" + name + "203.0.113.1\r\n") == 200);
    CHECK(ask(name + "9.9.9.7\r\n" + name + "203.0.113.1\r\n") == 429);
    CHECK(ask(name + "203.0.113.1\r\n" + name + "203.0.113.2\r\n") == 200);
}

TEST_CASE("beast: only failed logins count", "[beast]") {
    LoopbackServer server;
    RawClient client{server.port};
    for (int i = 0; i < 3; ++i) CHECK(status(client.ask(raw_request("GET", "/login?good"))) == 200);
    CHECK(status(client.ask(raw_request("GET", "/login"))) == 401);
    CHECK(status(client.ask(raw_request("GET", "/login?good"))) == 429);
}
