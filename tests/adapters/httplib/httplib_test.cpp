// SPDX-License-Identifier: MIT
#include "support/catch.hpp"

#include <atomic>
#include <stdexcept>
#include <string>
#include <thread>

#include <httplib.h>

#include <sluice/http/httplib.hpp>
#include <sluice/sluice.hpp>

#include "support/raw_client.hpp"

using namespace sluice::http;
using sluice::RateLimiter;
using sluice::TokenBucket;
using GuardHandler = HttplibGuard<httplib::Server>;

// See there. Other standard libraries have other sizes.
#ifdef __GLIBCXX__
static_assert(sizeof(detail::HttplibRecord) <= 1032);
#endif

namespace {

Rule limited(const std::string& name, const std::string& route, int capacity) {
    Rule rule{.name = name, .routes = {RoutePattern{route}}};
    rule.tiers = {{.limits = {{RateLimiter{TokenBucket{capacity, sluice::per_hour(1)}, {.name = name}}}}}};
    return rule;
}

GuardOptions all_headers() { return {.headers = {HeaderStyle::both, 0}}; }
const GuardOptions behind_proxy{.client_address = ClientAddress{{.trusted_proxies = {Network{"127.0.0.1"}}}}};

/// A server on a port of its own. /two allows two requests and /one one, /route is guarded in its handler, every
/// other path shares ten.
class LoopbackServer {
public:
    explicit LoopbackServer(GuardOptions options = all_headers())
        : guard_(RuleSet{{limited("two", "/two", 2), limited("one", "/one", 1), limited("throw", "/throw", 2)},
                         limited("default", "/", 10)},
                 std::move(options)) {
        const auto ok = [this](const httplib::Request& request, httplib::Response& response) {
            ++handled;
            response.set_content("body of " + std::to_string(request.body.size()), "text/plain");
        };
        for (const char* path : {"/two", "/one", "/free"}) {
            server_.Get(path, ok).Post(path, ok).Put(path, ok).Patch(path, ok).Delete(path, ok).Options(path, ok);
        }
        server_.Get("/smuggled", [this](const httplib::Request&, httplib::Response&) { ++smuggled; });
        server_.Get("/throw", [](const httplib::Request&, httplib::Response&) { throw std::runtime_error{"oops"}; });
        server_.set_pre_routing_handler(GuardHandler{guard_});
        server_.set_keep_alive_max_count(1000);
        server_.set_keep_alive_timeout(1);
        port = server_.bind_to_any_port("127.0.0.1");
        thread_ = std::thread{[this] { server_.listen_after_bind(); }};
        while (!server_.is_running()) std::this_thread::yield();
    }
    ~LoopbackServer() {
        server_.stop();
        thread_.join();
    }

    int port = 0;
    std::atomic<int> handled{0}, smuggled{0};

private:
    Guard guard_;
    httplib::Server server_;
    std::thread thread_;
};

int status(const std::optional<RawResponse>& response) { return response ? response->status : -1; }

}  // namespace

