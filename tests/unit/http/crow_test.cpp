// SPDX-License-Identifier: MIT
#include "support/catch.hpp"

#include <chrono>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <unordered_map>

#include <sluice/http/crow.hpp>
#include <sluice/sluice.hpp>

using namespace sluice::http;
using sluice::RateLimiter;
using sluice::TokenBucket;

// As much of Crow as the adapter may know.
namespace fake {

enum class HTTPMethod { Get, Post };
std::string method_name(HTTPMethod method) { return method == HTTPMethod::Get ? "GET" : "POST"; }

struct Request {
    HTTPMethod method = HTTPMethod::Get;
    std::string url = "/a";
    std::string remote_ip_address = "192.0.2.1";
    std::unordered_multimap<std::string, std::string> headers{};
    std::string body{};
};

struct Response {
    int code = 200;
    std::string body{};
    std::map<std::string, std::string> headers{};
    int ended = 0;
    bool out_of_memory = false;

    void set_header(std::string name, std::string value) {
        if (out_of_memory) throw std::bad_alloc{};
        headers[std::move(name)] = std::move(value);
    }
    void end() { ++ended; }
};

struct Local {
    using call_global = std::false_type;
};

}  // namespace fake

namespace {

Guard one_per_hour(GuardOptions options = {.headers = {HeaderStyle::ratelimit, 0}}) {
    Rule rule{.name = "r", .routes = {RoutePattern{"/a"}}, .methods = {"GET"}};
    rule.tiers = {{.limits = {{RateLimiter{TokenBucket{1, sluice::per_hour(1)}, {.name = "burst"}}, {KeyPart::user}}}}};
    return Guard{RuleSet{{rule}}, std::move(options)};
}

}  // namespace

TEST_CASE("crow: headers are written after the handler, a denial before it", "[http][crow]") {
    CrowGuard<> limiter{one_per_hour()};
    fake::Request request;
    CrowGuard<>::context context;
    fake::Response response;
    limiter.before_handle(request, response, context);
    CHECK(response.ended == 0);
    CHECK(response.headers.empty());
    response = {};  // as Crow does when it calls a handler
    limiter.after_handle(request, response, context);
    CHECK(response.headers.at("RateLimit") == "\"burst\";r=0;t=3600");
    CHECK(response.headers.count("Retry-After") == 0);

    fake::Response denied;
    limiter.before_handle(request, denied, context);
    CHECK(denied.ended == 1);
    CHECK(denied.code == 429);
    CHECK(denied.headers.at("Retry-After") == "3600");
    CHECK(denied.headers.at("Content-Type") == "application/problem+json");
    CHECK(denied.body.find("quota-exceeded") != std::string::npos);
    const auto headers = denied.headers;
    limiter.after_handle(request, denied, context);
    CHECK(denied.headers == headers);
}

TEST_CASE("crow: a context of an earlier request writes nothing", "[http][crow]") {
    CrowGuard<> limiter{one_per_hour()};
    fake::Request request;
    CrowGuard<>::context context;
    fake::Response response;
    limiter.after_handle(request, response, context);
    CHECK(response.headers.empty());
    limiter.before_handle(request, response, context);
    limiter.after_handle(request, response, context);
    fake::Response options;
    limiter.after_handle(request, options, context);
    CHECK(options.headers.empty());
}

TEST_CASE("crow: a websocket's upgrade can be refused", "[http][crow]") {
    CrowGuard<> limiter{one_per_hour()};
    fake::Request request;
    CrowGuard<>::context context;
    fake::Response ignored;
    std::optional<fake::Response> answer;
    limiter.before_handle(request, ignored, context);
    context.refuse(answer);
    CHECK_FALSE(answer);
    limiter.before_handle(request, ignored, context);
    context.refuse(answer);
    REQUIRE(answer);
    CHECK(answer->code == 429);
    CHECK(answer->headers.at("Retry-After") == "3600");
    CrowGuard<>::context fresh;
    answer.reset();
    fresh.refuse(answer);
    CHECK_FALSE(answer);
}

