// SPDX-License-Identifier: MIT

#include <stdexcept>
#include <string>

#include <sys/un.h>

#include <sluice/redis/redis_url.hpp>

#include "support/catch.hpp"

using sluice::RedisUrl;

TEST_CASE("a Redis URL names a TCP server") {
    const auto plain = RedisUrl::parse("redis://example.org");
    CHECK(plain.endpoints.at(0).host == "example.org");
    CHECK(plain.endpoints.at(0).port == 6379);
    CHECK(plain.database == 0);
    CHECK(plain.password.empty());

    const auto full = RedisUrl::parse("redis://app:s%40c:r@t@[::1]:6380/15");
    CHECK(full.user == "app");
    CHECK(full.password == "s@c:r@t");
    CHECK(full.endpoints.at(0).host == "::1");
    CHECK(full.endpoints.at(0).port == 6380);
    CHECK(full.database == 15);

    CHECK(RedisUrl::parse("redis://us%41:p%7a@h").user == "usA");
    CHECK(RedisUrl::parse("redis://us%41:p%7a@h").password == "pz");
    CHECK(RedisUrl::parse("redis://:secret@h").password == "secret");
    CHECK(RedisUrl::parse("redis://h/").database == 0);
}

TEST_CASE("a Redis URL names a unix socket") {
    const auto plain = RedisUrl::parse("unix:///run/redis.sock");
    CHECK(plain.endpoints.at(0).path == "/run/redis.sock");
    const auto full = RedisUrl::parse("unix://app:pw@/run/a%20b.sock?db=3");
    CHECK(full.user == "app");
    CHECK(full.password == "pw");
    CHECK(full.endpoints.at(0).path == "/run/a b.sock");
    CHECK(full.database == 3);
}

TEST_CASE("a Redis URL names a cluster by some of its servers") {
    const auto url = RedisUrl::parse("redis+cluster://app:pw@a,[::1]:7000,c:7001");
    CHECK(url.kind == RedisUrl::Kind::cluster);
    CHECK(!url.uses_tls);
    REQUIRE(url.endpoints.size() == 3);
    CHECK(url.endpoints[0].host == "a");
    CHECK(url.endpoints[0].port == 6379);
    CHECK(url.endpoints[1].host == "::1");
    CHECK(url.endpoints[1].port == 7000);
    CHECK(url.endpoints[2].port == 7001);
    CHECK(url.user == "app");
    CHECK(url.password == "pw");
    CHECK(RedisUrl::parse("redis+cluster://a/0").database == 0);
    CHECK(RedisUrl::parse("redis+cluster://a/").endpoints.size() == 1);
}

TEST_CASE("a Redis URL names a master by its sentinels") {
    const auto url = RedisUrl::parse("redis+sentinel://app:p%2Cw@a:26380,b/my%20master/3");
    CHECK(url.kind == RedisUrl::Kind::sentinel);
    REQUIRE(url.endpoints.size() == 2);
    CHECK(url.endpoints[0].port == 26380);
    CHECK(url.endpoints[1].host == "b");
    CHECK(url.endpoints[1].port == 26379);
    CHECK(url.master == "my master");
    CHECK(url.database == 3);
    CHECK(url.password == "p,w");
    CHECK(RedisUrl::parse("redis+sentinel://a/m").database == 0);
    CHECK(RedisUrl::parse("redis+sentinel://a/m/").master == "m");
}

TEST_CASE("a Redis URL with rediss is the same over TLS") {
    const auto single = RedisUrl::parse("rediss://u:p@h:7/2");
    CHECK(single.uses_tls);
    CHECK(single.kind == RedisUrl::Kind::single);
    CHECK(single.endpoints.at(0).host == "h");
    CHECK(single.endpoints.at(0).port == 7);
    CHECK(single.database == 2);
    CHECK(RedisUrl::parse("rediss+cluster://h").uses_tls);
    CHECK(RedisUrl::parse("rediss+cluster://h").kind == RedisUrl::Kind::cluster);
    CHECK(RedisUrl::parse("rediss+sentinel://h/m").uses_tls);
    CHECK(RedisUrl::parse("rediss+sentinel://h/m").kind == RedisUrl::Kind::sentinel);
    CHECK(!RedisUrl::parse("redis://h").uses_tls);
    CHECK(!RedisUrl::parse("unix:///s").uses_tls);
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
                                  "redis://:hunter2@a,b",
                                  "redis://:hunter2@::1",
                                  "redis://:hun/ter2@h",
                                  "redis://h/hunter2@",
                                  "rediss:/hunter2@h",
                                  "redis+cluster://:hunter2@a,",
                                  "redis+cluster://:hunter2@,a",
                                  "redis+cluster://:hunter2@a,,b",
                                  "redis+cluster://:hunter2@a/1",
                                  "redis+cluster://:hunter2@a/0/0",
                                  "redis+cluster:///hunter2",
                                  "redis+sentinel://:hunter2@a",
                                  "redis+sentinel://:hunter2@a/",
                                  "redis+sentinel://:hunter2@a//0",
                                  "redis+sentinel://:hunter2@a/m/x",
                                  "redis+sentinel://:hunter2@a/m/0/",
                                  "redis+sentinel://:hunter2@a:0/m",
                                  "redis+unix:///hunter2",
                                  "rediss+unix://hunter2",
                                  "unix://hunter2",
                                  "unix://:hunter2@",
                                  "unix:///hunter2?x=1",
                                  "unix:///hunter2?db=",
                                  "unix:///hunter2%00",
                                  long_path.c_str()}) {
        INFO(url);
        try {
            RedisUrl::parse(url);
            FAIL("accepted");
        } catch (const std::invalid_argument& error) {
            CHECK(std::string{error.what()}.find("hunter2") == std::string::npos);
            CHECK(std::string{error.what()}.find("ter2") == std::string::npos);
        }
    }
}

TEST_CASE("who forgets the brackets of an IPv6 address is told") {
    std::string said;
    try {
        RedisUrl::parse("redis://fe80::1");
    } catch (const std::invalid_argument& error) {
        said = error.what();
    }
    CHECK(said.find("brackets") != std::string::npos);
}

TEST_CASE("a path is as long as the system's addresses allow") {
    const std::string longest(sizeof(sockaddr_un{}.sun_path) - 2, 'x');
    CHECK(RedisUrl::parse("unix:///" + longest).endpoints.at(0).path == "/" + longest);
    CHECK_THROWS_AS(RedisUrl::parse("unix:///x" + longest), std::invalid_argument);
}
