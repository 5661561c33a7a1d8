// SPDX-License-Identifier: MIT

#include <filesystem>
#include <future>
#include <string>

#include "faults/async/faults.hpp"
#include "support/fake_server.hpp"

TEST_CASE("a loop without a server from the beginning") {
    endure(
        "redis://127.0.0.1:" + std::to_string(RedisServer::free_port()), [](LoopUnderLoad&) { pause_for(fault_time); },
        [](const LoadReport& report, const sluice::RedisStats& stats) {
            CHECK(report.decided == 0);
            CHECK(report.of(Errc::refused) > 0);
            CHECK(report.of(Errc::breaker_open) > report.of(Errc::refused));
            CHECK(stats.breaker_is_open);
            CHECK(stats.dials < 40);
        });
}

TEST_CASE("a loop whose server is killed and comes back empty") {
    RedisServer server;
    endure(
        server.url(),
        [&](LoopUnderLoad& loop) {
            pause_for(200ms);
            server.kill();
            pause_for(fault_time);
            server.restart();
            CHECK(loop.recovers());
        },
        [](const LoadReport& report, const sluice::RedisStats&) {
            CHECK(report.decided > 0);
            CHECK(report.of(Errc::breaker_open) > 0);
        });
}

TEST_CASE("a loop whose server stands still for a while: nothing is charged twice") {
    RedisServer server;
    std::uint64_t admitted = 0, unknown = 0;
    endure(
        server.url(),
        [&](LoopUnderLoad& loop) {
            pause_for(200ms);
            server.freeze();
            pause_for(fault_time);
            server.thaw();
            CHECK(loop.recovers());
        },
        [&](const LoadReport& report, const sluice::RedisStats&) {
            CHECK(report.of(Errc::timeout) > 0);
            admitted += report.admitted;
            unknown += report.of(Errc::timeout);
        });
    const sluice::RateLimiter limiter{
        sluice::FixedWindow{1'000'000, 24h}, sluice::RedisStore{server.url(), {.timeout = 10s}}, {.name = "faults"}};
    std::uint64_t charged = 0;
    for (const char* key : {"key0", "key1", "key2"}) charged += 1'000'000 - limiter.peek(key).remaining;
    CHECK(charged >= admitted);
    CHECK(charged <= admitted + unknown);
}

TEST_CASE("a loop whose server pauses writes") {
    RedisServer server;
    endure(
        server.url(),
        [&](LoopUnderLoad& loop) {
            pause_for(100ms);
            server.command({"CLIENT", "PAUSE", "500", "WRITE"});
            pause_for(500ms);
            CHECK(loop.recovers());
        },
        [](const LoadReport& report, const sluice::RedisStats&) { CHECK(report.of(Errc::timeout) > 0); });
}

TEST_CASE("a loop whose server forgets its scripts all the time: no decision fails") {
    RedisServer server;
    endure(
        server.url(),
        [&](LoopUnderLoad&) {
            const auto end = std::chrono::steady_clock::now() + fault_time;
            while (std::chrono::steady_clock::now() < end) {
                server.command({"SCRIPT", "FLUSH"});
                pause_for(10ms);
            }
        },
        [](const LoadReport& report, const sluice::RedisStats&) {
            CHECK(report.failed() == 0);
            CHECK(report.decided > 0);
        },
        {.timeout = patience});
}

namespace {

/// What a server answers with an error while `begin` has happened and `end` has not; see the same of the blocking store.
enum class Meaning { left_alone, asked };
template <class Begin, class End>
void answers_with(RedisServer& server, const std::string& url, Errc errc, Meaning meaning, Begin begin, End end) {
    endure(
        url,
        [&](LoopUnderLoad& loop) {
            pause_for(100ms);
            begin(server);
            pause_for(fault_time);
            end(server);
            CHECK(loop.recovers());
        },
        [&](const LoadReport& report, const sluice::RedisStats& stats) {
            CHECK(report.decided > 0);
            CHECK(report.of(errc) > 0);
            CHECK((stats.breaker_openings > 0) == (meaning == Meaning::left_alone));
            CHECK((report.of(Errc::breaker_open) > 0) == (meaning == Meaning::left_alone));
        },
        {.timeout = patience});
}

}  // namespace

TEST_CASE("a loop whose server becomes a replica, and a primary again") {
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

TEST_CASE("a loop whose server has no memory left") {
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

TEST_CASE("a loop whose server cannot write to its disk") {
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

TEST_CASE("a loop whose password is wrong until it is corrected") {
    RedisServer server;
    endure(
        "unix://app:guess@" + server.socket_path(),
        [&](LoopUnderLoad& loop) {
            server.command({"ACL", "SETUSER", "app", "reset", "on", ">secret", "~*", "+@all"});
            server.command({"CLIENT", "KILL", "TYPE", "normal"});
            pause_for(fault_time);
            server.command({"ACL", "SETUSER", "app", ">guess"});
            CHECK(loop.recovers());
        },
        [](const LoadReport& report, const sluice::RedisStats&) { CHECK(report.of(Errc::authentication) > 0); });
}

TEST_CASE("a loop whose user may not run what a script needs") {
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

TEST_CASE("a loop whose server takes no more clients") {
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

TEST_CASE("a loop whose server is occupied by somebody else's script") {
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

TEST_CASE("a loop through a failover behind one address, and by DNS") {
    RedisServer old_primary, new_primary;
    const auto fail_over = [&] {
        old_primary.command({"REPLICAOF", "127.0.0.1", std::to_string(new_primary.port())});
        new_primary.command({"REPLICAOF", "NO", "ONE"});
    };
    const auto fail_back = [&] {
        new_primary.command({"REPLICAOF", "NO", "ONE"});
        old_primary.command({"REPLICAOF", "NO", "ONE"});
    };
    SECTION("one address: those connections that exist stay with the old one") {
        Proxy proxy{old_primary.socket_path()};
        FakeServer server{[&](const FakePeer& peer) { proxy(peer); }};
        endure(
            server.url(),
            [&](LoopUnderLoad& loop) {
                proxy.redirect(new_primary.socket_path());
                fail_over();
                pause_for(fault_time);
                CHECK(loop.recovers());
                proxy.redirect(old_primary.socket_path());
                fail_back();
            },
            [](const LoadReport& report, const sluice::RedisStats&) {
                CHECK(report.of(Errc::read_only) > 0);
                CHECK(report.of(Errc::breaker_open) + report.of(Errc::read_only) < report.decided);
            });
    }
    SECTION("a name") {
        std::atomic<bool> has_moved{false};
        RedisServer at_home{"127.0.0.2", old_primary.port()};
        endure(
            "redis://name.test:" + std::to_string(old_primary.port()),
            [&](LoopUnderLoad& loop) {
                has_moved = true;
                old_primary.command({"REPLICAOF", "127.0.0.1", std::to_string(new_primary.port())});
                pause_for(fault_time);
                CHECK(loop.recovers());
                has_moved = false;
                old_primary.command({"REPLICAOF", "NO", "ONE"});
            },
            [](const LoadReport& report, const sluice::RedisStats&) { CHECK(report.of(Errc::read_only) > 0); },
            {.timeout = timeout, .resolve = [&](const std::string&) {
                 return std::vector<std::string>{has_moved ? "127.0.0.2" : "127.0.0.1"};
             }});
    }
}
