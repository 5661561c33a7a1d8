// SPDX-License-Identifier: MIT
#include "support/catch.hpp"

#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <sluice/http/guard.hpp>
#include <sluice/http/json/rules.hpp>
#include <sluice/sluice.hpp>

#include "support/asked.hpp"

using namespace sluice::http;

namespace {

/// A guard of one rule with one limit of one request in an hour.
Guard one_of(const std::string& rule, const std::string& limit, const RulesFunctions& functions = {}) {
    const std::string text = R"({"rules":[{"name":"r",)" + rule +
                             R"(,"limits":[{"name":"l","policy":{"kind":"fixed_window","limit":1,"window":"1h"})" +
                             limit + "}]}]}";
    return Guard{parse_rules(text, "f", MemoryLimiters{}, nullptr, functions)};
}
Guard keyed_by(const std::string& key, const RulesFunctions& functions = {}) {
    return one_of(R"("routes":["/a","/b"])", R"(,"key":[)" + key + "]", functions);
}
bool passes(const Guard& guard, Asked asked) {
    if (asked.method.empty()) asked.method = "GET";
    if (asked.path.empty()) asked.path = "/a";
    if (asked.peer.empty()) asked.peer = "192.0.2.1";
    return guard.handle(std::move(asked)).allowed;
}

}  // namespace

TEST_CASE("a key is made of a header, a query, a cookie, host, method or a function", "[http][json][reach]") {
    struct Case {
        std::string key;
        TestHeaders first, other;
        std::string_view first_query, other_query;
    };
    const std::vector<Case> cases{
        {R"({"header":"X-Tenant"})", {{{"x-tenant", "a"}}}, {{{"X-Tenant", "b"}}}, "", ""},
        {R"({"query":"q"})", {}, {}, "z=1&q=a%20b", "q=a"},
        {R"({"cookie":"sid"})", {{{"Cookie", "a=b; sid=1"}}}, {{{"Cookie", "sid=\"2\"; c"}}}, "", ""},
        {R"("host")", {{{"Host", "A.example:80"}}}, {{{"Host", "b.example"}}}, "", ""},
        {R"({"function":"f"})", {{{"X-F", "1"}}}, {{{"X-F", "2"}}}, "", ""},
    };
    const RulesFunctions functions{
        .keys = {{"f", [](const Asked& asked) { return std::string{asked.header("X-F").only().value_or("")}; }}}};
    for (const Case& one : cases) {
        INFO(one.key);
        const Guard guard = keyed_by(one.key, functions);
        const auto ask = [&](const TestHeaders& headers, std::string_view query, std::string_view peer) {
            return passes(guard, {.peer = peer, .query = query, .header = headers});
        };
        CHECK(ask(one.first, one.first_query, "192.0.2.1"));
        CHECK_FALSE(ask(one.first, one.first_query, "192.0.2.2"));
        CHECK(ask(one.other, one.other_query, "192.0.2.1"));
        // Missing: by address.
        CHECK(ask({}, "", "192.0.2.1"));
        CHECK_FALSE(ask({}, "", "192.0.2.1"));
        CHECK(ask({}, "", "192.0.2.2"));
    }
    const Guard by_method = keyed_by(R"("method")");
    CHECK(passes(by_method, {.method = "GET"}));
    CHECK(passes(by_method, {.method = "POST"}));
    CHECK_FALSE(passes(by_method, {.method = "GET", .peer = "192.0.2.9"}));
}

TEST_CASE("a value that is there several times is no way to a bucket of one's own", "[http][json][reach]") {
    const Guard by_query = keyed_by(R"({"query":"q"})");
    CHECK(passes(by_query, {.query = "q=1&q=7"}));
    CHECK_FALSE(passes(by_query, {.query = "q=2&q=7"}));
    CHECK_FALSE(passes(by_query, {.query = "%71=3&q=7"}));
    const Guard by_header = keyed_by(R"({"header":"X-Tenant"})");
    const auto twice = [&](const char* first) {
        const TestHeaders headers{{{"X-Tenant", first}, {"X-Tenant", "z"}}};
        return passes(by_header, {.header = headers});
    };
    CHECK(twice("1"));
    CHECK_FALSE(twice("2"));
}

