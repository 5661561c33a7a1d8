// SPDX-License-Identifier: MIT
#include "support/catch.hpp"

#include <chrono>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include <sluice/http/guard.hpp>
#include <sluice/sluice.hpp>

#include "support/asked.hpp"

using namespace std::chrono_literals;
using namespace sluice::http;

namespace {

using Fields = std::map<std::string, std::string>;

Fields write(const HeaderOptions& options, const std::vector<PolicyAnswer>& answers) {
    Fields fields;
    HeaderWriter{options}.write(answers, [&](const char* name, std::string value) { fields[name] = std::move(value); });
    return fields;
}
const std::vector<PolicyAnswer> answers{
    {.name = "burst",
     .quota = {10, 1s},
     .decision = {.allowed = true, .limit = 10, .remaining = 4, .reset_after = 700ms}},
    {.name = "hour",
     .quota = {1000, 1h},
     .decision = {.allowed = true, .limit = 1000, .remaining = 900, .reset_after = 20min}}};

}  // namespace

TEST_CASE("the drafts' older styles tell of the limit that binds", "[http][headers]") {
    CHECK(write({HeaderStyle::draft_7}, answers) ==
          Fields{{"RateLimit", "limit=10, remaining=4, reset=1"}, {"RateLimit-Policy", "10;w=1, 1000;w=3600"}});
    CHECK(write({HeaderStyle::draft_6}, answers) == Fields{{"RateLimit-Limit", "10"},
                                                           {"RateLimit-Remaining", "4"},
                                                           {"RateLimit-Reset", "1"},
                                                           {"RateLimit-Policy", "10;w=1, 1000;w=3600"}});
    auto denied = answers;
    denied[1].decision = {.limit = 1000, .retry_after = 100s, .reset_after = 1h};
    const auto fields = write({HeaderStyle::draft_7}, denied);
    CHECK(fields.at("RateLimit") == "limit=1000, remaining=0, reset=100");
    CHECK(fields.at("Retry-After") == "100");
}

TEST_CASE("X-RateLimit-Reset may be a time", "[http][headers]") {
    const auto seconds = [] {
        return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
            .count();
    };
    const auto before = seconds();
    const auto fields = write({HeaderStyle::x_ratelimit_unix}, answers);
    const auto after = seconds();
    const auto reset = std::stoll(fields.at("X-RateLimit-Reset"));
    CHECK(reset >= before + 1);
    CHECK(reset <= after + 2);
    CHECK(fields.at("X-RateLimit-Remaining") == "4");
}

TEST_CASE("fields may have names of one's own, and styles go together", "[http][headers]") {
    HeaderOptions options{.style = HeaderStyle::x_ratelimit | HeaderStyle::draft_7};
    options.names = {.limit = "X-Quota", .remaining = "X-Quota-Left", .reset = ""};
    CHECK(write(options, answers) == Fields{{"X-Quota", "10"},
                                            {"X-Quota-Left", "4"},
                                            {"RateLimit", "limit=10, remaining=4, reset=1"},
                                            {"RateLimit-Policy", "10;w=1, 1000;w=3600"}});
    CHECK((HeaderStyle::x_ratelimit | HeaderStyle::ratelimit) == HeaderStyle::both);
}

TEST_CASE("styles that write the same field are refused, and so are names of no field", "[http][headers]") {
    for (const auto style :
         {HeaderStyle::ratelimit | HeaderStyle::draft_7, HeaderStyle::draft_6 | HeaderStyle::draft_7,
          HeaderStyle::both | HeaderStyle::draft_6, HeaderStyle::x_ratelimit | HeaderStyle::x_ratelimit_unix}) {
        CHECK_THROWS_AS(HeaderWriter{{style}}, std::invalid_argument);
    }
    HeaderOptions options;
    options.names.limit = "X: y\r\nSet-Cookie";
    CHECK_THROWS_AS(HeaderWriter{options}, std::invalid_argument);
}

TEST_CASE("a quota's unit and a partition are told where the limit says so", "[http][headers]") {
    Rule rule{.name = "r", .routes = {RoutePattern{"/a"}}};
    rule.tiers = {{.limits = {{.limiter = sluice::RateLimiter{sluice::FixedWindow{5, 1h}, {.name = "l"}},
                               .cost = Cost::of_body(1),
                               .unit = "content-bytes",
                               .tells_partition = true}}}};
    const Guard guard{RuleSet{{rule}}, {.headers = {HeaderStyle::ratelimit}}};
    const auto field = [&](const char* peer) {
        const auto answer = guard.handle({.method = "GET", .path = "/a", .peer = peer, .body_size = 1});
        return std::string{answer.fields[1].value};
    };
    const auto first = field("192.0.2.1");
    // FNV-1a of "ip:192.0.2.1" and its length as 8 bytes, in base64: computed with another program.
    CHECK(first == "\"l\";q=5;qu=\"content-bytes\";w=3600;pk=:ZQVb1tFiiW0=:");
    CHECK(field("192.0.2.1") == first);
    CHECK(field("192.0.2.2") != first);
}
