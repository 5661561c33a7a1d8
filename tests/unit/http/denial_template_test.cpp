// SPDX-License-Identifier: MIT
#include "support/catch.hpp"

#include <chrono>
#include <stdexcept>
#include <string>

#include <sluice/http/guard.hpp>
#include <sluice/sluice.hpp>

#include "support/asked.hpp"

using namespace std::chrono_literals;
using namespace sluice::http;
using sluice::RateLimiter;

namespace {

Rule one_an_hour(std::string limit = "burst") {
    Rule rule{.name = "r", .routes = {RoutePattern{"/a"}}};
    rule.tiers = {{.limits = {{RateLimiter{sluice::FixedWindow{1, 1h}, {.name = std::move(limit)}}}}}};
    return rule;
}
DenialBody denied(const Rule& rule, GuardOptions options = {}) {
    const Guard guard{RuleSet{{rule}}, std::move(options)};
    CHECK(guard.handle({"GET", "/a", "192.0.2.1"}).allowed);
    const auto answer = guard.handle({"GET", "/a", "192.0.2.1"});
    CHECK_FALSE(answer.allowed);
    return answer.denial;
}
std::string body(const std::string& type, const std::string& text, const Rule& rule = one_an_hour()) {
    return denied(rule, {.answer = DenialTemplate{type, text}}).content;
}

}  // namespace

TEST_CASE("a denial has a status, a type and a body of one's own", "[http][answer]") {
    const auto got = denied(one_an_hour(), {.answer = DenialTemplate{"text/plain", "no", 420}});
    CHECK(got.status == 420);
    CHECK(got.content_type == "text/plain");
    CHECK(got.content == "no");
    CHECK(denied(one_an_hour(), {.answer = DenialTemplate{"", "", 420}}).content_type == "application/problem+json");
    Rule own = one_an_hour();
    own.answer = DenialTemplate{"text/html", "<p>"};
    CHECK(denied(own, {.answer = DenialTemplate{"text/plain", "no"}}).content == "<p>");
}

TEST_CASE("what a denial's body says of the limit is put in", "[http][answer]") {
    CHECK(body("text/plain", "{status} {title}: {policy} {remaining}/{limit}") == "429 Too Many Requests: burst 0/1");
    CHECK(body("application/json", R"({"a":{},"b":{"limit":{limit}}, {})") == R"({"a":{},"b":{"limit":1}, {})");
    for (const char* ordinary : {"{", "{status", "{}", "{status ", "{statu5}"})
        CHECK(body("text/plain", ordinary) == ordinary);
    const std::string wait = body("text/plain", "{retry_after}");
    CHECK(std::stoi(wait) >= 1);
    CHECK(std::stoi(wait) <= 3600);
}

TEST_CASE("a body of one's own is for every denial, and its status for what is denied by a limit", "[http][answer]") {
    const DenialTemplate answer{"text/plain", "{status} {title}: {policy} {remaining}/{limit} {retry_after}", 420};
    Rule denies = one_an_hour();
    denies.tiers = {{.blocked = true}};
    const Guard guard{RuleSet{{denies}}, {.answer = answer}};
    CHECK(guard.handle({"GET", "/a", "192.0.2.1"}).denial.content == "403 Forbidden:  0/0 never");
    CHECK(denied(one_an_hour(), {.answer = answer}).content.substr(0, 33) == "420 Too Many Requests: burst 0/1 ");
}

TEST_CASE("names cannot break out of a denial's body", "[http][answer]") {
    CHECK(body("application/json", R"({"p":"{policy}"})", one_an_hour(R"(a"b\)")) == R"({"p":"a\"b\\"})");
    CHECK(body("text/html", "{policy}", one_an_hour("<b>&'")) == "&#60;b&#62;&#38;&#39;");
    CHECK(body("application/xml", "{policy}", one_an_hour("<b>")) == "&#60;b&#62;");
    CHECK(body("text/plain", "{policy}", one_an_hour("<b>")) == "<b>");
}

TEST_CASE("a function has the last word about a denial, and its exceptions change nothing", "[http][answer]") {
    GuardOptions options;
    options.compose = [](const Denial& denial, DenialBody& answer) {
        answer.status = 418;
        answer.content = std::string{denial.path} + " " + answer.content.substr(0, 1);
        throw std::runtime_error{"no template engine"};
    };
    const auto got = denied(one_an_hour(), options);
    CHECK(got.status == 418);
    CHECK(got.content == "/a {");
}

TEST_CASE("answers that cannot be meant are refused", "[http][answer]") {
    CHECK_THROWS_AS((DenialTemplate{"text/plain", "{retry_afer}"}), std::invalid_argument);
    CHECK_THROWS_AS((DenialTemplate{"text/plain\r\nX: y", "b"}), std::invalid_argument);
    CHECK_THROWS_AS((DenialTemplate{"text/plain\x7f", "b"}), std::invalid_argument);
    CHECK_THROWS_AS((DenialTemplate{"", "b"}), std::invalid_argument);
    CHECK_NOTHROW(DenialTemplate{"text/html; charset=~", "b", 400});
    CHECK_NOTHROW(DenialTemplate{"text/plain", "b", 599});
    for (const int status : {200, 399, 600, -1}) {
        CHECK_THROWS_AS((DenialTemplate{"text/plain", "b", status}), std::invalid_argument);
    }
}
