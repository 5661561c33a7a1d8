// SPDX-License-Identifier: MIT

#include <set>
#include <string>

#include <sluice/error.hpp>

#include "support/catch.hpp"

TEST_CASE("every code has a message of its own") {
    std::set<std::string> messages;
    for (int code = 1; code <= static_cast<int>(sluice::Errc::server_error); ++code) {
        messages.insert(std::error_code{code, sluice::error_category()}.message());
    }
    CHECK(messages.size() == static_cast<std::size_t>(sluice::Errc::server_error));
    CHECK(messages.count("unknown error") == 0);
    CHECK(std::error_code(1000, sluice::error_category()).message() == "unknown error");
}

TEST_CASE("codes compare as error codes do") {
    const std::error_code code = sluice::Errc::timeout;
    CHECK(code == sluice::Errc::timeout);
    CHECK(code != sluice::Errc::refused);
    CHECK(std::string{code.category().name()} == "sluice");
}

TEST_CASE("a fallback's answer and a full store's are not failures") {
    CHECK_FALSE(sluice::is_failure({}));
    CHECK_FALSE(sluice::is_failure(sluice::Errc::degraded));
    CHECK_FALSE(sluice::is_failure(sluice::Errc::store_full));
    CHECK(sluice::is_failure(sluice::Errc::no_memory));
    CHECK(sluice::is_failure(sluice::Errc::breaker_open));
}
