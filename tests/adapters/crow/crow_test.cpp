// SPDX-License-Identifier: MIT
#include "support/catch.hpp"

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <stdexcept>
#include <string>

#include <crow.h>

#include <sluice/http/crow.hpp>
#include <sluice/sluice.hpp>

#include "support/raw_client.hpp"

using namespace sluice::http;
using sluice::RateLimiter;
using sluice::TokenBucket;
using Limiter = CrowGuard<>;
using LocalLimiter = CrowGuard<crow::ILocalMiddleware>;

namespace {

Rule limited(const std::string& name, const std::string& route, int capacity) {
    Rule rule{.name = name, .routes = {RoutePattern{route}}};
    rule.tiers = {{.limits = {{RateLimiter{TokenBucket{capacity, sluice::per_hour(1)}, {.name = name}}}}}};
    return rule;
}

GuardOptions all_headers() { return {.headers = {HeaderStyle::both, 0}}; }
const GuardOptions behind_proxy{.client_address = ClientAddress{{.trusted_proxies = {Network{"127.0.0.1"}}}}};

/// A server on a port of its own.
class LoopbackServer {
public:
    explicit LoopbackServer(GuardOptions options = all_headers())
        : app_{Limiter{Guard{rules(), std::move(options)}},
               LocalLimiter{Guard{RuleSet{{limited("local", "/local", 1)}}, all_headers()}}} {
        app_.loglevel(crow::LogLevel::Critical);
        for (const char* path : {"/two", "/one", "/free"}) {
            app_.route_dynamic(path).methods("GET"_method, "POST"_method)([this](const crow::request& request) {
                ++handled;
                return "body of " + std::to_string(request.body.size());
            });
        }
        CROW_ROUTE(app_, "/smuggled")([this] { return ++smuggled, "x"; });
        CROW_ROUTE(app_, "/login")
        ([](const crow::request& request) { return crow::response{request.url_params.get("good") ? 200 : 401}; });
        CROW_ROUTE(app_, "/throw")([]() -> std::string { throw std::runtime_error{"oops"}; });
        CROW_ROUTE(app_, "/own")
        ([] {
            crow::response response{"own"};
            response.set_header("X-RateLimit-Limit", "1000000");
            response.add_header("RateLimit", "\"x\";r=1");
            return response;
        });
        CROW_ROUTE(app_, "/paced")
        ([this](const crow::request& request) {
            return app_.get_context<Limiter>(request).verdict().delay() > std::chrono::seconds{0} ? "later" : "now";
        });
        CROW_ROUTE(app_, "/local").CROW_MIDDLEWARES(app_, LocalLimiter)([] { return "local"; });
        CROW_WEBSOCKET_ROUTE(app_, "/socket")
            .onaccept([this](const crow::request& request, std::optional<crow::response>& response, void**) {
                app_.get_context<Limiter>(request).refuse(response);
            })
            .onopen([this](crow::websocket::connection&) { ++opened; })
            .onmessage([](crow::websocket::connection&, const std::string&, bool) {});
        running_ = app_.bindaddr("127.0.0.1").port(0).concurrency(2).signal_clear().run_async();
        app_.wait_for_server_start();
        port = app_.port();
    }
    ~LoopbackServer() {
        app_.stop();
        running_.wait();
    }

    int port = 0;
    std::atomic<int> handled{0}, smuggled{0}, opened{0};

private:
    static RuleSet rules() {
        Rule login = limited("login", "/login", 1);
        login.tiers[0].limits[0].counted = Counted::failures;
        Rule elsewhere{.name = "local", .routes = {RoutePattern{"/local"}}};
        Rule paced{.name = "paced", .routes = {RoutePattern{"/paced"}}};
        const RateLimiter queue{sluice::LeakyBucket{4, sluice::per_second(5)}, {.name = "paced"}};
        paced.tiers = {{.limits = {{queue}}}};
        return RuleSet{{paced, login, limited("own", "/own", 9), limited("two", "/two", 2), limited("one", "/one", 1),
                        limited("throw", "/throw", 2), limited("socket", "/socket", 1), elsewhere},
                       limited("default", "/", 10)};
    }