TEST_CASE("httplib: answers tell the limit, denials keep the connection alive", "[httplib]") {
    LoopbackServer server;
    RawClient client{server.port};
    const auto first = client.ask(raw_request("GET", "/two"));
    REQUIRE(status(first) == 200);
    CHECK(first->header("RateLimit-Policy") == "\"two\";q=2;w=7200");
    CHECK(first->header("RateLimit") == "\"two\";r=1;t=3600");
    CHECK(first->header("X-RateLimit-Limit") == "2");
    CHECK(first->header("X-RateLimit-Remaining") == "1");
    CHECK(first->header("Retry-After") == "");
    CHECK(status(client.ask(raw_request("GET", "/two"))) == 200);
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

TEST_CASE("httplib: pipelined requests are charged one by one", "[httplib]") {
    LoopbackServer server;
    RawClient client{server.port};
    std::string all;
    for (int i = 0; i < 5; ++i) all += raw_request("GET", "/two");
    client.send(all);
    // Older versions drop what has arrived behind a request; what is answered has been charged.
    int answers = 0;
    while (const auto answer = client.read()) CHECK(answer->status == (answers++ < 2 ? 200 : 429));
    CHECK(answers >= 1);
    CHECK(server.handled == std::min(answers, 2));
}

TEST_CASE("httplib: the body of a denied request never becomes a request", "[httplib]") {
    const std::string hidden = "GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for (const char* method : {"POST", "PUT", "PATCH", "DELETE", "GET", "OPTIONS", "HEAD"}) {
        INFO(method);
        LoopbackServer server;
        const bool is_head = std::string{method} == "HEAD";
        CHECK(status(RawClient{server.port}.ask(raw_request("GET", "/one"))) == 200);
        const std::string chunked = raw_request(method, "/one", "Transfer-Encoding: chunked\r\n");
        char size[16];
        std::snprintf(size, sizeof size, "%zx\r\n", hidden.size());
        for (const auto& request : {raw_request(method, "/one", {}, hidden),
                                    raw_request(method, "/one", "Transfer-Encoding: chunked\r\n", hidden),
                                    raw_request(method, "/one", "Content-Length: 0\r\n", hidden),
                                    raw_request(method, "/one", "Content-Length: 00\r\n") + hidden,
                                    chunked + size + hidden + "\r\n0\r\n\r\n"}) {
            // All at once, and the body only after the answer: nothing of it may wait in the server's buffer.
            for (const std::size_t first : {request.size(), request.find("\r\n\r\n") + 4}) {
                RawClient client{server.port};
                client.send(request.substr(0, first));
                const auto denied = client.read(is_head);
                // Newer versions refuse themselves, before the guard is asked, what has two lengths.
                if (status(denied) == 400) continue;
                REQUIRE(status(denied) == 429);
                CHECK((is_head || denied->body.find("quota-exceeded") != std::string::npos));
                CHECK(denied->header("Retry-After") != "");
                client.send(request.substr(first));
                CHECK(client.is_closed());
                CHECK(server.smuggled == 0);
            }
        }
    }
}

TEST_CASE("httplib: a denied client that waits for 100-continue is answered and closed", "[httplib]") {
    LoopbackServer server;
    CHECK(status(RawClient{server.port}.ask(raw_request("GET", "/one"))) == 200);
    RawClient client{server.port};
    client.send("POST /one HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\nExpect: 100-continue\r\n\r\n");
    auto answer = client.read();
    if (status(answer) == 100) answer = client.read();
    CHECK(status(answer) == 429);
    CHECK(client.is_closed());
}

TEST_CASE("httplib: a denied POST with an empty body keeps the connection", "[httplib]") {
    LoopbackServer server;
    RawClient client{server.port};
    CHECK(status(client.ask(raw_request("POST", "/one", "Content-Length: 0\r\n"))) == 200);
    CHECK(status(client.ask(raw_request("POST", "/one", "Content-Length: 0\r\n"))) == 429);
    CHECK(status(client.ask(raw_request("GET", "/free"))) == 200);
}

TEST_CASE("httplib: a denial is sent whole, whatever range is asked for", "[httplib]") {
    LoopbackServer server;
    CHECK(status(RawClient{server.port}.ask(raw_request("GET", "/one"))) == 200);
    for (const char* range : {"bytes=0-3", "bytes=1000-2000", "bytes=0-1,4-5", "bytes=-1"}) {
        for (const char* body : {"", "x"}) {
            INFO(range << " " << body);
            RawClient client{server.port};
            const auto denied = client.ask(raw_request("POST", "/one", "Range: " + std::string{range} + "\r\n", body));
            REQUIRE(status(denied) == 429);
            CHECK(denied->body.front() == '{');
            CHECK(denied->body.back() == '}');
            CHECK(denied->header("Content-Range") == "");
        }
    }
}

TEST_CASE("httplib: HEAD and OPTIONS are charged", "[httplib]") {
    LoopbackServer server;
    RawClient client{server.port};
    CHECK(status(client.ask(raw_request("HEAD", "/two"))) == 200);
    CHECK(status(client.ask(raw_request("OPTIONS", "/two"))) == 200);
    CHECK(status(client.ask(raw_request("HEAD", "/two"))) == 429);
    CHECK(status(client.ask(raw_request("OPTIONS", "/two"))) == 429);
    CHECK(status(client.ask(raw_request("GET", "/two"))) == 429);
}