TEST_CASE("crow: what counts by outcome is told the answer's status, and what is paced is held", "[http][crow]") {
    Rule rule{.name = "r", .routes = {RoutePattern{"/a"}}};
    const auto hour = std::chrono::hours{1};
    const sluice::MemoryStore<sluice::FixedWindow, sluice::ManualClock> memory;
    rule.tiers = {{.limits = {{.limiter = RateLimiter{sluice::FixedWindow{2, hour}, memory, {.name = "failures"}},
                               .counted = Counted::failures},
                              {RateLimiter{sluice::LeakyBucket{9, sluice::per_hour(1)}, {.name = "paced"}}}}}};
    const auto most = std::chrono::milliseconds{2};
    CrowGuard<> limiter{Guard{RuleSet{{rule}}, {.max_hold = most}}};
    const auto ask = [&](int status) {
        fake::Request request;
        CrowGuard<>::context context;
        fake::Response response;
        limiter.before_handle(request, response, context);
        response.code = status;
        limiter.after_handle(request, response, context);
        return context.verdict().answers()[0].decision.remaining;
    };
    CHECK(ask(200) == 1);
    const auto start = std::chrono::steady_clock::now();
    CHECK(ask(500) == 1);
    CHECK(std::chrono::steady_clock::now() - start >= most);
    CHECK(ask(500) == 0);
}

TEST_CASE("crow: the base makes it a local middleware", "[http][crow]") {
    STATIC_REQUIRE_FALSE(CrowGuard<fake::Local>::call_global::value);
    STATIC_REQUIRE(std::is_base_of_v<fake::Local, CrowGuard<fake::Local>>);
}

TEST_CASE("crow: who calls is asked of the program, whose exceptions are nobody", "[http][crow]") {
    struct ByUrl {
        Caller operator()(const fake::Request& request) const {
            const auto name = request.headers.find("user");
            if (name == request.headers.end()) throw std::runtime_error{"who?"};
            return {.user = name->second};
        }
    };
    CrowGuard<CrowGlobal, ByUrl> limiter{one_per_hour()};
    const auto ask = [&](fake::Request request) {
        CrowGuard<CrowGlobal, ByUrl>::context context;
        fake::Response response;
        limiter.before_handle(request, response, context);
        return response.code;
    };
    CHECK(ask({.headers = {{"user", "ann"}}}) == 200);
    CHECK(ask({.headers = {{"user", "ann"}}}) == 429);
    CHECK(ask({}) == 200);
    CHECK(ask({}) == 429);
    CHECK(ask({.headers = {{"user", "bob"}}}) == 200);
    CHECK(ask({.method = fake::HTTPMethod::Post, .headers = {{"user", "ann"}}}) == 200);
}

TEST_CASE("crow: one line of a trusted proxy is read, several are not", "[http][crow]") {
    CrowGuard<> limiter{one_per_hour({.client_address = ClientAddress{{.trusted_proxies = {Network{"192.0.2.1"}}}}})};
    const auto ask = [&](std::unordered_multimap<std::string, std::string> headers) {
        fake::Request request{.headers = std::move(headers)};
        CrowGuard<>::context context;
        fake::Response response;
        limiter.before_handle(request, response, context);
        return response.code;
    };
    CHECK(ask({{"X-Forwarded-For", "203.0.113.1"}}) == 200);
    CHECK(ask({{"X-Forwarded-For", "203.0.113.1"}}) == 429);
    CHECK(ask({{"X-Forwarded-For", "203.0.113.2"}, {"X-Forwarded-For", "203.0.113.3"}}) == 200);
    CHECK(ask({{"X-Forwarded-For", "203.0.113.4"}, {"X-Forwarded-For", "203.0.113.5"}}) == 429);
    CHECK(ask({}) == 429);
}

TEST_CASE("crow: no memory for headers is no exception and no way past the limit", "[http][crow]") {
    CrowGuard<> limiter{one_per_hour()};
    fake::Request request;
    CrowGuard<>::context context;
    fake::Response response{.out_of_memory = true};
    limiter.before_handle(request, response, context);
    limiter.after_handle(request, response, context);
    CHECK(response.code == 200);
    limiter.before_handle(request, response, context);
    CHECK(response.code == 429);
    CHECK(response.ended == 1);
}
