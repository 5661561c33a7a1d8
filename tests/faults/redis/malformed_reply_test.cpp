// SPDX-License-Identifier: MIT

#include <string>

#include "faults/redis/replies.hpp"

TEST_CASE("garbage") { fails_with(replies("HTTP/1.1 400 Bad Request\r\n\r\n", stay), {Errc::protocol}); }
TEST_CASE("a huge array") { fails_with(replies("*1073741824\r\n", silence), {Errc::protocol}); }
TEST_CASE("a huge string") {
    fails_with(replies("$9000000000000000000\r\n" + std::string(1'000, 'x'), silence), {Errc::timeout, Errc::protocol});
}
TEST_CASE("a string without end") {
    fails_with(replies("$9000000000000000000\r\n" + std::string(1'000'000, 'x'), silence), {Errc::protocol});
}
TEST_CASE("arrays within arrays") { fails_with(replies(repeated("*1\r\n", 200'000), silence), {Errc::protocol}); }
TEST_CASE("an error of a megabyte") {
    fails_with(replies("-ERR " + std::string(1'000'000, 'x') + "\r\n", stay), {Errc::protocol});
}
TEST_CASE("an unknown error") { fails_with(replies("-WHATEVER happened\r\n", stay), {Errc::server_error}); }
TEST_CASE("replies of other kinds") {
    for (const char* reply : {"+OK\r\n", "$-1\r\n", "*-1\r\n", "$2\r\nab\r\n", ":-5\r\n", ":9223372036854775807\r\n",
                              "*0\r\n", "*1\r\n$1\r\na\r\n", "%1\r\n:1\r\n:2\r\n", "_\r\n", "#t\r\n", ",1.5\r\n"}) {
        INFO(reply);
        FakeServer server{replies(reply, stay)};
        const Limiter limiter = limiter_on(server.url(), FailureMode::deny);
        const auto decision = limiter.try_consume("key");
        CHECK(decision.error == Errc::protocol);
        CHECK_FALSE(decision);
    }
}
