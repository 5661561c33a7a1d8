// SPDX-License-Identifier: MIT

#include <chrono>
#include <string>

#include <sluice/postgres.hpp>
#include <sluice/sluice.hpp>

#include "support/catch.hpp"
#include "support/postgres_server.hpp"

using namespace std::chrono_literals;
using sluice::Errc;

TEST_CASE("rows that a trigger or a rule swallows end in an error, not in a loop") {
    const PostgresServer server;
    const sluice::PostgresStore store{server.connection_string(), {.timeout = 10s}};
    REQUIRE_FALSE(store.ensure_schema());
    const sluice::RateLimiter limiter{sluice::FixedWindow{5, 2400h}, store, {.on_failure = sluice::FailureMode::deny}};
    CHECK(limiter.try_consume("known"));
    const auto check = [&] {
        for (int i = 0; i != 10; ++i) CHECK(limiter.try_consume("new").error == Errc::server_error);
        CHECK_FALSE(store.stats().breaker_is_open);
    };
    server.command(
        "CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';"
        "CREATE TRIGGER swallow BEFORE INSERT ON sluice.state_2 FOR EACH ROW EXECUTE FUNCTION swallow()");
    check();
    CHECK(limiter.peek("known"));
    server.command("DROP TRIGGER swallow ON sluice.state_2");
    CHECK(limiter.try_consume("new"));
    CHECK(server.command(
              "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'sluice' AND state = 'active'") == "0");
}

TEST_CASE("the server stops a statement that nobody waits for any more") {
    const PostgresServer server;
    const sluice::PostgresStore store{server.connection_string(), {.timeout = 1s}};
    REQUIRE_FALSE(store.ensure_schema());
    const sluice::RateLimiter limiter{sluice::FixedWindow{5, 2400h}, store};
    server.command(
        "CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN LOOP END LOOP; END';"
        "CREATE TRIGGER dawdle BEFORE INSERT ON sluice.state_2 FOR EACH ROW EXECUTE FUNCTION dawdle()");
    const auto error = limiter.try_consume("key").error;
    CHECK((error == Errc::timeout || error == Errc::busy));
    // Without its own timeout the backend would go on for ever.
    for (int i = 0; i != 3'000; ++i) {
        if (server.command(
                "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%decide_2%' AND state = 'active' AND "
                "pid <> pg_backend_pid()") == "0") {
            break;
        }
    }
    CHECK(server.command("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%decide_2%' AND state = 'active' AND "
                         "pid <> pg_backend_pid()") == "0");
}