    crow::App<Limiter, LocalLimiter> app_;
    std::future<void> running_;
};

int status(const std::optional<RawResponse>& response) { return response ? response->status : -1; }

std::string upgrade(const std::string& path) {
    return raw_request("GET", path,
                       "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                       "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n");
}

}  // namespace

TEST_CASE("crow: answers tell the limit, denials keep the connection alive", "[crow]") {
    LoopbackServer server;
    RawClient client{server.port};
    const auto first = client.ask(raw_request("GET", "/two"));
    REQUIRE(status(first) == 200);
    CHECK(first->header("RateLimit-Policy") == "\"two\";q=2;w=7200");
    CHECK(first->header("RateLimit") == "\"two\";r=1;t=3600");
    CHECK(first->header("X-RateLimit-Remaining") == "1");
    CHECK(status(client.ask(raw_request("GET", "/two"))) == 200);
    for (int i = 0; i < 3; ++i) {
        const auto denied = client.ask(raw_request("GET", "/two"));
        REQUIRE(status(denied) == 429);
        CHECK(denied->header("Retry-After") != "");
        CHECK(denied->header("Content-Type") == "application/problem+json");
        CHECK(denied->body.find("\"violated-policies\":[\"two\"]") != std::string::npos);
    }
    CHECK(status(client.ask(raw_request("GET", "/free"))) == 200);
    CHECK(server.handled == 3);
}

TEST_CASE("crow: pipelined requests are charged one by one", "[crow]") {
    LoopbackServer server;
    RawClient client{server.port};
    std::string all;
    for (int i = 0; i < 5; ++i) all += raw_request("GET", "/two");
    client.send(all);
    int answers = 0;
    for (; answers < 5; ++answers) {
        const auto answer = client.read();
        if (!answer) break;
        CHECK(answer->status == (answers < 2 ? 200 : 429));
    }
    CHECK(answers >= 1);
    CHECK(server.handled <= 2);
}

TEST_CASE("crow: the body of a denied request never becomes a request", "[crow]") {
    const std::string hidden = "GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for (const char* method : {"POST", "PUT", "DELETE", "GET"}) {
        INFO(method);
        LoopbackServer server;
        CHECK(status(RawClient{server.port}.ask(raw_request("GET", "/one"))) == 200);
        const auto request = raw_request(method, "/one", {}, hidden);
        for (const std::size_t first : {request.size(), request.find("\r\n\r\n") + 4}) {
            RawClient client{server.port};
            client.send(request.substr(0, first));
            client.send(request.substr(first));
            CHECK(status(client.read()) == 429);
            CHECK(status(client.ask(raw_request("GET", "/free"))) == 200);
        }
        CHECK(server.smuggled == 0);
    }
}

TEST_CASE("crow: HEAD is charged; what Crow answers itself has no stale headers", "[crow]") {
    LoopbackServer server;
    const auto ask = [&](const char* method) {
        const auto answer = RawClient{server.port}.ask(raw_request(method, "/two"));
        REQUIRE(answer);
        return *answer;
    };
    CHECK(ask("HEAD").status == 200);
    RawClient client{server.port};
    CHECK(status(client.ask(raw_request("GET", "/two"))) == 200);
    const auto options = client.ask(raw_request("OPTIONS", "/two"));
    REQUIRE(options);
    CHECK(options->status < 300);
    CHECK(options->header("RateLimit") == "");
    CHECK(ask("HEAD").status == 429);
    CHECK(ask("GET").status == 429);
}

TEST_CASE("crow: a flood of unknown paths is limited", "[crow]") {
    LoopbackServer server;
    RawClient client{server.port};
    int missing = 0;
    int denied = 0;
    for (int i = 0; i < 50; ++i) {
        const int got = status(client.ask(raw_request("GET", "/no/" + std::to_string(i))));
        missing += got == 404 ? 1 : 0;
        denied += got == 429 ? 1 : 0;
    }
    CHECK(missing == 10);
    CHECK(denied == 40);
}

TEST_CASE("crow: a handler's exception leaves the limit and the server whole", "[crow]") {
    LoopbackServer server;
    for (int i = 0; i < 4; ++i) {
        CHECK(status(RawClient{server.port}.ask(raw_request("GET", "/throw"))) == (i < 2 ? 500 : 429));
    }
    CHECK(status(RawClient{server.port}.ask(raw_request("GET", "/free"))) == 200);
}

TEST_CASE("crow: a local middleware guards only its routes", "[crow]") {
    LoopbackServer server;
    RawClient client{server.port};
    const auto first = client.ask(raw_request("GET", "/local"));
    REQUIRE(status(first) == 200);
    CHECK(first->header("RateLimit-Policy").find("\"local\";q=1") != std::string::npos);
    const auto denied = client.ask(raw_request("GET", "/local"));
    REQUIRE(status(denied) == 429);
    CHECK(denied->body.find("\"violated-policies\":[\"local\"]") != std::string::npos);
}

