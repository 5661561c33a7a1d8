// SPDX-License-Identifier: MIT

#include <set>
#include <string>
#include <string_view>

#include <sluice/error.hpp>

#include "support/catch.hpp"

TEST_CASE("every code has a name and a message of its own") {
    constexpr int last = static_cast<int>(sluice::Errc::cancelled);
    std::set<std::string> messages;
    std::set<std::string_view> names;
    for (int code = 1; code <= last; ++code) {
        messages.insert(std::error_code{code, sluice::error_category()}.message());
        names.insert(sluice::error_name(static_cast<sluice::Errc>(code)));
    }
    CHECK(messages.size() == static_cast<std::size_t>(last));
    CHECK(names.size() == static_cast<std::size_t>(last));
    CHECK(messages.count("unknown error") == 0);
    CHECK(names.count("unknown") == 0);
    CHECK(sluice::error_name(sluice::Errc::server_full) == "server_full");
    for (const int none : {0, -1, last + 1, 1000}) {
        CHECK(std::error_code(none, sluice::error_category()).message() == "unknown error");
        CHECK(sluice::error_name(static_cast<sluice::Errc>(none)) == "unknown");
    }
}

TEST_CASE("codes compare as error codes do") {
    const std::error_code code = sluice::Errc::timeout;
    CHECK(code == sluice::Errc::timeout);
    CHECK(code != sluice::Errc::refused);
    CHECK(std::string{code.category().name()} == "sluice");
}

TEST_CASE("codes compare by the category's name, whichever library's category it is") {
    const sluice::detail::ErrorCategory of_a_plugin;
    const std::error_code code{static_cast<int>(sluice::Errc::degraded), of_a_plugin};
    CHECK(code == sluice::Errc::degraded);
    CHECK(code != sluice::Errc::timeout);
    CHECK_FALSE(sluice::is_failure(code));
    CHECK(sluice::error_category().equivalent(code, static_cast<int>(sluice::Errc::degraded)));
    CHECK(std::make_error_code(std::errc::operation_not_permitted) != sluice::Errc::no_memory);  // both are 1
    sluice::Decision ours, theirs;
    ours.error = sluice::Errc::degraded;
    theirs.error = code;
    CHECK(ours == theirs);
}

TEST_CASE("what the caller or the operator did wrong is no failure of the store") {
    for (const auto code : {sluice::Errc::invalid_argument, sluice::Errc::misconfigured}) {
        CHECK(sluice::is_rejected(code));
        CHECK_FALSE(sluice::is_failure(code));
        CHECK_FALSE(sluice::is_decided(code));
    }
    CHECK_FALSE(sluice::is_rejected({}));
    CHECK_FALSE(sluice::is_rejected(sluice::Errc::unsupported));
    CHECK(sluice::is_decided({}));
}

TEST_CASE("a fallback's answer and a full store's are not failures") {
    CHECK_FALSE(sluice::is_failure({}));
    CHECK_FALSE(sluice::is_failure(sluice::Errc::degraded));
    CHECK_FALSE(sluice::is_failure(sluice::Errc::store_full));
    CHECK(sluice::is_failure(sluice::Errc::no_memory));
    CHECK(sluice::is_failure(sluice::Errc::breaker_open));
}
