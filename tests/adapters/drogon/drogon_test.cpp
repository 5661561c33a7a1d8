// SPDX-License-Identifier: MIT
#include "support/catch.hpp"

#include <atomic>
#include <chrono>
#include <future>
#include <optional>
#include <string>
#include <thread>

#include <drogon/drogon.h>

#include <sluice/http/drogon.hpp>
#include <sluice/http/json/rules.hpp>
#include <sluice/sluice.hpp>

#include "support/raw_client.hpp"

using namespace sluice::http;
using drogon::HttpRequestPtr;
using drogon::HttpResponse;

namespace {

struct ByToken {
    Caller operator()(const HttpRequestPtr& request) const { return {.user = request->getHeader("X-Token")}; }
};

std::string policy(const std::string& capacity) {
    return R"("policy":{"kind":"token_bucket","capacity":)" + capacity + R"(,"refill":"1/h"})";
}
std::string rule(const std::string& name, const std::string& capacity, const std::string& more = {}) {
    return R"({"name":")" + name + R"(","routes":["/)" + name + R"("],"limits":[{"name":")" + name + "\"," +
           policy(capacity) + more + "}]}";
}

/// Drogon has one application in a program, which runs once: one server for all tests.
struct Server {
    Server() {
        const std::string rules =
            R"({"rules":[)" + rule("two", "2") + "," + rule("user", "1", R"(,"key":["user"])") + "," +
            rule("case", "1") + "," + rule("login", "1", R"(,"count":"failures")") + "," + rule("upload", "1") + "," +
            R"({"name":"paced","routes":["/paced"],"limits":[{"name":"paced","policy":{"kind":"leaky_bucket","queue":4,"drain":"5/s"}}]},)" +
            R"({"name":"query","routes":["/query"],"limits":[{"name":"query","key":[{"query":"q"}],)" + policy("1") +
            R"(}]},{"name":"free","routes":["/free"]}],"default":{"name":"default","limits":[{"name":"default",)" +
            policy("5") + "}]}}";
        auto& app = drogon::app();
        install_in_drogon<HttpResponse>(
            app, Guard{parse_rules(rules, "rules", MemoryLimiters{}), {.headers = {HeaderStyle::both}}}, ByToken{});
        for (const char* path : {"/two", "/user", "/case", "/login", "/upload", "/paced", "/query", "/free"}) {
            app.registerHandler(
                path,
                [this](const HttpRequestPtr& request, std::function<void(const drogon::HttpResponsePtr&)>&& send) {
                    ++handled;
                    auto response = HttpResponse::newHttpResponse();
                    const bool is_failure = request->path() == "/login" && request->query().empty();
                    response->setStatusCode(is_failure ? drogon::k401Unauthorized : drogon::k200OK);
                    response->addHeader("X-RateLimit-Limit", "1000000");
                    send(response);
                },
                {drogon::Get, drogon::Post});
        }
        std::promise<void> running;
        app.registerBeginningAdvice([&] { running.set_value(); });
        app.setLogLevel(trantor::Logger::kFatal);
        app.addListener("127.0.0.1", 0).setThreadNum(2).disableSigtermHandling();
        thread = std::thread{[&app] { app.run(); }};
        running.get_future().wait();
        port = app.getListeners().at(0).toPort();
    }
    ~Server() {
        drogon::app().getLoop()->queueInLoop([] { drogon::app().quit(); });
        thread.join();
    }

    static Server& get() {
        static Server server;
        return server;
    }

    std::atomic<int> handled{0};
    std::thread thread;
    int port = 0;
};

int status(const std::optional<RawResponse>& response) { return response ? response->status : -1; }

}  // namespace

TEST_CASE("drogon: answers tell the limit, denials keep the connection alive", "[drogon]") {
    RawClient client{Server::get().port};
    const auto first = client.ask(raw_request("GET", "/two?x=1"));
    REQUIRE(status(first) == 200);
    CHECK(first->header("RateLimit") == "\"two\";r=1;t=3600");
    CHECK(first->header("X-RateLimit-Limit") == "2");  // not the handler's
    CHECK(status(client.ask(raw_request("GET", "/two"))) == 200);
    const int handled = Server::get().handled;
    for (int i = 0; i < 3; ++i) {
        const auto denied = client.ask(raw_request("GET", "/two"));
        REQUIRE(status(denied) == 429);
        CHECK(denied->header("Retry-After") == "3600");
        CHECK(denied->header("Content-Type") == "application/problem+json");
        CHECK(denied->body.find("\"violated-policies\":[\"two\"]") != std::string::npos);
    }
    CHECK(Server::get().handled == handled);
    CHECK(status(client.ask(raw_request("GET", "/free"))) == 200);
}

TEST_CASE("drogon: no spelling of a path leads past its rule", "[drogon]") {
    RawClient client{Server::get().port};
    CHECK(status(client.ask(raw_request("GET", "/case"))) == 200);
    for (const char* path : {"/case", "/CASE", "/c%61se", "/Case?x"})
        CHECK(status(client.ask(raw_request("GET", path))) == 429);
}

TEST_CASE("drogon: keys are made of whom the program knows, and of the query", "[drogon]") {
    RawClient client{Server::get().port};
    const auto as = [&](const char* name) {
        return status(client.ask(raw_request("GET", "/user", "X-Token: " + std::string{name} + "\r\n")));
    };
    CHECK(as("ann") == 200);
    CHECK(as("ann") == 429);
    CHECK(as("bob") == 200);
    CHECK(status(client.ask(raw_request("GET", "/query?q=a%20b"))) == 200);
    CHECK(status(client.ask(raw_request("GET", "/query?q=a+b"))) == 429);
    CHECK(status(client.ask(raw_request("GET", "/query?q=c"))) == 200);
}

TEST_CASE("drogon: only failed logins count", "[drogon]") {
    RawClient client{Server::get().port};
    for (int i = 0; i < 3; ++i) CHECK(status(client.ask(raw_request("GET", "/login?good"))) == 200);
    CHECK(status(client.ask(raw_request("GET", "/login"))) == 401);
    CHECK(status(client.ask(raw_request("GET", "/login?good"))) == 429);
}

TEST_CASE("drogon: unknown paths are limited, and carry nobody else's numbers", "[drogon]") {
    RawClient client{Server::get().port};
    for (int left = 4; left >= 0; --left) {
        const auto missing = client.ask(raw_request("GET", "/no/" + std::to_string(left)));
        REQUIRE(status(missing) == 404);
        CHECK(missing->header("X-RateLimit-Remaining") == std::to_string(left));
    }
    CHECK(status(client.ask(raw_request("GET", "/no/5"))) == 429);
}

TEST_CASE("drogon: the body of a denied request never becomes a request", "[drogon]") {
    RawClient client{Server::get().port};
    CHECK(status(client.ask(raw_request("GET", "/upload"))) == 200);
    const int handled = Server::get().handled;
    const std::string hidden = "GET /free HTTP/1.1\r\nHost: localhost\r\n\r\n";
    CHECK(status(client.ask(raw_request("POST", "/upload", {}, hidden))) == 429);
    CHECK(status(client.ask(raw_request("GET", "/upload"))) == 429);
    CHECK(Server::get().handled == handled);
}

TEST_CASE("drogon: a paced request waits without a thread", "[drogon]") {
    RawClient client{Server::get().port};
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < 3; ++i) CHECK(status(client.ask(raw_request("GET", "/paced"))) == 200);
    CHECK(std::chrono::steady_clock::now() - start >= std::chrono::milliseconds{390});
}