TEST_CASE("crow: a websocket's upgrade is limited", "[crow]") {
    LoopbackServer server;
    CHECK(status(RawClient{server.port}.ask(upgrade("/socket"))) == 101);
    RawClient client{server.port};
    const auto refused = client.ask(upgrade("/socket"));
    REQUIRE(status(refused) == 429);
    CHECK(refused->header("Retry-After") != "");
    CHECK(server.opened == 1);
}

TEST_CASE("crow: only a trusted proxy names another client", "[crow]") {
    const std::string from = "X-Forwarded-For: ";
    const auto ask = [&](RawClient& client, const std::string& headers) {
        return status(client.ask(raw_request("GET", "/one", headers + "\r\n")));
    };
    SECTION("not trusted") {
        LoopbackServer server;
        RawClient client{server.port};
        CHECK(ask(client, from + "203.0.113.1") == 200);
        CHECK(ask(client, from + "203.0.113.2") == 429);
    }
    SECTION("trusted") {
        LoopbackServer server{behind_proxy};
        RawClient client{server.port};
        CHECK(ask(client, from + "203.0.113.1") == 200);
        CHECK(ask(client, from + "203.0.113.2") == 200);
        CHECK(ask(client, from + "9.9.9.9, 203.0.113.1") == 429);
        // Two lines have no order in Crow: the peer is charged, whatever the client invents.
        CHECK(ask(client, from + "9.9.9.8\r\n" + from + "9.9.9.9") == 200);
        CHECK(ask(client, from + "9.9.9.6\r\n" + from + "9.9.9.7") == 429);
    }
}

TEST_CASE("crow: a handler's own fields do not double the guard's", "[crow]") {
    LoopbackServer server;
    const auto answer = RawClient{server.port}.ask(raw_request("GET", "/own"));
    REQUIRE(status(answer) == 200);
    CHECK(answer->header("X-RateLimit-Limit") == "9");
    CHECK(answer->header("RateLimit") == "\"own\";r=8;t=3600");
    for (const char* name : {"\nX-RateLimit-Limit: ", "\nRateLimit: "}) {
        CHECK(answer->head.find(name) == answer->head.rfind(name));
    }
}

TEST_CASE("crow: a paced request's delay reaches the handler, or is slept if the guard is told to", "[crow]") {
    SECTION("told") {
        LoopbackServer server;
        RawClient client{server.port};
        CHECK(client.ask(raw_request("GET", "/paced"))->body == "now");
        CHECK(client.ask(raw_request("GET", "/paced"))->body == "later");
    }
    SECTION("held") {
        LoopbackServer server{{.max_hold = std::chrono::seconds{1}}};
        RawClient client{server.port};
        const auto start = std::chrono::steady_clock::now();
        for (int i = 0; i < 3; ++i) CHECK(status(client.ask(raw_request("GET", "/paced"))) == 200);
        CHECK(std::chrono::steady_clock::now() - start >= std::chrono::milliseconds{400});
    }
}

TEST_CASE("crow: an encoded '?' or '#' leads to no other rule", "[crow]") {
    LoopbackServer server;
    CHECK(status(RawClient{server.port}.ask(raw_request("GET", "/one?x=1"))) == 200);
    CHECK(status(RawClient{server.port}.ask(raw_request("GET", "/one?x=2"))) == 429);
    for (const char* path : {"/one%3Fx", "/one%23x", "/%3Fone"}) {
        INFO(path);
        const auto answer = RawClient{server.port}.ask(raw_request("GET", path));
        REQUIRE(status(answer) == 404);
        CHECK(answer->header("X-RateLimit-Limit") == "10");
    }
}

TEST_CASE("crow: the denial of a large upload reaches a client that writes it all before it reads", "[crow]") {
    LoopbackServer server;
    CHECK(status(RawClient{server.port}.ask(raw_request("GET", "/one"))) == 200);
    for (const std::size_t size : {2'000'000, 30'000'000}) {
        RawClient client{server.port};
        CHECK(status(client.ask(raw_request("POST", "/one", {}, std::string(size, 'x')))) == 429);
        CHECK(status(client.ask(raw_request("GET", "/free"))) == 200);
    }
}

TEST_CASE("crow: only failed logins count", "[crow]") {
    LoopbackServer server;
    RawClient client{server.port};
    for (int i = 0; i < 3; ++i) CHECK(status(client.ask(raw_request("GET", "/login?good=1"))) == 200);
    CHECK(status(client.ask(raw_request("GET", "/login"))) == 401);
    CHECK(status(client.ask(raw_request("GET", "/login?good=1"))) == 429);
}
