// SPDX-License-Identifier: MIT

#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <string>

#include <sluice/postgres.hpp>

#include "support/catch.hpp"

using sluice::Errc;
namespace postgres = sluice::detail::postgres;

TEST_CASE("a connection string is taken apart into its servers") {
    const auto places = [](const char* text) { return sluice::detail::postgres::Target{text}.places(); };
    CHECK(places("host=db.example port=5433").at(0).host == "db.example");
    CHECK(places("host=db.example port=5433").at(0).port_number() == 5433);
    CHECK(places("postgresql://user@db.example/app").at(0).host == "db.example");
    CHECK(places("host=/run/postgresql").at(0).needs_look_up() == false);
    CHECK(places("host=db hostaddr=127.0.0.1").at(0).needs_look_up() == false);
    CHECK(places("host=db").at(0).needs_look_up());

    const auto several = places("host=a,b,c port=1,2,3");
    REQUIRE(several.size() == 3);
    CHECK(several[2].host == "c");
    CHECK(several[2].port == "3");
    CHECK(places("host=a,b port=7")[1].port == "7");
    CHECK_THROWS_AS(places("host=a,b,c port=1,2"), std::invalid_argument);
    CHECK_THROWS_AS(places("host=a port=1,2"), std::invalid_argument);
    CHECK_THROWS_AS(places("host=a,b hostaddr=127.0.0.1,127.0.0.2,127.0.0.3"), std::invalid_argument);
    const auto named = places("host=a,b hostaddr=127.0.0.1,127.0.0.2 port=1,2");
    CHECK(named.at(1).host == "b");
    CHECK(named.at(1).hostaddr == "127.0.0.2");
    CHECK_FALSE(named.at(1).needs_look_up());
    const auto addresses = places("hostaddr=127.0.0.1,127.0.0.2");
    REQUIRE(addresses.size() == 2);
    CHECK(addresses[1].hostaddr == "127.0.0.2");
    CHECK_FALSE(addresses[1].needs_look_up());
    CHECK_FALSE(places("host=@abstract").at(0).needs_look_up());
    CHECK(places("host=db").at(0).port_number() == 5432);
}

TEST_CASE("no message shows a connection string") {
    for (const std::string text : {"password=hunter2 host", "postgresql://user:hunter2@[::1", "hunter2",
                                   "host=a,b port=1,2,3 password=hunter2"}) {
        try {
            const sluice::PostgresStore store{text};
            FAIL("accepted: " << text);
        } catch (const std::invalid_argument& error) {
            CHECK(std::string{error.what()}.find("hunter2") == std::string::npos);
        }
    }
    CHECK_THROWS_AS((sluice::PostgresStore{std::string{"host=a\0b", 8}}), std::invalid_argument);
}

TEST_CASE("options are checked") {
    using Options = sluice::PostgresOptions;
    const auto make = [](Options options) { return sluice::PostgresStore{"host=127.0.0.1", std::move(options)}; };
    CHECK_NOTHROW(make({}));
    CHECK_THROWS_AS(make({.timeout = std::chrono::milliseconds{0}}), std::invalid_argument);
    CHECK_THROWS_AS(make({.timeout = std::chrono::hours{1}}), std::invalid_argument);
    CHECK_THROWS_AS(make({.connections = 0}), std::invalid_argument);
    CHECK_THROWS_AS(make({.connections = 65}), std::invalid_argument);
    for (const char* schema : {"", "1a", "A", "pg_x", "a-b", "a;b", "a b", "a\"b", "ä"}) {
        INFO(schema);
        CHECK_THROWS_AS(make({.schema = schema}), std::invalid_argument);
    }
    CHECK_THROWS_AS(make({.schema = std::string(41, 'a')}), std::invalid_argument);
    for (const char* schema : {"a`", "a{", "a/", "a:", "`", "{"}) {
        INFO(schema);
        CHECK_THROWS_AS(make({.schema = schema}), std::invalid_argument);
    }
    for (const char* schema : {"_limits_2", "a", "z", "az09_"}) CHECK_NOTHROW(make({.schema = schema}));

    const auto stats = make({}).stats();
    for (const auto number : {stats.statements, stats.failures, stats.dials, stats.breaker_openings})
        CHECK(number == 0);
    CHECK(stats.connections == 0);
    CHECK(stats.waiting == 0);
    CHECK_FALSE(stats.breaker_is_open);
    const sluice::PostgresStats none;
    for (const auto number : {none.statements, none.failures, none.dials, none.breaker_openings}) CHECK(number == 0);
    CHECK_FALSE(none.breaker_is_open);
}

