// SPDX-License-Identifier: MIT
#include "support/catch.hpp"

#include <atomic>
#include <exception>
#include <memory>
#include <optional>
#include <semaphore>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
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

/// A store elsewhere that is slow: it answers when it is told to.
struct HeldStore {
    struct Gate {
        std::binary_semaphore asked{0}, may_answer{0};
    };
    std::shared_ptr<Gate> gate = std::make_shared<Gate>();

    sluice::Decision decide(const sluice::Request<sluice::TokenBucket>&) const noexcept {
        gate->asked.release();
        gate->may_answer.acquire();
        return {.allowed = true, .limit = 1};
    }
};

/// Serves a connection on an io_context's thread, which never waits for a store: as BeastGuard's comment has it.
boost::asio::awaitable<void> serve_from_pool(tcp::socket socket, const BeastGuard<>& limiter,
                                             boost::asio::thread_pool& pool) {
    beast::flat_buffer buffer;
    for (;;) {
        Request request;
        co_await beast::http::async_read(socket, buffer, request, boost::asio::use_awaitable);
        const auto ask = [&]() -> boost::asio::awaitable<Answer> { co_return limiter.check(request, "192.0.2.1"); };
        std::optional<Answer> answer;
        if (limiter.may_wait(request, "192.0.2.1")) {
            answer = co_await boost::asio::co_spawn(pool, ask, boost::asio::use_awaitable);
        } else {
            answer = limiter.check(request, "192.0.2.1");
        }
        Response response{answer->allowed ? beast::http::status::ok : beast::http::status::too_many_requests, 11};
        response.prepare_payload();
        limiter.finish(*answer, response);
        co_await beast::http::async_write(socket, response, boost::asio::use_awaitable);
    }
}

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

TEST_CASE("beast: a store that does not answer holds no request that does not need it", "[beast]") {
    const HeldStore store;
    Rule slow{.name = "slow", .routes = {RoutePattern{"/slow"}}},
        health{.name = "health", .routes = {RoutePattern{"/health"}}};
    slow.tiers = {
        {.limits = {{sluice::RateLimiter{sluice::TokenBucket{1, sluice::per_hour(1)}, store, {.name = "slow"}}}}}};
    health.tiers = {
        {.limits = {{sluice::RateLimiter{sluice::TokenBucket{2, sluice::per_hour(1)}, {.name = "health"}}}}}};
    const BeastGuard<> limiter{Guard{RuleSet{{slow, health}}}};

    boost::asio::io_context context;
    boost::asio::thread_pool pool{1};
    tcp::acceptor acceptor{context, {boost::asio::ip::make_address("127.0.0.1"), 0}};
    RawClient waits{acceptor.local_endpoint().port()}, other{acceptor.local_endpoint().port()};
    for (int i = 0; i < 2; ++i) {
        boost::asio::co_spawn(context, serve_from_pool(acceptor.accept(), limiter, pool),
                              [](const std::exception_ptr&) {});
    }
    std::thread server{[&] { context.run(); }};  // one thread for all
    waits.send(raw_request("GET", "/slow"));
    store.gate->asked.acquire();
    for (const int expected : {200, 200, 429}) CHECK(status(other.ask(raw_request("GET", "/health"))) == expected);
    store.gate->may_answer.release();
    CHECK(status(waits.read()) == 200);
    context.stop();
    server.join();
    pool.join();
}
