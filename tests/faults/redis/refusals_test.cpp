// SPDX-License-Identifier: MIT

#include <filesystem>
#include <future>
#include <string>
#include <string_view>
#include <vector>

#include "faults/redis/faults.hpp"

namespace {

/// What a server answers with an error while `begin` has happened and `end` has not. Whether it is left alone meanwhile
/// depends on whether the error is everybody's or an answer to one request.
enum class Meaning { left_alone, asked };
template <class Begin, class End>
void answers_with(RedisServer& server, const std::string& url, Errc errc, Meaning meaning, Begin begin, End end) {
    endure(
        url,
        [&](Recovery& recovery) {
            pause_for(100ms);
            begin(server);
            pause_for(fault_time);
            end(server);
            CHECK(recovery.is_quick());
        },
        [&](const LoadReport& report, const Limiter& limiter) {
            CHECK(report.decided > 0);
            CHECK(report.of(errc) > 0);
            CHECK((limiter.store().stats().breaker_openings > 0) == (meaning == Meaning::left_alone));
            CHECK((report.of(Errc::breaker_open) > 0) == (meaning == Meaning::left_alone));
        },
        {.timeout = patience});
}

}  // namespace

TEST_CASE("the server becomes a replica, and a primary again") {
    RedisServer server;
    const auto nobody = std::to_string(RedisServer::free_port());
    answers_with(
        server, server.url(), Errc::read_only, Meaning::left_alone,
        [&](auto& s) {
            s.command({"REPLICAOF", "127.0.0.1", nobody});
        },
        [](auto& s) {
            s.command({"REPLICAOF", "NO", "ONE"});
        });
}

TEST_CASE("the server has no memory left") {
    RedisServer server;
    answers_with(
        server, server.url(), Errc::server_full, Meaning::asked,
        [](auto& s) {
            s.command({"CONFIG", "SET", "maxmemory", "100kb"});
        },
        [](auto& s) {
            s.command({"CONFIG", "SET", "maxmemory", "0"});
        });
}

TEST_CASE("the server cannot write to its disk") {
    RedisServer server;
    const auto dump = server.folder() + "/dump.rdb";
    answers_with(
        server, server.url(), Errc::server_full, Meaning::asked,
        [&](auto& s) {
            std::filesystem::create_directories(dump + "/in the way");  // of the file that BGSAVE wants to write
            s.command({"CONFIG", "SET", "save", "3600 1"});
            s.command({"BGSAVE"});
        },
        [&](auto& s) {
            std::filesystem::remove_all(dump);
            s.command({"CONFIG", "SET", "save", ""});
        });
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

TEST_CASE("the user may not run what a script needs") {
    RedisServer server;
    const auto grant = [&](std::string_view set) {
        server.command({"ACL", "SETUSER", "app", "reset", "on", ">pw", "~sluice:*", "-@all", "+eval", "+evalsha",
                        "+time", "+get", set, "+incrby"});
    };
    grant("+set");
    answers_with(
        server, "unix://app:pw@" + server.socket_path(), Errc::permission, Meaning::asked,
        [&](auto&) { grant("-get"); }, [&](auto&) { grant("+set"); });
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

TEST_CASE("the server takes no more clients") {
    RedisServer server;
    answers_with(
        server, server.url(), Errc::busy, Meaning::left_alone,
        [](auto& s) {
            s.command({"CONFIG", "SET", "maxclients", "1"});
            s.command({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"});
        },
        [](auto& s) {
            s.command({"CONFIG", "SET", "maxclients", "1000"});
        });
}

TEST_CASE("a script of somebody else occupies the server") {
    RedisServer server{{"--lua-time-limit", "20"}};
    std::future<void> script;
    answers_with(
        server, server.url(), Errc::busy, Meaning::left_alone,
        [&](auto& s) {
            script = std::async(std::launch::async, [path = s.socket_path()] {
                redisContext* const context = redisConnectUnix(path.c_str());
                freeReplyObject(redisCommand(context, "EVAL %s 0", "while true do end"));
                redisFree(context);
            });
            pause_for(50ms);
        },
        [&](auto& s) {
            s.command({"SCRIPT", "KILL"});
            script.get();
        });
}