TEST_CASE("rows are swept every 100 ms, more pages the more keys are new, and on from where the last sweep ended") {
    using sluice::detail::postgres::Sweeper;
    using namespace std::chrono_literals;
    Sweeper sweeper;
    const Sweeper::Clock::time_point start{1h};
    CHECK(sweeper.is_due(start));
    CHECK_FALSE(sweeper.is_due(start));
    CHECK_FALSE(sweeper.is_due(start + 100ms - 1ns));
    CHECK(sweeper.is_due(start + 100ms));
    CHECK_FALSE(sweeper.is_due(start + 100ms));

    const auto has = [&](const std::string& text) { return sweeper.text("limits").find(text) != std::string::npos; };
    CHECK(has("\"limits\".sweep_2('"));
    CHECK(has(",'8'::pg_catalog.int4)"));
    sweeper.note_new_keys(1'000);
    sweeper.note_new_keys(200);
    CHECK(has(",'100'::pg_catalog.int4)"));
    sweeper.note_new_keys(1'199);
    CHECK(has(",'98'::pg_catalog.int4)"));
    sweeper.note_new_keys(1'000'000);
    CHECK(has(",'256'::pg_catalog.int4)"));
    sweeper.learn("123");
    CHECK(has("sweep_2('123'::pg_catalog.int8"));
    for (const char* nothing : {"", "x", "-1", "99999999999999999999"}) sweeper.learn(nothing);
    CHECK(has("sweep_2('123'::pg_catalog.int8"));
    sweeper.learn("0");
    CHECK(has("sweep_2('0'::pg_catalog.int8"));
}

TEST_CASE("no timeout of a transaction is 0, which would be none, nor shorter than it was meant") {
    using sluice::detail::postgres::transaction_settings;
    using namespace std::chrono_literals;
    const auto ends_with = [](const std::string& text, const char* end) { return text.ends_with(end); };
    CHECK(ends_with(transaction_settings(0s, 1ns), "lock_timeout=1;SET LOCAL statement_timeout=1;"));
    CHECK(ends_with(transaction_settings(1500us, 2s), "lock_timeout=2;SET LOCAL statement_timeout=2000;"));
}

TEST_CASE("the schema's text is for the schema and table that the options name") {
    const auto usual = sluice::schema_sql();
    CHECK(usual.find("CREATE UNLOGGED TABLE IF NOT EXISTS \"sluice\".state_2") != std::string::npos);
    const auto other = sluice::schema_sql({.schema = "limits", .logged = true});
    CHECK(other.find("CREATE TABLE IF NOT EXISTS \"limits\".state_2") != std::string::npos);
    CHECK(other.find("sluice.") == std::string::npos);
    CHECK(other.find("UNLOGGED") == std::string::npos);
}

TEST_CASE("what changed nothing and may work at once is tried again") {
    for (const char* state : {"40001", "40P01", "25006"}) CHECK(postgres::is_worth_a_retry(state));
    for (const char* state : {"", "40000", "55P03", "57014", "42P01"}) CHECK_FALSE(postgres::is_worth_a_retry(state));
}

TEST_CASE("errors are classed by SQLSTATE") {
    using Concerns = sluice::detail::postgres::ErrorReport::Concerns;
    const auto check = [](const char* sqlstate, Errc code, Concerns concerns) {
        INFO(sqlstate);
        CHECK(sluice::detail::postgres::classify(sqlstate).code == code);
        CHECK(sluice::detail::postgres::classify(sqlstate).concerns == concerns);
    };
    check("55P03", Errc::busy, Concerns::request);
    check("40001", Errc::busy, Concerns::request);
    check("57014", Errc::busy, Concerns::server);
    check("53300", Errc::busy, Concerns::connection);
    check("53100", Errc::server_full, Concerns::request);
    check("53200", Errc::server_full, Concerns::request);
    check("54000", Errc::server_full, Concerns::request);
    check("57P03", Errc::loading, Concerns::connection);
    check("57P01", Errc::disconnected, Concerns::connection);
    check("08006", Errc::disconnected, Concerns::connection);
    check("25006", Errc::read_only, Concerns::connection);
    check("0A000", Errc::read_only, Concerns::connection);
    check("28P01", Errc::authentication, Concerns::connection);
    check("42501", Errc::permission, Concerns::request);
    check("42P01", Errc::unsupported, Concerns::request);
    check("22003", Errc::server_error, Concerns::request);
    CHECK(sluice::detail::postgres::sqlstate_in("connection to server at \"::1\", port 5432 failed: FATAL:  28P01\n") ==
          "28P01");
    CHECK(sluice::detail::postgres::sqlstate_in("FATAL:  3D000") == "3D000");
    CHECK(sluice::detail::postgres::sqlstate_in("connection refused:  Is the server running?").empty());
    for (const char* none : {"", ":  ", ":  57P0", ":  57p01", ":  57P0:", ":  57 01", ":  57P0/", ":  57P0["})
        CHECK(sluice::detail::postgres::sqlstate_in(none).empty());
    for (const char* code : {"00000", "99999", "AAAAA", "ZZZZZ"})
        CHECK(sluice::detail::postgres::sqlstate_in(std::string{"a:  b:  "} + code + ":  no") == code);
}
