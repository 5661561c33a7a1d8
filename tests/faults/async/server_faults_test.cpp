// SPDX-License-Identifier: MIT

#include <string>

#include "faults/async/faults.hpp"
#include "faults/refusals.hpp"
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

TEST_CASE("a loop whose server answers with an error for a while") {
    for (const Refusal& refusal : refusals()) {
        DYNAMIC_SECTION(refusal.what) {
            RedisServer server{refusal.server_options};
            endure(
                refusal.url(server),
                [&](LoopUnderLoad& loop) {
                    pause_for(100ms);
                    refusal.begin(server);
                    pause_for(fault_time);
                    refusal.end(server);
                    CHECK(loop.recovers());
                },
                [&](const LoadReport& report, const sluice::RedisStats& stats) {
                    CHECK(report.decided > 0);
                    CHECK(report.of(refusal.errc) > 0);
                    CHECK((stats.breaker_openings > 0) == refusal.is_left_alone);
                    CHECK((report.of(Errc::breaker_open) > 0) == refusal.is_left_alone);
                },
                {.timeout = patience});
        }
    }
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