TEST_CASE("httplib: a flood of unknown paths is limited", "[httplib]") {
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

TEST_CASE("httplib: a handler's exception leaves the limit and the server whole", "[httplib]") {
    LoopbackServer server;
    for (int i = 0; i < 4; ++i) {
        CHECK(status(RawClient{server.port}.ask(raw_request("GET", "/throw"))) == (i < 2 ? 500 : 429));
    }
    CHECK(status(RawClient{server.port}.ask(raw_request("GET", "/free"))) == 200);
}

TEST_CASE("httplib: only a trusted proxy names another client", "[httplib]") {
    const std::string from = "X-Forwarded-For: ";
    const auto ask = [&](RawClient& client, const std::string& headers) {
        return status(client.ask(raw_request("GET", "/one", headers + "\r\n")));
    };
    SECTION("not trusted") {
        LoopbackServer server;
        RawClient client{server.port};
        CHECK(ask(client, from + "203.0.113.1") == 200);
        CHECK(ask(client, from + "203.0.113.2") == 429);
        CHECK(ask(client, "REMOTE_ADDR: 203.0.113.3") == 429);
    }
    SECTION("trusted") {
        LoopbackServer server{behind_proxy};
        RawClient client{server.port};
        CHECK(ask(client, from + "203.0.113.1") == 200);
        CHECK(ask(client, from + "203.0.113.2") == 200);
        CHECK(ask(client, from + "9.9.9.9, 203.0.113.1") == 429);
        CHECK(ask(client, "REMOTE_ADDR: 9.9.9.9\r\n" + from + "203.0.113.2") == 429);
        // Two lines: the last counts, or the peer where the version does not keep their order.
        static_cast<void>(ask(client, "X-Other: 1"));
        CHECK(ask(client, from + "9.9.9.8\r\n" + from + "203.0.113.1") == 429);
    }
}

TEST_CASE("httplib: one route can be guarded in its handler", "[httplib]") {
    const Guard guard{RuleSet{{limited("login", "/login", 1)}}};
    struct ByToken {
        Caller operator()(const httplib::Request& request) const {
            if (request.get_header_value("X-Token") == "bad") throw std::runtime_error{"bad token"};
            return {.user = request.get_header_value("X-Token")};
        }
    };
    const HttplibGuard<httplib::Server, ByToken> limiter{guard};
    httplib::Server server;
    server.Post("/login", limiter.route([](const httplib::Request& request, httplib::Response& response) {
        response.set_content(request.body, "text/plain");
    }));
    const int port = server.bind_to_any_port("127.0.0.1");
    std::thread thread{[&] { server.listen_after_bind(); }};
    {
        RawClient client{port};
        const auto first = client.ask(raw_request("POST", "/login", {}, "hello"));
        REQUIRE(status(first) == 200);
        CHECK(first->body == "hello");
        CHECK(first->header("X-RateLimit-Remaining") == "0");
        CHECK(status(client.ask(raw_request("POST", "/login", {}, "hello"))) == 429);
        CHECK(status(client.ask(raw_request("POST", "/login", "X-Token: bad\r\n", "hello"))) == 429);
        CHECK(status(client.ask(raw_request("GET", "/smuggled"))) == 404);
    }
    server.stop();
    thread.join();
}

TEST_CASE("httplib: many clients at once are admitted exactly as often as allowed", "[httplib]") {
    LoopbackServer server;
    std::atomic<int> allowed{0}, denied{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&] {
            RawClient client{server.port};
            for (int i = 0; i < 50; ++i) {
                const int got = status(client.ask(raw_request("GET", "/free")));
                if (got == 200) ++allowed;
                if (got == 429) ++denied;
            }
        });
    }
    for (auto& thread : threads) thread.join();
    CHECK(allowed == 10);
    CHECK(denied == 190);
}
