// SPDX-License-Identifier: MIT

#include <cstdint>

#include "faults/postgres/faults.hpp"

TEST_CASE("no server from the beginning") {
    endure(
        "host=127.0.0.1 port=1", [](const Limiter&) { pause_for(fault_time()); },
        [](const LoadReport& report, const Limiter& limiter) {
            CHECK(report.decided == 0);
            CHECK(report.of(Errc::refused) > 0);
            CHECK(report.of(Errc::breaker_open) > report.of(Errc::refused));
            CHECK(limiter.store().stats().breaker_is_open);
            CHECK(limiter.store().stats().dials < 40);
        });
}

TEST_CASE("the server is killed and comes back empty") {
    FaultyServer server;
    endure(
        server.connection_string(),
        [&](const Limiter& limiter) {
            pause_for(200ms);
            server.kill();
            pause_for(fault_time());
            server.restart();
            CHECK(recovers(limiter));
            pause_for(200ms);
        },
        [](const LoadReport& report, const Limiter&) {
            CHECK(report.decided > 0);
            CHECK(report.of(Errc::breaker_open) > 0);
        });
    CHECK(server.command("SELECT count(*) < 10 FROM sluice.state_2") == "t");
}

TEST_CASE("the server stands still for a while: nothing is charged twice") {
    FaultyServer server;
    endure(
        server.connection_string(),
        [&](const Limiter& limiter) {
            pause_for(200ms);
            server.freeze();
            pause_for(fault_time());
            server.thaw();
            CHECK(recovers(limiter));
        },
        [&](const LoadReport& report, const Limiter& limiter) {
            CHECK(report.of(Errc::timeout) > 0);
            std::uint64_t charged = 0;
            for (const char* key : {"key0", "key1", "key2"}) charged += 1'000'000 - limiter.peek(key).remaining;
            CHECK(charged >= report.admitted);
            CHECK(charged <= report.admitted + report.of(Errc::timeout));
            for (const char* key : {"key0", "key1", "key2"}) CHECK_FALSE(limiter.reset(key));
        });
}

TEST_CASE("sessions are terminated again and again") {
    FaultyServer server;
    endure(
        server.connection_string(),
        [&](const Limiter& limiter) {
            const auto end = std::chrono::steady_clock::now() + fault_time();
            while (std::chrono::steady_clock::now() < end) {
                server.end_sessions();
                CHECK(recovers(limiter));
                pause_for(50ms);
            }
        },
        [](const LoadReport& report, const Limiter&) {
            CHECK(report.decided > report.failed() * 5);
            CHECK(report.failed() == report.of(Errc::disconnected));
        },
        patience);
}

TEST_CASE("idle connections that the server has closed are replaced") {
    FaultyServer server;
    const Limiter limiter = limiter_on(server.connection_string());
    for (int i = 0; i != 5; ++i) {
        CHECK_FALSE(limiter.try_consume("key").error);
        server.end_sessions();
        while (server.command("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'sluice'") != "0") {
            pause_for(5ms);
        }
    }
    CHECK(limiter.store().stats().failures == 0);
}

TEST_CASE("a row that is locked fails its own key alone, without closing the others out") {
    FaultyServer server;
    endure(
        server.connection_string(),
        [&](const Limiter& limiter) {
            pause_for(200ms);
            const PostgresServer::Session other{server};
            other.command("BEGIN");
            other.command("SELECT 1 FROM sluice.state_2 WHERE key = 'key0' FOR UPDATE");
            pause_for(fault_time());
            other.command("COMMIT");
            CHECK(recovers(limiter));
        },
        [](const LoadReport& report, const Limiter& limiter) {
            CHECK(report.of(Errc::busy) > 0);
            CHECK(report.of(Errc::timeout) <= report.of(Errc::busy) / 5 + 1);  // a call that had to dial first
            CHECK(report.failed() == report.of(Errc::busy) + report.of(Errc::timeout));
            CHECK(report.decided > report.failed());
            CHECK(limiter.store().stats().breaker_openings == 0);
        });
}

TEST_CASE("the table is locked: nothing is charged that was not admitted") {
    FaultyServer server;
    endure(
        server.connection_string(),
        [&](const Limiter& limiter) {
            pause_for(200ms);
            const PostgresServer::Session other{server};
            other.command("BEGIN; LOCK TABLE sluice.state_2 IN EXCLUSIVE MODE");
            pause_for(fault_time());
            other.command("COMMIT");
            CHECK(recovers(limiter));
        },
        [](const LoadReport& report, const Limiter& limiter) {
            CHECK(report.of(Errc::busy) > 0);
            std::uint64_t charged = 0;
            for (const char* key : {"key0", "key1", "key2"}) charged += 1'000'000 - limiter.peek(key).remaining;
            CHECK(charged >= report.admitted);
            CHECK(charged <= report.admitted + report.of(Errc::timeout));
            for (const char* key : {"key0", "key1", "key2"}) CHECK_FALSE(limiter.reset(key));
        });
}

TEST_CASE("the server becomes read-only, as a primary that was demoted") {
    FaultyServer server;
    answers_with(
        server, Errc::read_only, true,
        [&] {
            server.command("ALTER SYSTEM SET default_transaction_read_only = on");
            server.reload();
        },
        [&] {
            server.command("ALTER SYSTEM RESET default_transaction_read_only");
            server.reload();
        });
}

TEST_CASE("the server has no disk left") {
    FaultyServer server;
    server.command(
        "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'as if' USING ERRCODE = '53100'; END $$");
    answers_with(
        server, Errc::server_full, false,
        [&] {
            server.command("CREATE TRIGGER full_disk BEFORE INSERT ON sluice.state_2 EXECUTE FUNCTION full_disk()");
        },
        [&] { server.command("DROP TRIGGER full_disk ON sluice.state_2"); });
}

TEST_CASE("the table is dropped") {
    FaultyServer server;
    answers_with(
        server, Errc::unsupported, false, [&] { server.command("DROP TABLE sluice.state_2"); },
        [&] { server.create_schema(); });
}
