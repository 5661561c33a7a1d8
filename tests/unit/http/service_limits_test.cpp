// SPDX-License-Identifier: MIT

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include <sluice/http/service_limits.hpp>

#include "support/catch.hpp"

using namespace std::chrono_literals;
using sluice::http::parse_rate_limit;
using sluice::http::parse_rate_limit_policy;
using sluice::http::parse_retry_after;

namespace {

// 1994-11-06 08:49:37 UTC, the date of RFC 9110's examples
constexpr std::chrono::system_clock::time_point then{784'111'777s};

}  // namespace

TEST_CASE("Retry-After is seconds or a date") {
    CHECK(parse_retry_after("0", then) == 0s);
    CHECK(parse_retry_after("120", then) == 120s);
    CHECK(parse_retry_after("0000000000000000000000000120", then) == 120s);
    CHECK(parse_retry_after("99999999999999999999999", then) == 24h * 36'525);
    const auto earlier = then - 90s;
    CHECK(parse_retry_after("Sun, 06 Nov 1994 08:49:37 GMT", earlier) == 90s);
    CHECK(parse_retry_after("Sunday, 06-Nov-94 08:49:37 GMT", earlier) == 90s);
    CHECK(parse_retry_after("Sun Nov  6 08:49:37 1994", earlier) == 90s);
    CHECK(parse_retry_after("Sun Nov 16 08:49:37 1994", then) == 240h);
    CHECK(parse_retry_after("Sun, 06 Nov 1994 08:49:37 GMT", then + 1h) == 0s);
    CHECK(parse_retry_after("Sun, 06 Nov 1994 08:49:37 GMT", then - 500ms) == 1s);
    CHECK(parse_retry_after("Thu, 29 Feb 1996 00:00:60 GMT", then) > 0s);
    // A year of two digits is the nearest that is not more than 50 years ahead.
    CHECK(parse_retry_after("Monday, 06-Nov-44 08:49:37 GMT", then) == 0s);
    CHECK(parse_retry_after("Sunday, 06-Nov-94 08:49:37 GMT", std::chrono::sys_days{std::chrono::year{2026} / 1 / 1}) ==
          0s);
    constexpr std::chrono::sys_days later{std::chrono::year{2026} / 1 / 1};
    CHECK(parse_retry_after("Wednesday, 01-Jan-76 00:00:00 GMT", later) == 24h * 18'262);
    CHECK(parse_retry_after("Friday, 01-Jan-77 00:00:00 GMT", later) == 0s);
}

TEST_CASE("what is no Retry-After is none") {
    for (const std::string_view value : {"",
                                         " ",
                                         "-1",
                                         "+1",
                                         "1.5",
                                         "1 ",
                                         " 1",
                                         "1s",
                                         "0x10",
                                         "soon",
                                         "1, 2",
                                         "Sun, 06 Nov 1994 08:49:37",
                                         "Sun, 06 Nov 1994 08:49:37 UTC",
                                         "Sun, 06 Nov 1994 08:49:37 GMT ",
                                         "sun, 06 Nov 1994 08:49:37 GMT",
                                         "Sun, 6 Nov 1994 08:49:37 GMT",
                                         ", 06 Nov 1994 08:49:37 GMT",
                                         "Sun, 06  1994 08:49:37 GMT",
                                         "Son, 06 Nov 1994 08:49:37 GMT",
                                         "Sun, 06 nov 1994 08:49:37 GMT",
                                         "Sun, 31 Nov 1994 08:49:37 GMT",
                                         "Sun, 00 Nov 1994 08:49:37 GMT",
                                         "Sun, 29 Feb 1994 08:49:37 GMT",
                                         "Sun, 06 Nov 1994 24:49:37 GMT",
                                         "Sun, 06 Nov 1994 08:60:37 GMT",
                                         "Sun, 06 Nov 1994 08:49:61 GMT",
                                         "Sun, 06 Nov 1994 8:49:37 GMT",
                                         "Sunday, 06-Nov-1994 08:49:37 GMT",
                                         "Sun Nov 6 08:49:37 1994"}) {
        INFO(value);
        CHECK_FALSE(parse_retry_after(value, then).has_value());
    }
}

TEST_CASE("a date is taken only as a whole") {
    for (const std::string date :
         {"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"}) {
        REQUIRE(parse_retry_after(date, then));
        for (std::size_t i = 0; i != date.size(); ++i) {
            std::string other = date;
            other[i] = '#';
            INFO(other);
            CHECK_FALSE(parse_retry_after(other, then));
            CHECK_FALSE(parse_retry_after(date.substr(0, i), then));
            CHECK_FALSE(parse_retry_after(date.substr(0, i) + date.substr(i + 1), then));
            CHECK_FALSE(parse_retry_after(date.substr(0, i) + ',' + date.substr(i), then));
        }
    }
}

TEST_CASE("parameters of later versions are passed over, whatever RFC 9651 lets them be") {
    for (const char* value : {"1", "-1", "0.5", "-999999999999.999", "\"s\"", "?0", "?1", ":aZ0+/=:", "::", "token",
                              "*t", "T1", "a!#$%&'*+-.^_`|~:/9"}) {
        INFO(value);
        for (const char* key : {"x", "*", "a_-.*9"}) {
            const auto limits = parse_rate_limit("\"a\";" + std::string{key} + "=" + value + ";r=7");
            REQUIRE(limits);
            CHECK(limits->front().remaining == 7);
        }
    }
    for (const char* value :
         {"-", "-a", "1.", "1.2345", "1234567890123.1", "?2", "?", ":a", ":a b:", "#", "(a)", "@1", "\"", "\"\\"}) {
        INFO(value);
        CHECK_FALSE(parse_rate_limit("\"a\";x=" + std::string{value}));
        CHECK_FALSE(parse_rate_limit("\"a\";r=7;x=" + std::string{value}));
    }
    CHECK_FALSE(parse_rate_limit("\"a\";r=7;"));
    CHECK_FALSE(parse_rate_limit("\"a\";r=7;9=1"));
}

TEST_CASE("RateLimit tells what is left of each limit") {
    const auto limits = parse_rate_limit(R"("burst";r=0;t=1, "day";r=812;t=40000,"open";r=5;pk=:cGs=:)");
    REQUIRE(limits.has_value());
    REQUIRE(limits->size() == 3);
    CHECK((*limits)[0].name == "burst");
    CHECK((*limits)[0].remaining == 0);
    CHECK((*limits)[0].reset == 1s);
    CHECK((*limits)[1].remaining == 812);
    CHECK((*limits)[1].reset == 40'000s);
    CHECK_FALSE((*limits)[2].reset.has_value());
    CHECK(parse_rate_limit("")->empty());
    CHECK(parse_rate_limit(R"(  "a";r=1;r=2)")->front().remaining == 2);  // the last one holds
    CHECK(parse_rate_limit(R"("a \"b\" \\ c"; r=1;x;y=?0;z=1.5;u=token/*;v="s")")->front().name == R"(a "b" \ c)");
    CHECK(parse_rate_limit(R"("a";r=999999999999999)")->front().remaining == 999'999'999'999'999);
}

TEST_CASE("RateLimit-Policy tells the limits") {
    const auto policies = parse_rate_limit_policy(R"("burst";q=10;w=10,"day";q=1000;w=86400;qu="content-bytes")");
    REQUIRE(policies.has_value());
    REQUIRE(policies->size() == 2);
    CHECK((*policies)[0].quota == 10);
    CHECK((*policies)[0].window == 10s);
    CHECK((*policies)[0].unit == "requests");
    CHECK((*policies)[1].unit == "content-bytes");
    CHECK_FALSE(parse_rate_limit_policy(R"("a";q=1)")->front().window.has_value());
    CHECK((sluice::http::ServicePolicy{}.quota == 0 && sluice::http::ServiceLimit{}.remaining == 0));
}

TEST_CASE("what is no list of limits is none") {
    for (const std::string_view value : {R"("a")",
                                         R"("a";t=1)",
                                         R"("a";r=-1)",
                                         R"("a";r=1.0)",
                                         R"("a";r="1")",
                                         R"("a";r)",
                                         R"("a";r=1;t=x)",
                                         R"("a";r=1,)",
                                         R"("a";r=1 "b";r=1)",
                                         R"("a;r=1)",
                                         R"("a\x";r=1)",
                                         R"("a\)",
                                         "a;r=1",
                                         R"("a";R=1)",
                                         R"("a";r=)",
                                         R"("a";r=1;)",
                                         R"("a";r=1000000000000000)",
                                         R"(,"a";r=1)",
                                         R"("a" ;r=1)",
                                         R"(("a" "b");r=1)",
                                         R"("a";r=1;t=1;pk=:x)",
                                         "10",
                                         R"("a";r=1;x=?2)",
                                         R"("a";r=1;x=1234567890123.0)",
                                         R"("a";r=1;x=1.1234)",
                                         "\"a\x01\";r=1",
                                         "\"\x80\";r=1"}) {
        INFO(value);
        CHECK_FALSE(parse_rate_limit(value).has_value());
    }
    for (const std::string_view value :
         {R"("a";w=1)", R"("a";q=1;w=-1)", R"("a";q=1;qu=requests)", R"("a";q=1;qu=1)"}) {
        INFO(value);
        CHECK_FALSE(parse_rate_limit_policy(value).has_value());
    }
}
