// SPDX-License-Identifier: MIT

#include <cstdint>
#include <string>

#include "faults/redis/faults.hpp"

TEST_CASE("no server from the beginning") {
    const auto url = "redis://127.0.0.1:" + std::to_string(RedisServer::free_port());
    endure(
        url, [](Recovery&) { pause_for(fault_time); },
        [](const LoadReport& report, const Limiter& limiter) {
            CHECK(report.decided == 0);
            CHECK(report.of(Errc::refused) > 0);
            CHECK(report.of(Errc::breaker_open) > report.of(Errc::refused));
            CHECK(limiter.store().stats().breaker_is_open);
            CHECK(limiter.store().stats().dials < 40);
        });
}

TEST_CASE("the server is killed and comes back empty") {
    RedisServer server;
    endure(
        server.url(),
        [&](Recovery& recovery) {
            pause_for(200ms);
            server.kill();
            pause_for(fault_time);
            server.restart();
            CHECK(recovery.is_quick());
            pause_for(200ms);
        },
        [](const LoadReport& report, const Limiter&) {
            CHECK(report.decided > 0);
            CHECK(report.of(Errc::breaker_open) > 0);
        });
}

TEST_CASE("the server stands still for a while: nothing is charged twice") {
    RedisServer server;
    endure(
        server.url(),
        [&](Recovery& recovery) {
            pause_for(200ms);
            server.freeze();
            pause_for(fault_time);
            server.thaw();
            CHECK(recovery.is_quick());
        },
        [&](const LoadReport& report, const Limiter& limiter) {
            CHECK(report.of(Errc::timeout) > 0);
            std::uint64_t charged = 0;
            for (const char* key : {"key0", "key1", "key2"}) charged += 1'000'000 - limiter.peek(key).remaining;
            CHECK(charged >= report.admitted);
            CHECK(charged <= report.admitted + report.of(Errc::timeout));
            for (const char* key : {"key0", "key1", "key2"}) static_cast<void>(limiter.reset(key));
        });
}

TEST_CASE("writes are paused") {
    RedisServer server;
    endure(
        server.url(),
        [&](Recovery& recovery) {
            pause_for(100ms);
            server.command({"CLIENT", "PAUSE", "500", "WRITE"});
            pause_for(500ms);
            CHECK(recovery.is_quick());
        },
        [](const LoadReport& report, const Limiter&) { CHECK(report.of(Errc::timeout) > 0); });
}

TEST_CASE("scripts are flushed all the time: no decision fails") {
    RedisServer server;
    endure(
        server.url(),
        [&](Recovery&) {
            const auto end = std::chrono::steady_clock::now() + fault_time;
            while (std::chrono::steady_clock::now() < end) {
                server.command({"SCRIPT", "FLUSH"});
                pause_for(10ms);
            }
        },
        [](const LoadReport& report, const Limiter&) {
            CHECK(report.failed() == 0);
            CHECK(report.decided > 0);
        },
        {.timeout = patience});
}
