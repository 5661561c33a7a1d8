// SPDX-License-Identifier: MIT

#include <cstdint>
#include <string>
#include <vector>

#include <sluice/redis/wire/reply.hpp>

#include "support/catch.hpp"

using sluice::detail::redis::Reply;
using sluice::detail::redis::ReplyReader;

namespace {

/// The integers of a reply, none where it is refused.
std::vector<std::int64_t> integers_of(const std::string& bytes) {
    ReplyReader reader;
    const Reply* reply = nullptr;
    if (reader.feed(bytes) || reader.next(reply) || reply == nullptr) return {};
    REQUIRE(reply->kind == Reply::Kind::integers);
    return reply->integers;
}

std::string text(const std::string& content) {
    return "$" + std::to_string(content.size()) + "\r\n" + content + "\r\n";
}

}  // namespace

TEST_CASE("integers come alone, in an array or in a text") {
    using Integers = std::vector<std::int64_t>;
    CHECK(integers_of(":5\r\n") == Integers{5});
    CHECK(integers_of("*2\r\n:5\r\n:-6\r\n") == Integers{5, -6});
    CHECK(integers_of(text("5")) == Integers{5});
    CHECK(integers_of(text("5 0 9007199254740992 -1")) == Integers{5, 0, 9'007'199'254'740'992, -1});
}

TEST_CASE("a text of anything else is refused") {
    for (const char* content :
         {"", " ", "a", "5 ", " 5", "5  6", "5,6", "5 6x", "+5", "5 9223372036854775808", "1.5"}) {
        INFO(content);
        CHECK(integers_of(text(content)).empty());
    }
    CHECK(integers_of("*1\r\n" + text("5")).empty());
    CHECK(integers_of("*1\r\n*1\r\n:5\r\n").empty());
    CHECK(integers_of("%1\r\n:5\r\n:6\r\n").empty());
    std::string many = "1";
    for (std::size_t i = 1; i != ReplyReader::max_elements; ++i) many += " 1";
    CHECK(integers_of(text(many)).empty() == false);
    CHECK(integers_of(text(many + " 1")).empty());
    const std::string most = "*" + std::to_string(ReplyReader::max_elements) + "\r\n";
    std::string elements;
    for (std::size_t i = 0; i != ReplyReader::max_elements; ++i) elements += ":1\r\n";
    CHECK(integers_of(most + elements).size() == ReplyReader::max_elements);
    CHECK(integers_of("*" + std::to_string(ReplyReader::max_elements + 1) + "\r\n" + elements + ":1\r\n").empty());
}
