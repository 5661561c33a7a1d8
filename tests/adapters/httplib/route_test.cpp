// SPDX-License-Identifier: MIT
#include "support/catch.hpp"

#include <atomic>
#include <chrono>
#include <functional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include <httplib.h>

#include <sluice/http/httplib.hpp>
#include <sluice/sluice.hpp>

#include "support/raw_client.hpp"

using namespace std::chrono_literals;
using namespace sluice::http;
using httplib::Request;
using httplib::Response;
using sluice::LeakyBucket;
using sluice::RateLimiter;
using sluice::TokenBucket;
using Hooks = HttplibHooks<httplib::Server>;

namespace {

template <class P = TokenBucket>
Rule rule_of(const std::string& name, const std::string& route, P policy) {
    Rule rule{.name = name, .routes = {RoutePattern{route}}};
    rule.tiers = {{.limits = {{RateLimiter{policy, {.name = name}}}}}};
    return rule;
}

Rule rule_of(const std::string& name, const std::string& route, int capacity) {
    return rule_of(name, route, TokenBucket{capacity, sluice::per_hour(1)});
}

class RouteServer {
public:
    explicit RouteServer(const std::function<void(httplib::Server&)>& set_up) {
        server_.set_keep_alive_max_count(1000);
        server_.set_keep_alive_timeout(1);
        set_up(server_);
        port = server_.bind_to_any_port("127.0.0.1");
        thread_ = std::thread{[this] { server_.listen_after_bind(); }};
        while (!server_.is_running()) std::this_thread::yield();
    }
    ~RouteServer() {
        server_.stop();
        thread_.join();
    }

    RawResponse ask(const std::string& method, const std::string& path, const std::string& headers = {},
                    const std::string& body = {}) const {
        const auto answer = RawClient{port}.ask(raw_request(method, path, headers, body));
        return answer ? *answer : RawResponse{};
    }
    int status(const std::string& method, const std::string& path) const { return ask(method, path).status; }

    int port = 0;

private:
    httplib::Server server_;
    std::thread thread_;
};

void ok(const Request&, Response& response) { response.set_content("ok", "text/plain"); }

/// How often a header stands in an answer.
int count(const RawResponse& answer, const std::string& name) {
    int found = 0;
    for (auto at = answer.head.find("\r\n" + name + ":"); at != std::string::npos;
         at = answer.head.find("\r\n" + name + ":", at + 1)) {
        ++found;
    }
    return found;
}

}  // namespace

TEST_CASE("httplib: a rule named by the route limits every spelling that the route serves", "[httplib]") {
    const Guard guard{RuleSet{{rule_of("login", "/v1.0/login", 2)}, rule_of("rest", "/", 100)}};
    const RouteServer server{[&](httplib::Server& s) {
        const auto limiter = install(s, guard);
        s.Get("/v1.0/login", limiter.route("login", ok));
        CHECK_THROWS_AS(limiter.route("logon", ok), std::invalid_argument);
    }};
    CHECK(server.status("GET", "/v1.0/login") == 200);
    CHECK(server.status("GET", "/v1x0/login") == 200);
    for (const char* path : {"/v1.0/login", "/v1x0/login", "/v1-0/login"}) {
        INFO(path);
        const auto denied = server.ask("GET", path);
        CHECK(denied.status == 429);
        CHECK(denied.header("X-RateLimit-Limit") == "2");
        CHECK(count(denied, "X-RateLimit-Limit") == 1);
    }
}

TEST_CASE("httplib: an encoded '?' or '#' leads to no other rule", "[httplib]") {
    const Guard guard{RuleSet{{rule_of("home", "/", 100), rule_of("health", "/health", 100)}, rule_of("rest", "/", 5)}};
    const RouteServer server{[&](httplib::Server& s) {
        install(s, guard);
        s.Get(".*", ok);
    }};
    for (const char* path : {"/%3Fx", "/%23x", "/health%23/files/a", "/health%3F", "/?%3F%23"}) {
        INFO(path);
        const auto answer = server.ask("GET", path);
        CHECK(answer.status == 200);
        CHECK(answer.header("X-RateLimit-Limit") == (std::string{path} == "/?%3F%23" ? "100" : "5"));
    }
    CHECK(server.status("GET", "/other") == 200);
    CHECK(server.status("GET", "/%3Fx") == 429);
    CHECK(server.status("GET", "/health%23") == 429);
    CHECK(server.status("GET", "/?x=1") == 200);
}

