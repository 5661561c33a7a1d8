// SPDX-License-Identifier: MIT

#include <chrono>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <sluice/postgres.hpp>
#include <sluice/sluice.hpp>

#include "support/catch.hpp"
#include "support/postgres_server.hpp"

using namespace std::chrono_literals;

namespace {

PostgresServer& server() {
    static PostgresServer only{{"autovacuum=off"}};
    return only;
}

sluice::PostgresStore new_store(const std::string& schema) {
    sluice::PostgresStore store{server().connection_string(), {.timeout = 10s, .schema = schema}};
    REQUIRE_FALSE(store.ensure_schema());
    return store;
}

int rows(const std::string& schema, const std::string& condition = "true") {
    return std::stoi(server().command("SELECT count(*) FROM " + schema + ".state_2 WHERE " + condition));
}

void make_due(const std::string& schema, const std::string& condition) {
    server().command("UPDATE " + schema + ".state_2 SET due = now() - interval '1 hour' WHERE " + condition);
}

/// A round through the whole table, as a process makes it in many steps.
void sweep_all(const std::string& schema) { server().command("SELECT " + schema + ".sweep_2(0, 100000)"); }

const sluice::TokenBucket thousand{1'000, sluice::per_day(1)};
constexpr auto is_old = "convert_from(key, 'UTF8') LIKE 'old%'";

}  // namespace

TEST_CASE("a sweep removes rows that are due, and no others") {
    const sluice::RateLimiter limiter{thousand, new_store("due")};
    for (int i = 0; i != 100; ++i) CHECK(limiter.try_consume("old" + std::to_string(i)));
    CHECK(limiter.try_consume("kept", 10));
    make_due("due", is_old);
    const PostgresServer::Session other{server()};
    other.command("BEGIN");
    other.command("SELECT 1 FROM due.state_2 WHERE key = 'old7' FOR UPDATE");  // skipped, not waited for
    sweep_all("due");
    CHECK(rows("due", is_old) == 1);
    other.command("COMMIT");
    sweep_all("due");
    CHECK(rows("due", is_old) == 0);
    CHECK(limiter.peek("kept").remaining == 990);
    CHECK(limiter.peek("old1").remaining == 1'000);
}

TEST_CASE("a sweep looks at the pages that it is asked for, and one process at a time sweeps") {
    const auto store = new_store("pages");
    const sluice::RateLimiter limiter{thousand, store};
    std::vector<std::string> names;
    for (int i = 0; i != 2'000; ++i) names.push_back("old" + std::to_string(i));
    std::vector<std::string_view> keys{names.begin(), names.end()};
    std::vector<sluice::Decision> decisions(keys.size());
    limiter.try_consume_many(keys, decisions);
    make_due("pages", "true");
    server().command("VACUUM pages.state_2");
    const auto pages = std::stoi(server().command("SELECT pg_relation_size('pages.state_2') / 8192"));
    REQUIRE(pages > 20);
    const auto before = rows("pages");
    const auto sweep = [](int hand) {
        return server().command("SELECT pages.sweep_2(" + std::to_string(hand) + ", 4)");
    };

    const PostgresServer::Session other{server()};
    other.command("BEGIN");
    other.command("SELECT pages.sweep_2(0, 0)");
    CHECK(sweep(pages * 3 + 8) == std::to_string(pages * 3 + 8));  // not done
    CHECK(rows("pages") == before);
    other.command("COMMIT");

    CHECK(sweep(pages * 3 + 8) == "12");
    const auto removed = before - rows("pages");
    CHECK(removed > 0);
    CHECK(removed <= 4 * 291);
    CHECK(rows("pages", "ctid >= '(8,0)' AND ctid < '(12,0)'") == 0);
    CHECK(sweep(pages - 1) == std::to_string(pages + 3));  // from the end on to the beginning
    CHECK(sweep(pages + 3) == "7");
}

TEST_CASE("whoever decides keeps the table small, without waiting for it") {
    const auto store = new_store("busy");
    const sluice::RateLimiter limiter{thousand, store};
    for (int i = 0; i != 500; ++i) CHECK(limiter.try_consume("old" + std::to_string(i)));
    make_due("busy", is_old);
    const auto statements = store.stats().statements;
    int decisions = 0;
    const auto start = std::chrono::steady_clock::now();
    while (rows("busy", is_old) != 0 && std::chrono::steady_clock::now() - start < 60s) {
        CHECK(limiter.try_consume("kept").error == std::error_code{});
        ++decisions;
    }
    CHECK(rows("busy", is_old) == 0);
    CHECK(store.stats().statements - statements == static_cast<std::uint64_t>(decisions));
    CHECK(store.stats().connections == 1);
}

TEST_CASE("an old snapshot does not make sweeps or new keys cost more and more") {
    const auto store = new_store("snapshot");
    const sluice::RateLimiter limiter{thousand, store};
    const PostgresServer::Session report{server()};
    report.command("BEGIN ISOLATION LEVEL REPEATABLE READ");
    report.command("SELECT count(*) FROM snapshot.state_2");

    auto add_keys = [&, next = 0](int count) mutable {
        std::vector<std::string> names;
        for (int i = 0; i != count; ++i) names.push_back("old" + std::to_string(next++));
        const std::vector<std::string_view> keys{names.begin(), names.end()};
        std::vector<sluice::Decision> decisions(keys.size());
        limiter.try_consume_many(keys, decisions);
        for (const auto& decision : decisions) CHECK_FALSE(decision.error);
    };
    /// The blocks that a statement reads: work, whatever else the machine does.
    const auto buffers = [&](const std::string& sql) {
        const auto plan = server().command("EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) " + sql);
        const auto at = plan.find("\"Shared Hit Blocks\": ");
        return std::stoi(plan.substr(at + 21));
    };
    const std::string sweep = "SELECT snapshot.sweep_2(0, 8)";
    const auto new_key = [](int i) {
        return "SELECT snapshot.decide_2(7, ARRAY['new" + std::to_string(i) +
               "'::bytea], '{fixed_window}', '{10,1000000000000,0,0}', 'consume', 1, 5000000000, NULL)";
    };
    add_keys(3'000);
    make_due("snapshot", "true");
    buffers(sweep);  // plans of functions are made once
    buffers(new_key(0));
    const int sweep_before = buffers(sweep);
    const int key_before = buffers(new_key(1));
    for (int round = 0; round != 7; ++round) {
        add_keys(3'000);
        make_due("snapshot", "due > now()");
        sweep_all("snapshot");
    }
    CHECK(rows("snapshot", "due < now()") == 0);
    CHECK(buffers(sweep) < 2 * sweep_before + 500);
    CHECK(buffers(new_key(2)) < 2 * key_before + 100);
    report.command("COMMIT");
}