TEST_CASE("a path's parameter is the same however it is written", "[http][json][reach]") {
    const Guard guard = one_of(R"("routes":["/users/{id}","/posts/{id}/**"])", R"(,"key":[{"path":"id"}])");
    const auto ask = [&](std::string_view path, bool decoded = false) {
        return passes(guard, {.path = path, .path_is_decoded = decoded});
    };
    CHECK(ask("/users/42"));
    CHECK_FALSE(ask("/users/4%32"));
    CHECK_FALSE(ask("/posts/42/x/y"));
    CHECK(ask("/users/43"));
    CHECK(ask("/users/4%34", true));  // decoded already: another one
    CHECK(ask("/users/44"));
}

TEST_CASE("a rule wants a host, headers and a query", "[http][json][reach]") {
    const Guard guard = one_of(
        R"("routes":["/a"],"hosts":["api.example.com","*.example.org"],"headers":{"X-Beta":true,"X-Kind":"a"},"query":{"v":"2","w":true})",
        R"(,"key":[])");
    const auto limited = [&](const std::string& host, std::string_view query, bool beta, const std::string& kind) {
        TestHeaders headers{{{"Host", host}, {"X-Kind", kind}}};
        if (beta) headers.all.emplace("x-beta", "");
        return guard.handle({.method = "GET", .path = "/a", .peer = "192.0.2.1", .query = query, .header = headers})
                   .verdict.rule() != nullptr;
    };
    CHECK(limited("API.example.com:443", "v=2&w", true, "a"));
    CHECK(limited("x.y.example.org", "w=0&v=2", true, " a "));
    CHECK_FALSE(limited("example.org", "w=0&v=2", true, "a"));
    CHECK_FALSE(limited(".example.org", "w=0&v=2", true, "a"));
    CHECK_FALSE(limited("api.example.com.evil", "w=0&v=2", true, "a"));
    CHECK_FALSE(limited("api.example.com", "v=3&w", true, "a"));
    CHECK_FALSE(limited("api.example.com", "v=2", true, "a"));
    CHECK_FALSE(limited("api.example.com", "v=2&w", false, "a"));
    CHECK_FALSE(limited("api.example.com", "v=2&w", true, "b"));
}

TEST_CASE("the deny list comes before all else, also before exemptions", "[http][json][reach]") {
    const Guard guard{parse_rules(
        R"({"deny":{"networks":["203.0.113.0/24"]},
            "rules":[{"name":"free","routes":["/a"],"exempt":{"networks":["0.0.0.0/0"]}}]})",
        "f", MemoryLimiters{})};
    const auto answer = guard.handle({.method = "GET", .path = "/a", .peer = "203.0.113.9"});
    CHECK_FALSE(answer.allowed);
    CHECK(answer.denial.status == 403);
    CHECK(answer.denial.content.find("\"title\":\"Forbidden\"") != std::string::npos);
    CHECK(answer.fields.empty());
    CHECK(answer.verdict.is_forbidden());
    CHECK(answer.verdict.rule()->name == "deny");
    CHECK(guard.handle({.method = "GET", .path = "/nowhere", .peer = "203.0.113.9"}).denial.status == 403);
    CHECK(passes(guard, {.peer = "203.0.114.9"}));
}

TEST_CASE("a limit of 0 is nobody's", "[http][json][reach]") {
    for (const char* text : {R"("limits":[{"name":"l","policy":{"kind":"token_bucket","capacity":0,"refill":"1/s"}}])",
                             R"("limits":[{"name":"l","policy":{"kind":"leaky_bucket","queue":0,"drain":"1/s"}}])",
                             R"("limits":[{"name":"l","policy":{"kind":"sliding_window","limit":0,"window":"1s"}}])",
                             R"("tiers":[{"plan":"gold","unlimited":true},{"blocked":true}])", R"("blocked":true)"}) {
        INFO(text);
        const Guard guard{parse_rules(R"({"rules":[{"name":"r","routes":["/a"],)" + std::string{text} + "}]}", "f",
                                      MemoryLimiters{})};
        const auto answer = guard.handle({.method = "GET", .path = "/a", .peer = "192.0.2.1"});
        CHECK(answer.denial.status == 403);
        CHECK(answer.verdict.rule()->name == "r");
    }
    const Guard shadow{parse_rules(R"({"rules":[{"name":"r","routes":["/a"],"blocked":true,"enforce_percent":0}]})",
                                   "f", MemoryLimiters{})};
    const auto waived = shadow.handle({.method = "GET", .path = "/a", .peer = "192.0.2.1"});
    CHECK(waived.allowed);
    CHECK(waived.verdict.outcome() == sluice::Outcome::would_deny);
}

TEST_CASE("a cost is the body's size, or what a function says", "[http][json][reach]") {
    const RulesFunctions functions{.costs = {{"f", [](const Asked& asked) -> std::uint64_t {
                                                  if (asked.path == "/throw") throw std::runtime_error{"?"};
                                                  return asked.path.size();
                                              }}}};
    const auto left = [&](const std::string& cost, const Asked& asked) -> std::uint64_t {
        const Guard guard{parse_rules(R"({"rules":[],"default":{"name":"d","limits":[{"name":"l","cost":)" + cost +
                                          R"(,"policy":{"kind":"fixed_window","limit":10,"window":"1h"}}]}})",
                                      "f", MemoryLimiters{}, nullptr, functions)};
        return guard.check(asked).answers()[0].decision.remaining;
    };
    const std::string kilobytes = R"({"body_bytes":1000})";
    const TestHeaders length{{{"Content-Length", "4001"}}};
    const TestHeaders chunked{{{"Transfer-Encoding", "chunked"}}};
    const TestHeaders two{{{"Content-Length", "1"}, {"Content-Length", "9000"}}};
    CHECK(left(kilobytes, {.path = "/a", .header = length}) == 5);
    CHECK(left(kilobytes, {.path = "/a", .header = length, .body_size = 2000}) == 8);
    CHECK(left(kilobytes, {.path = "/a"}) == 9);
    CHECK(left(kilobytes, {.path = "/a", .header = chunked}) == 0);
    CHECK(left(kilobytes, {.path = "/a", .header = two}) == 0);
    for (const char* none : {"", "1x", "x1", "-1", "+1", "1 2", "18446744073709551616"}) {
        const TestHeaders wrong{{{"Content-Length", none}}};
        CHECK(left(kilobytes, {.path = "/a", .header = wrong}) == 0);
    }
    CHECK(left(R"({"function":"f"})", {.path = "/abc"}) == 6);
    CHECK(left(R"({"function":"f"})", {.path = "/throw"}) == 0);
}

TEST_CASE("a function may let requests pass", "[http][json][reach]") {
    const RulesFunctions functions{.skips = {{"is_internal", [](const Asked& asked) {
                                                  if (asked.query == "throw") throw std::runtime_error{"?"};
                                                  return asked.query == "internal";
                                              }}}};
    const Guard guard = one_of(R"("routes":["/a"],"skip":"is_internal")", "", functions);
    CHECK(passes(guard, {}));
    CHECK_FALSE(passes(guard, {}));
    CHECK_FALSE(passes(guard, {.query = "throw"}));
    CHECK(passes(guard, {.query = "internal"}));
}

TEST_CASE("what cannot be meant of these is refused with its place", "[http][json][reach]") {
    const auto error = [](const std::string& rule, const std::string& limit) -> std::string {
        try {
            static_cast<void>(one_of(rule, limit));
        } catch (const RulesError& refused) {
            return refused.what();
        }
        return "accepted";
    };
    const std::string routes = R"("routes":["/a/{id}"])";
    CHECK(error(routes, R"(,"key":[{"path":"user"}])") ==
          "f: /rules/0/limits/0/key/0: rule 'r': route '/a/{id}' has no \"{user}\", so the path has no \"user\" to "
          "count by");
    CHECK(error(routes, R"(,"key":[{"header":"X Y"}])") ==
          "f: /rules/0/limits/0/key/0/header: 'x y' cannot be the name of a header, cookie or parameter");
    CHECK(error(routes, R"(,"key":[{"function":"nonesuch"}])") ==
          "f: /rules/0/limits/0/key/0/function: must be the name of a function, of which the program gives none here, "
          "not "
          "\"nonesuch\"");
    CHECK(error(routes, R"(,"key":[{"header":"a","query":"b"}])").find("must be \"address\"") != std::string::npos);
    CHECK(error(routes, R"(,"key":[{"header":"A"},{"header":"a"}])") ==
          "f: /rules/0/limits/0/key/1: rule 'r': limit 'l': a part is twice in its key");
    CHECK(error(routes, R"(,"cost":{"body_bytes":0})") ==
          "f: /rules/0/limits/0/cost/body_bytes: must be a whole number from 1 to 9007199254740991, not 0");
    CHECK(error(R"("routes":["/a/{id}/{id}"])", "") == "f: /rules/0/routes/0: route '/a/{id}/{id}': has a name twice");
    CHECK(error(R"("routes":["/a/x{id}"])", "") ==
          "f: /rules/0/routes/0: route '/a/x{id}': braces stand around a name, which is a whole segment");
    CHECK(error(R"("routes":["/a"],"hosts":["Example.com"])", "").substr(0, 67) ==
          "f: /rules/0/hosts/0: rule 'r': a host is a name in small letters wi");
    CHECK(error(R"("routes":["/a"],"headers":{"X":false})", "") ==
          "f: /rules/0/headers/X: must be true or a value, not false");
    CHECK(error(R"("routes":["/a"],"skip":"x")", "").substr(0, 46) == "f: /rules/0/skip: must be the name of a functi");
    CHECK(error(R"("routes":["/a"],"blocked":true)", "") == "f: /rules/0: has both \"limits\" and \"blocked\"");
    // A rule that wants more than its route leaves requests to the next.
    CHECK_NOTHROW(
        parse_rules(R"({"rules":[{"name":"a","routes":["/**"],"hosts":["x.y"]},{"name":"b","routes":["/**"]}]})", "f",
                    MemoryLimiters{}));
}