TEST_CASE("httplib: guard and route charge once and write each field once", "[httplib]") {
    for (const bool is_installed : {true, false}) {
        INFO(is_installed);
        const Guard guard{RuleSet{{rule_of("one", "/one", 2), rule_of("own", "/own", 9)}},
                          {.headers = {HeaderStyle::both, 0}}};
        const RouteServer server{[&](httplib::Server& s) {
            const HttplibGuard<httplib::Server> limiter{guard};
            if (is_installed)
                install(s, guard);
            else
                s.set_pre_routing_handler(limiter);
            s.Get("/one", limiter.route(ok)).Post("/one", limiter.route("one", ok));
            const auto own = [](const Request&, Response& response) {
                response.set_header("X-RateLimit-Limit", "1000000");
                response.set_header("X-RateLimit-Remaining", "1000000");
                response.set_header("RateLimit", "\"x\";r=1");
                response.set_header("Retry-After", "7");
            };
            s.Get("/own", limiter.route(own));
        }};
        const auto first = server.ask("GET", "/one");
        CHECK(first.status == 200);
        CHECK(first.header("X-RateLimit-Remaining") == "1");
        CHECK(server.ask("POST", "/one", {}, "x").header("X-RateLimit-Remaining") == "0");
        const auto denied = server.ask("POST", "/one", {}, "x");
        CHECK(denied.status == 429);
        const auto own = server.ask("GET", "/own");
        CHECK(own.header("X-RateLimit-Limit") == "9");
        CHECK(own.header("Retry-After") == "7");
        for (const auto& answer : {first, denied, own}) {
            for (const char* name :
                 {"RateLimit", "RateLimit-Policy", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"}) {
                INFO(answer.head << name);
                CHECK(count(answer, name) == 1);
            }
            CHECK(count(answer, "Retry-After") <= 1);
        }
    }
}

TEST_CASE("httplib: a handler's own fields and responses do not double or lose the guard's", "[httplib]") {
    const RouteServer server{[&](httplib::Server& s) {
        install(s, Guard{RuleSet{{}, rule_of("rest", "/", 9)}});
        s.Get("/sets", [](const Request&, Response& response) { response.set_header("X-RateLimit-Limit", "1000000"); });
        s.Get("/replaces", [](const Request&, Response& response) {
            response = Response{};
            response.status = 200;
        });
    }};
    for (const char* path : {"/sets", "/replaces", "/missing"}) {
        INFO(path);
        const auto answer = server.ask("GET", path);
        CHECK(answer.header("X-RateLimit-Limit") == "9");
        CHECK(count(answer, "X-RateLimit-Limit") == 1);
    }
}

TEST_CASE("httplib: the verdict can be read by the handler", "[httplib]") {
    const Guard guard{RuleSet{{rule_of("paced", "/paced", LeakyBucket{4, sluice::per_second(1)})}}};
    const RouteServer server{[&](httplib::Server& s) {
        const auto limiter = install(s, guard);
        const auto tell = [limiter](const Request& request, Response& response) {
            const auto* verdict = limiter.verdict(request);
            response.set_content(verdict != nullptr && verdict->delay() > 0s ? "later" : "now", "text/plain");
        };
        s.Get("/paced", tell).Get("/free", tell);
    }};
    CHECK(server.ask("GET", "/paced").body == "now");
    CHECK(server.ask("GET", "/paced").body == "later");
    CHECK(server.ask("GET", "/free").body == "now");
}

TEST_CASE("httplib: a paced request is held, if the guard is told to, and not longer", "[httplib]") {
    Rule rule = rule_of("paced", "/paced", LeakyBucket{4, sluice::Rate{1, 200ms}});
    const Guard guard{RuleSet{{rule, rule_of("slow", "/slow", LeakyBucket{4, sluice::per_hour(1)})}},
                      {.max_hold = 300ms}};
    std::atomic<int> served{0};
    const RouteServer server{[&](httplib::Server& s) {
        install(s, guard);
        const auto serve = [&](const Request&, Response&) { ++served; };
        s.Get("/paced", serve).Get("/slow", serve);
    }};
    const auto time = [&](const char* path) {
        const auto start = std::chrono::steady_clock::now();
        CHECK(server.status("GET", path) == 200);
        return std::chrono::steady_clock::now() - start;
    };
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < 3; ++i) static_cast<void>(time("/paced"));
    // The third leaves two intervals after the first has come, no earlier; how much later is the machine's affair.
    CHECK(std::chrono::steady_clock::now() - start >= 400ms);
    static_cast<void>(time("/slow"));
    CHECK(time("/slow") >= 300ms);  // and not an hour
    CHECK(served == 5);
}

TEST_CASE("httplib: a rule can be left to its routes", "[httplib]") {
    const Guard guard{RuleSet{{rule_of("upload", "/upload", 1), rule_of("rest", "/**", 9)}}};
    std::atomic<int> read{0};
    const RouteServer server{[&](httplib::Server& s) {
        CHECK_THROWS_AS(install(s, guard, {}, Hooks{.left_to_routes = {"uploads"}}), std::invalid_argument);
        const auto limiter = install(s, guard, {}, Hooks{.left_to_routes = {"upload"}});
        const auto upload = [&](const Request&, Response&, const httplib::ContentReader& reader) {
            reader([&](const char*, std::size_t size) { return read += static_cast<int>(size), true; });
        };
        s.Post("/upload", limiter.route("upload", upload)).Get("/free", ok);
    }};
    CHECK(server.ask("POST", "/upload", {}, "hello").status == 200);
    CHECK(server.ask("POST", "/upload", {}, std::string(3'000'000, 'x')).status == 429);
    CHECK(read == 5);
    CHECK(server.ask("GET", "/free").header("X-RateLimit-Remaining") == "8");
}

