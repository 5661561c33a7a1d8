// SPDX-License-Identifier: MIT
#include "support/catch.hpp"

#include <chrono>
#include <vector>

#include <sluice/http/problem.hpp>

using namespace std::chrono_literals;
using sluice::Decision;
using sluice::http::BodyStyle;
using sluice::http::denial_body;
using sluice::http::PolicyAnswer;

namespace {

PolicyAnswer answer(std::string_view name, bool allowed, std::chrono::nanoseconds retry, std::error_code error = {}) {
    return {name, {10, 10s}, {allowed, 10, 0, retry, 10s, 0ns, error}};
}

}  // namespace

TEST_CASE("an exceeded quota is a problem of that type", "[http][problem]") {
    const std::vector answers{answer("daily", false, 5s), answer("free", true, 0s), answer("band\"width", false, 2s)};
    const auto body = denial_body(answers);
    CHECK(body.status == 429);
    CHECK(body.content_type == "application/problem+json");
    CHECK(body.content == R"({"type":"https://iana.org/assignments/http-problem-types#quota-exceeded",)"
                          R"("title":"The request exceeds the quota that is left","status":429,)"
                          R"("violated-policies":["daily","band\"width"]})");
}

TEST_CASE("a failed store that denies is reduced capacity", "[http][problem]") {
    const std::vector answers{answer("login", false, 0s, sluice::Errc::refused)};
    const auto body = denial_body(answers);
    CHECK(body.status == 503);
    CHECK(body.content == R"({"type":"https://iana.org/assignments/http-problem-types#temporary-reduced-capacity",)"
                          R"("title":"The server's capacity is reduced for the moment","status":503,)"
                          R"("violated-policies":["login"]})");
    CHECK(body.content.find("connection") == std::string::npos);
    CHECK(denial_body(answers, BodyStyle::plain).content == R"({"error":"Rate limiter unavailable","retry_after":1})");
}

TEST_CASE("a quota exceeded beside a failed store is a 429", "[http][problem]") {
    CHECK(denial_body(std::vector{answer("a", false, 0s, sluice::Errc::timeout), answer("b", false, 1s)}).status ==
          429);
    // A fallback's denial is a real one, and a cost that never fits is the client's fault even without a store.
    CHECK(denial_body(std::vector{answer("a", false, 1s, sluice::Errc::degraded)}).status == 429);
    CHECK(denial_body(std::vector{answer("a", false, Decision::never, sluice::Errc::timeout)}).status == 429);
}

TEST_CASE("a cost that never fits is explained", "[http][problem]") {
    const std::vector answers{answer("a", false, Decision::never)};
    CHECK(denial_body(answers).content.find("\"detail\":\"The request costs more than") != std::string::npos);
    CHECK(denial_body(answers, BodyStyle::plain).content == R"({"error":"Rate limit exceeded","retry_after":null})");
}

TEST_CASE("the plain body tells the wait in decimal seconds, rounded up", "[http][problem]") {
    const auto plain = [](std::chrono::nanoseconds wait) {
        const auto body = denial_body(std::vector{answer("a", false, wait)}, BodyStyle::plain);
        CHECK(body.content_type == "application/json");
        return body.content;
    };
    CHECK(plain(900ms) == R"({"error":"Rate limit exceeded","retry_after":0.9})");
    CHECK(plain(2s) == R"({"error":"Rate limit exceeded","retry_after":2})");
    CHECK(plain(1ns) == R"({"error":"Rate limit exceeded","retry_after":0.001})");
    CHECK(plain(1049ms) == R"({"error":"Rate limit exceeded","retry_after":1.049})");
    CHECK(plain(9999999999ns) == R"({"error":"Rate limit exceeded","retry_after":10})");
    CHECK(plain(10s + 10ms) == R"({"error":"Rate limit exceeded","retry_after":10.01})");
}
