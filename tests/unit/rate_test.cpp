// SPDX-License-Identifier: MIT

#include <chrono>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>

#include <sluice/rate.hpp>

#include "support/catch.hpp"

using namespace std::chrono_literals;
using sluice::Rate;

namespace {

template <class F>
std::string message_of(F f) {
    try {
        f();
    } catch (const std::invalid_argument& error) {
        return error.what();
    }
    return "nothing thrown";
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("a rate keeps its exact fraction") {
    CHECK(sluice::per_second(10) == Rate{10, 1s});
    CHECK(sluice::per_minute(7).count() == 7);
    CHECK(sluice::per_minute(7).period() == 60s);
    CHECK(sluice::per_hour(1) == Rate{1, 1h});
    CHECK(sluice::per_day(1) == Rate{1, 24h});
    CHECK_FALSE(Rate{1, 1s} == Rate{60, 60s});
}

TEST_CASE("any integral type and any duration will do") {
    CHECK(Rate{short{3}, 1s} == Rate{3ULL, 1000ms});
    CHECK(Rate{std::int8_t{5}, std::chrono::hours{24}} == sluice::per_day(5U));
    CHECK(Rate{1, std::chrono::duration<double>{1.5}} == Rate{1, 1500ms});
    CHECK(Rate{1, std::chrono::duration<long long, std::ratio<365 * 86400>>{100}}.period() == 36500 * 24h);
}

TEST_CASE("the ends of the range are allowed") {
    CHECK(Rate{1, 36525 * 24h}.count() == 1);
    CHECK(Rate{1'000'000'000, 1s}.count() == 1'000'000'000);
    CHECK(Rate{1, 1ns}.count() == 1);
    CHECK(Rate{(std::uint64_t{1} << 53) - 1, 36525 * 24h}.count() == (std::uint64_t{1} << 53) - 1);
}

TEST_CASE("a value out of range throws and is named") {
    CHECK(has(message_of([] { Rate{0, 1s}; }), "rate count must be from 1 to 9007199254740991, not 0"));
    CHECK(has(message_of([] { Rate{-3, 1s}; }), "not -3"));
    CHECK(has(message_of([] { Rate{std::numeric_limits<std::int64_t>::min(), 1s}; }), "not -9223372036854775808"));
    CHECK(has(message_of([] { Rate{std::uint64_t{1} << 53, 1s}; }), "not 9007199254740992"));
    CHECK(has(message_of([] { Rate{~std::uint64_t{0}, 1s}; }), "not 18446744073709551615"));
    CHECK(has(message_of([] { Rate{1, 0s}; }), "rate period must be from 1 ns to 100 years"));
    CHECK(has(message_of([] { Rate{1, -1s}; }), "-1 x 1/1 s"));
    CHECK(has(message_of([] { Rate{1, 36525 * 24h + 1h}; }), "876601"));
    CHECK(has(message_of([] { Rate{1, std::chrono::hours::max()}; }), "100 years"));
    CHECK(has(message_of([] { Rate{1, std::chrono::duration<double>{-0.5}}; }), "100 years"));
    CHECK(has(message_of([] {
                  Rate{1, std::chrono::duration<double>{std::numeric_limits<double>::quiet_NaN()}};
              }),
              "nan"));
    CHECK(has(message_of([] {
                  Rate{1, std::chrono::duration<double>{std::numeric_limits<double>::infinity()}};
              }),
              "inf"));
    CHECK(has(message_of([] { Rate{1, std::chrono::duration<std::int64_t, std::pico>{999}}; }), "999"));
    CHECK(has(message_of([] { Rate{2, 1ns}; }), "2 per 1 ns"));
    CHECK(has(message_of([] { Rate{1'000'000'001, 1s}; }), "at most 1 per nanosecond"));
}

TEST_CASE("periods of exotic units are converted exactly or refused, without overflow") {
    using Odd = std::chrono::duration<long long, std::ratio<1'000'000'000'000'000'000, 999'999'999'999'999'999>>;
    CHECK(sluice::Rate{1, Odd{1}}.period() == std::chrono::seconds{1});
    CHECK_THROWS_AS((sluice::Rate{1, Odd{1'000'000'000'000'000'000}}), std::invalid_argument);
}
