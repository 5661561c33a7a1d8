// SPDX-License-Identifier: MIT

#include <stdexcept>
#include <string>

#include <sluice/redis/redis_url.hpp>

#include "support/catch.hpp"

using sluice::RedisUrl;

TEST_CASE("a Redis URL names a TCP server") {
    const auto plain = RedisUrl::parse("redis://example.org");
    CHECK(plain.endpoint.host == "example.org");
    CHECK(plain.endpoint.port == 6379);
    CHECK(plain.database == 0);
    CHECK(plain.password.empty());

    const auto full = RedisUrl::parse("redis://app:s%40c:r@t@[::1]:6380/15");
    CHECK(full.user == "app");
    CHECK(full.password == "s@c:r@t");
    CHECK(full.endpoint.host == "::1");
    CHECK(full.endpoint.port == 6380);
    CHECK(full.database == 15);

    CHECK(RedisUrl::parse("redis://:secret@h").password == "secret");
    CHECK(RedisUrl::parse("redis://h/").database == 0);
}

TEST_CASE("a Redis URL names a unix socket") {
    const auto plain = RedisUrl::parse("unix:///run/redis.sock");
    CHECK(plain.endpoint.path == "/run/redis.sock");
    const auto full = RedisUrl::parse("unix://app:pw@/run/a%20b.sock?db=3");
    CHECK(full.user == "app");
    CHECK(full.password == "pw");
    CHECK(full.endpoint.path == "/run/a b.sock");
    CHECK(full.database == 3);
}

TEST_CASE("a user may need no password") {
    const auto url = RedisUrl::parse("redis://app@host");
    CHECK(url.user == "app");
    CHECK(url.password.empty());
}

TEST_CASE("a bad Redis URL is refused, and not shown") {
    const std::string long_path = "unix:///" + std::string(200, 'x') + "hunter2";
    for (const std::string url : {"",
                                  "hunter2",
                                  "http://hunter2",
                                  "redis://",
                                  "redis://hunter2@",
                                  "redis://u:hunter2@",
                                  "redis://u:@h",
                                  "redis://:hunter2@h:0",
                                  "redis://:hunter2@h:65536",
                                  "redis://:hunter2@h:x",
                                  "redis://:hunter2@h:",
                                  "redis://:hunter2@h/x",
                                  "redis://:hunter2@h/-1",
                                  "redis://:hunter2@h/4294967296",
                                  "redis://:hunter2@[::1",
                                  "redis://:hunter2@[::1]x",
                                  "redis://:hunter2%4@h",
                                  "redis://:hunter2%zz@h",
                                  "redis://:hunter2@h?db=1",
                                  "redis://:hunter2@a b",
                                  "redis://:hunter2@h/1/2",
                                  "unix://hunter2",
                                  "unix://:hunter2@",
                                  "unix:///hunter2?x=1",
                                  "unix:///hunter2%00",
                                  long_path.c_str()}) {
        INFO(url);
        try {
            RedisUrl::parse(url);
            FAIL("accepted");
        } catch (const std::invalid_argument& error) {
            CHECK(std::string{error.what()}.find("hunter2") == std::string::npos);
        }
    }
}