TEST_CASE("httplib: the body of a denied request is read up to a bound, where a route may", "[httplib]") {
    GuardOptions options;
    options.max_drained = 1'000'000;
    const Guard guard{RuleSet{{rule_of("upload", "/upload", 1)}}, options};
    std::atomic<int> read{0};
    const RouteServer server{[&](httplib::Server& s) {
        const auto limiter = install(s, guard, {}, Hooks{.every_request = false});
        const auto upload = [&](const Request&, Response& response, const httplib::ContentReader& reader) {
            reader([&](const char*, std::size_t size) {
                read += static_cast<int>(size);
                return true;
            });
            response.set_content("stored", "text/plain");
        };
        s.Post("/upload", limiter.route("upload", upload)).Put("/upload", limiter.route(upload));
        s.Get("/free", ok);
        s.set_error_handler([](const Request&, Response& response) { response.set_content("own", "text/plain"); });
    }};
    CHECK(server.ask("POST", "/upload", {}, std::string(5000, 'x')).body == "stored");
    CHECK(read == 5000);
    const std::string part = "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n" + std::string(5000, 'x');
    const std::string chunked = "Transfer-Encoding: chunked\r\n";
    struct Row {
        std::string headers, body;
    };
    // To its end: the connection is as good as before.
    for (const auto& [headers, body] :
         {Row{{}, std::string(900'000, 'x')},
          Row{"Content-Type: multipart/form-data; boundary=b\r\n", part + "\r\n--b--\r\n"}}) {
        for (const char* method : {"POST", "PUT"}) {
            INFO(method << ' ' << headers);
            RawClient client{server.port};
            const auto denied = client.ask(raw_request(method, "/upload", headers, body));
            REQUIRE(denied);
            CHECK(denied->status == 429);
            CHECK(denied->body == "own");
            if (denied->header("Connection") == "close") continue;  // as newer versions do after each error
            CHECK(client.ask(raw_request("GET", "/free"))->status == 200);
        }
    }
    // Too long, or not to be read: closed.
    for (const auto& request :
         {raw_request("POST", "/upload", {}, std::string(1'100'000, 'x')),
          raw_request("POST", "/upload", chunked) + "10c8e0\r\n" + std::string(1'100'000, 'x') + "\r\n0\r\n\r\n",
          raw_request("POST", "/upload", chunked) + "zz\r\n" + raw_request("GET", "/free"),
          raw_request("POST", "/upload", "Content-Length : 42\r\n") + raw_request("GET", "/free"),
          raw_request("POST", "/upload", "Content-Type: multipart/form-data; boundary=b\r\n", "--b\r\nnonsense")}) {
        INFO(request.substr(0, 200));
        RawClient client{server.port};
        client.send(request);
        if (const auto denied = client.read()) CHECK(denied->status >= 400);
        client.end();
        CHECK(client.is_closed());
    }
    CHECK(read == 5000);
}

TEST_CASE("httplib: only failed logins count, and a handler reports what a request has cost", "[httplib]") {
    const auto counted = [](const std::string& name, int capacity, Counted what, int cost = 1) {
        Rule rule{.name = name, .routes = {RoutePattern{"/" + name}}};
        rule.tiers = {{.limits = {{.limiter = RateLimiter{TokenBucket{capacity, sluice::per_hour(1)}, {.name = name}},
                                   .cost = cost,
                                   .counted = what}}}};
        return rule;
    };
    const Guard guard{RuleSet{{counted("login", 2, Counted::failures), counted("routed", 1, Counted::failures),
                               counted("throw", 1, Counted::failures), counted("tokens", 10, Counted::reported, 5)}}};
    const RouteServer server{[&](httplib::Server& s) {
        const auto limiter = install(s, guard, Anonymous{}, {.left_to_routes = {"routed"}});
        const auto login = [](const Request& request, Response& response) {
            response.status = request.has_param("good") ? 200 : 401;
        };
        s.Get("/login", login).Get("/routed", limiter.route("routed", login));
        s.Get("/throw", [](const Request&, Response&) { throw std::runtime_error{"oops"}; });
        s.Get("/tokens", [limiter](const Request& request, Response&) { limiter.verdict(request)->report_cost(1); });
    }};
    for (int i = 0; i < 5; ++i) CHECK(server.status("GET", "/login?good=1") == 200);
    for (const int expected : {401, 401, 429}) CHECK(server.status("GET", "/login") == expected);
    CHECK(server.status("GET", "/login?good=1") == 429);
    for (int i = 0; i < 3; ++i) CHECK(server.status("GET", "/routed?good=1") == 200);
    for (const int expected : {401, 429}) CHECK(server.status("GET", "/routed") == expected);
    for (const int expected : {500, 429}) CHECK(server.status("GET", "/throw") == expected);
    for (int i = 0; i < 6; ++i) CHECK(server.status("GET", "/tokens") == 200);
    CHECK(server.status("GET", "/tokens") == 429);  // four left, and the estimate is five
}
