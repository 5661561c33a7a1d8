// SPDX-License-Identifier: MIT

#include <atomic>
#include <cstdint>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "faults/postgres/faults.hpp"
#include "support/fake_server.hpp"
#include "support/process.hpp"
#include "support/threads.hpp"

TEST_CASE("the server has no connections left") {
    FaultyServer server{{"max_connections=10", "superuser_reserved_connections=0", "max_wal_senders=0"}};
    std::vector<PostgresServer::Session> sessions;
    answers_with(
        server, Errc::busy, true,
        [&] {
            for (int i = 0; i != 10; ++i) sessions.emplace_back(server);
            // Whoever is refused tries again until the store's sessions have left their places to these.
            for (int i = 0; i != 200; ++i) {
                for (auto& session : sessions) {
                    if (session.command("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                                        "WHERE application_name = 'sluice'") != "0") {
                        session = PostgresServer::Session{server};
                    }
                }
            }
        },
        [&] { sessions.clear(); });
}

TEST_CASE("the password is wrong, and then corrected") {
    FaultyServer server;
    const PostgresServer::Session admin{server};
    const auto allow = [&](const char* how) {
        std::ofstream{server.access_file()} << "local all all " << how << '\n';
        server.reload();
        pause_for(100ms);
        admin.command(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'sluice'");
    };
    answers_with(
        server, Errc::authentication, true, [&] { allow("scram-sha-256"); }, [&] { allow("trust"); });

    allow("scram-sha-256");
    admin.command("SET password_encryption = 'scram-sha-256'; ALTER ROLE sluice PASSWORD 'right'");
    const auto limited = [&](const char* password) {
        return limiter_on(server.connection_string() + " password=" + password).try_consume("key").error;
    };
    CHECK(limited("wrong") == Errc::authentication);
    CHECK_FALSE(limited("right"));
    CHECK(limiter_on(server.connection_string() + " password=right dbname=none").try_consume("key").error ==
          Errc::server_error);
}

TEST_CASE("whatever a server sends, the deadline holds") {
    const auto check = [](const char* name, FakeServer::Behaviour behaviour) {
        INFO(name);
        FakeServer server{std::move(behaviour)};
        const auto url = server.url();
        const Limiter limiter = limiter_on("host=127.0.0.1 port=" + url.substr(url.rfind(':') + 1) + " user=any",
                                           FailureMode::allow, 3 * timeout());
        for (int i = 0; i != 3; ++i) {
            const auto start = std::chrono::steady_clock::now();
            const auto decision = limiter.try_consume("key");
            CHECK(decision.error);
            CHECK(std::chrono::steady_clock::now() - start < 3 * timeout() + 5s);
        }
    };
    check("silence", [](const FakePeer& peer) { peer.fall_silent(); });
    check("a reset", [](const FakePeer& peer) { peer.reset(); });
    check("an end", [](const FakePeer&) {});
    check("another protocol", [](const FakePeer& peer) {
        static_cast<void>(peer.read());
        peer.write("HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    check("a byte now and then", [](const FakePeer& peer) {
        while (!peer.is_over()) {
            peer.write("R");
            peer.wait(20ms);
        }
    });
    check("a length that no message has", [](const FakePeer& peer) {
        static_cast<void>(peer.read());
        peer.write(std::string{"NR\x7f\xff\xff\xff", 6});
        peer.fall_silent();
    });
}

TEST_CASE("a storm of signals does not prolong a call") {
    FaultyServer server;
    SignalStorm storm;
    const Limiter limiter = limiter_on(server.connection_string());
    storm.start();
    for (int i = 0; i != 300; ++i) CHECK_FALSE(limiter.try_consume("key").error);
    const Limiter hasty = limiter_on(server.connection_string(), FailureMode::allow, 5 * timeout());
    while (hasty.try_consume("key").error) pause_for(10ms);
    server.freeze();
    HiccupMeter hiccup;
    std::chrono::nanoseconds longest{0};
    for (int i = 0; i != 3; ++i) {
        const auto start = std::chrono::steady_clock::now();
        CHECK(hasty.try_consume("key").error == Errc::timeout);
        longest = std::max<std::chrono::nanoseconds>(longest, std::chrono::steady_clock::now() - start);
    }
    CHECK(longest < 5 * timeout() * 15 / 10 + 2 * hiccup.stop());
}

TEST_CASE("of several servers the one that takes writes is used") {
    PostgresServer replica{{"default_transaction_read_only=on"}};
    FaultyServer primary;
    const Limiter limiter = limiter_on("host=127.0.0.1,127.0.0.1,localhost port=1," + std::to_string(replica.port()) +
                                       "," + std::to_string(primary.port()) + " user=sluice dbname=postgres");
    CHECK_FALSE(limiter.try_consume("key").error);
    CHECK(limiter_on(replica.connection_string()).try_consume("key").error);
}

TEST_CASE("a hot standby is read-only, whether it has the table or not") {
    for (const bool logged : {false, true}) {
        PostgresServer primary;
        REQUIRE_FALSE(sluice::PostgresStore(primary.connection_string(), {.logged = logged}).ensure_schema(30s));
        PostgresServer standby{PostgresServer::StandbyOf{primary}};
        const Limiter alone = limiter_on(standby.connection_string(), FailureMode::deny, 10s);
        CHECK(alone.try_consume("key").error == Errc::read_only);
        CHECK(alone.store().ping(10s) == Errc::read_only);
        const Limiter both = limiter_on("host=127.0.0.1,127.0.0.1 port=" + std::to_string(standby.port()) + "," +
                                            std::to_string(primary.port()) + " user=sluice dbname=postgres",
                                        FailureMode::deny, 10s);
        CHECK(both.try_consume("key"));
    }
}

TEST_CASE("a batch that is longer than its time stops, and does not count against the server") {
    FaultyServer server;
    const Limiter limiter = limiter_on(server.connection_string(), FailureMode::allow, 1s);
    static_cast<void>(limiter.try_consume("warm up"));
    server.command(
        "CREATE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.001); RETURN NEW; "
        "END';"
        "CREATE TRIGGER slowly BEFORE INSERT ON sluice.state_2 FOR EACH ROW EXECUTE FUNCTION slowly()");
    std::vector<std::string> names;
    for (int i = 0; i != 4'096; ++i) names.push_back("key" + std::to_string(i));
    const std::vector<std::string_view> keys{names.begin(), names.end()};
    std::vector<sluice::Decision> decisions(keys.size());
    const auto start = std::chrono::steady_clock::now();
    limiter.try_consume_many(keys, decisions);
    CHECK(std::chrono::steady_clock::now() - start < 3'500ms);  // all of them take 4.1 s at least
    CHECK(decisions.back().error == Errc::timeout);
    CHECK(limiter.store().stats().breaker_openings == 0);
    CHECK(recovers(limiter));
}

TEST_CASE("connections that are refused do not draw the calls of those that serve") {
    FaultyServer server{{"max_connections=10", "superuser_reserved_connections=0", "max_wal_senders=0"}};
    std::vector<PostgresServer::Session> sessions;
    for (int i = 0; i != 8; ++i) sessions.emplace_back(server);
    for (auto& session : sessions) session.command("SELECT 1");
    const sluice::PostgresStore store{server.connection_string(), {.timeout = patience, .connections = 16}};
    const Limiter limiter{sluice::FixedWindow{1'000'000, 2400h}, store};
    CHECK_FALSE(limiter.try_consume("key").error);
    const auto before = store.stats().dials;
    std::atomic<int> failed{0};
    const auto start = std::chrono::steady_clock::now();
    run_threads(8, [&](int) {
        for (int i = 0; i != 200; ++i) failed += limiter.try_consume("key").error ? 1 : 0;
    });
    const auto pauses = (std::chrono::steady_clock::now() - start) / 50ms + 1;
    // A lane is refused once for each of its pauses of 50 ms or more.
    CHECK(store.stats().dials - before <= static_cast<std::uint64_t>(15 * pauses));
    CHECK(failed == 0);
    CHECK(store.stats().breaker_openings == 0);
}
