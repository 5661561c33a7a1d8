// SPDX-License-Identifier: MIT

#include <string>
#include <string_view>
#include <vector>

#include "faults/redis/faults.hpp"
#include "faults/refusals.hpp"

TEST_CASE("the server answers with an error for a while") {
    for (const Refusal& refusal : refusals()) {
        DYNAMIC_SECTION(refusal.what) {
            RedisServer server{refusal.server_options};
            endure(
                refusal.url(server),
                [&](Recovery& recovery) {
                    pause_for(100ms);
                    refusal.begin(server);
                    pause_for(fault_time);
                    refusal.end(server);
                    CHECK(recovery.is_quick());
                },
                [&](const LoadReport& report, const Limiter& limiter) {
                    CHECK(report.decided > 0);
                    CHECK(report.of(refusal.errc) > 0);
                    CHECK((limiter.store().stats().breaker_openings > 0) == refusal.is_left_alone);
                    CHECK((report.of(Errc::breaker_open) > 0) == refusal.is_left_alone);
                },
                {.timeout = patience});
        }
    }
}

TEST_CASE("the password is wrong until it is corrected") {
    RedisServer server;
    endure(
        "unix://app:guess@" + server.socket_path(),
        [&](Recovery& recovery) {
            server.command({"ACL", "SETUSER", "app", "reset", "on", ">secret", "~*", "+@all"});
            server.command({"CLIENT", "KILL", "TYPE", "normal"});
            pause_for(fault_time);
            server.command({"ACL", "SETUSER", "app", ">guess"});
            CHECK(recovery.is_quick());
        },
        [](const LoadReport& report, const Limiter&) { CHECK(report.of(Errc::authentication) > 0); });
}

TEST_CASE("a key belongs to somebody else: only that key fails") {
    RedisServer server;
    const Limiter limiter = limiter_on(server.url());
    for (const auto* key : {"list", "text"}) {
        REQUIRE_FALSE(limiter.try_consume(key).error);
        const auto name = server.command({"KEYS", std::string{"sluice:*:"} + key});
        REQUIRE(server.command({"DEL", name}) == "1");
        if (std::string{key} == "list") {
            server.command({"RPUSH", name, "x"});
        } else {
            server.command({"SET", name, "hello"});
        }
        for (int i = 0; i != 20; ++i) REQUIRE(limiter.try_consume(key).error == Errc::wrong_type);
        REQUIRE(limiter.refund(key, 1) == Errc::wrong_type);
        std::vector<std::string_view> keys{"a", key, "b", key, "a"};
        std::vector<sluice::Decision> out(keys.size());
        limiter.try_consume_many(keys, out);
        for (std::size_t i = 0; i != keys.size(); ++i) {
            CHECK(out[i].error == (keys[i] == key ? make_error_code(Errc::wrong_type) : std::error_code{}));
        }
        CHECK(server.command({"TYPE", name}) == (std::string{key} == "list" ? "list" : "string"));
    }
    CHECK(limiter.store().stats().breaker_openings == 0);
    CHECK_FALSE(limiter.try_consume("another").error);
    CHECK(limiter.peek("a").remaining == 1'000'000 - 4);
}
