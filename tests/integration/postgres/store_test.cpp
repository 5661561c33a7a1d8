// SPDX-License-Identifier: MIT

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <sluice/postgres.hpp>
#include <sluice/sluice.hpp>

#include "support/carrying.hpp"
#include "support/catch.hpp"
#include "support/postgres_server.hpp"
#include "support/process.hpp"
#include "support/random.hpp"
#include "support/threads.hpp"

using namespace std::chrono_literals;
using sluice::Errc;

namespace {

/// One server for all tests here; nothing runs in it but what the tests ask for.
PostgresServer& server() {
    static PostgresServer only{{"autovacuum=off"}};
    return only;
}

constexpr auto busy = 10s;  // for an answer, since the machine may be

sluice::PostgresStore new_store(sluice::PostgresOptions options = {}) {
    options.timeout = busy;
    sluice::PostgresStore store{server().connection_string(), std::move(options)};
    REQUIRE_FALSE(store.ensure_schema());
    return store;
}

const sluice::TokenBucket thousand{1'000, sluice::per_day(1)};

}  // namespace

TEST_CASE("four threads admit exactly the capacity") {
    const sluice::RateLimiter limiter{thousand, new_store(), {.name = "threads"}};
    std::atomic<int> admitted{0};
    std::atomic<int> failed{0};
    run_threads(4, [&](int) {
        for (int i = 0; i != 2'000; ++i) {
            const auto decision = limiter.try_consume("key");
            admitted += decision.allowed ? 1 : 0;
            failed += decision.error ? 1 : 0;
        }
    });
    CHECK(failed == 0);
    CHECK(admitted == 1'000);
}

TEST_CASE("two processes admit exactly the capacity") {
    const auto store = new_store();
    std::array<int, 2> ends{};
    REQUIRE(::pipe(ends.data()) == 0);
    for (int process = 0; process != 2; ++process) {
        const pid_t child = ::fork();
        if (child == 0) {
            const sluice::RateLimiter limiter{thousand, store, {.name = "processes"}};
            int admitted = 0;
            for (int i = 0; i != 1'500; ++i) {
                const auto decision = limiter.try_consume("key");
                if (decision.error) admitted = -1'000'000;
                admitted += decision.allowed ? 1 : 0;
            }
            ::_exit(::write(ends[1], &admitted, sizeof admitted) == sizeof admitted ? 0 : 1);
        }
    }
    int sum = 0;
    for (int process = 0; process != 2; ++process) {
        int admitted = 0;
        REQUIRE(::read(ends[0], &admitted, sizeof admitted) == sizeof admitted);
        sum += admitted;
        ::wait(nullptr);
    }
    ::close(ends[0]);
    ::close(ends[1]);
    CHECK(sum == 1'000);
}

TEST_CASE("a forked child uses connections of its own") {
    const sluice::RateLimiter limiter{thousand, new_store(), {.name = "fork"}};
    CHECK_FALSE(limiter.try_consume("key").error);
    const auto dials = limiter.store().stats().dials;
    for (int i = 0; i != 5; ++i) {
        const pid_t child = ::fork();
        if (child == 0) ::_exit(limiter.try_consume("key").error ? 1 : 0);
        CHECK(status_of(child) == 0);
        CHECK_FALSE(limiter.try_consume("key").error);
    }
    CHECK(limiter.peek("key").remaining == 989);
    CHECK(limiter.store().stats().dials == dials);
}

TEST_CASE("a child that has closed what it inherited keeps the files that it opens") {
    const sluice::RateLimiter limiter{thousand, new_store(), {.name = "closed"}};
    CHECK_FALSE(limiter.try_consume("key").error);
    const pid_t child = ::fork();
    if (child == 0) {
        std::array<int, 32> files{};
        for (int fd = 3; fd != 64; ++fd) ::close(fd);
        for (int& file : files) file = ::open("/dev/null", O_RDWR);  // as a daemon opens its logs
        bool is_good = !limiter.try_consume("key").error;
        for (const int file : files) {
            struct stat status {};
            is_good = is_good && ::fstat(file, &status) == 0 && S_ISCHR(status.st_mode);
        }
        ::_exit(is_good ? 0 : 1);
    }
    CHECK(status_of(child) == 0);
    CHECK(limiter.peek("key").remaining == 998);
}

TEST_CASE("many may create the schema at once") {
    for (int round = 0; round != 3; ++round) {
        server().command("DROP SCHEMA IF EXISTS crowded CASCADE");
        std::atomic<int> failed{0};
        run_threads(8, [&](int) {
            const sluice::PostgresStore store{server().connection_string(), {.timeout = busy, .schema = "crowded"}};
            failed += store.ensure_schema(30s) ? 1 : 0;
        });
        CHECK(failed == 0);
        CHECK(server().command("SELECT count(*) FROM pg_proc WHERE pronamespace = 'crowded'::regnamespace") ==
              std::to_string(std::size(sluice::detail::postgres::functions)));
    }
}

TEST_CASE("the schema is created where something of it is missing, and left alone where not") {
    const sluice::PostgresStore store{server().connection_string(), {.timeout = busy, .schema = "partial"}};
    const sluice::RateLimiter limiter{thousand, store};
    CHECK(limiter.try_consume("key").error == Errc::unsupported);
    REQUIRE_FALSE(store.ensure_schema());
    CHECK_FALSE(limiter.try_consume("key").error);
    const std::string version = "SELECT xmin FROM pg_proc WHERE oid = 'partial.decide_2'::regproc";
    const auto before = server().command(version);
    REQUIRE_FALSE(store.ensure_schema());
    CHECK(server().command(version) == before);
    server().command("DROP TABLE partial.state_2");
    REQUIRE_FALSE(store.ensure_schema());
    CHECK_FALSE(limiter.try_consume("key").error);
    CHECK(server().command("SELECT relpersistence FROM pg_class WHERE oid = 'partial.state_2'::regclass") == "u");
}

TEST_CASE("the schema's text can be run by hand, again and again") {
    const sluice::PostgresOptions options{.timeout = busy, .schema = "by_hand", .logged = true};
    CHECK(server().command(sluice::schema_sql(options)) == "");
    CHECK(server().command(sluice::schema_sql(options)) == "");
    CHECK(server().command("SELECT relpersistence FROM pg_class WHERE oid = 'by_hand.state_2'::regclass") == "p");
    const sluice::PostgresStore store{server().connection_string(), options};
    CHECK_FALSE(sluice::RateLimiter(thousand, store).try_consume("key").error);
}

TEST_CASE("whoever may not create may use what is there") {
    REQUIRE_FALSE(new_store({.schema = "granted"}).ensure_schema());
    server().command(
        "CREATE ROLE guest LOGIN; GRANT USAGE ON SCHEMA granted TO guest; "
        "GRANT SELECT, INSERT, UPDATE, DELETE ON granted.state_2 TO guest");
    const auto guest = server().connection_string() + " user=guest";
    const sluice::PostgresStore store{guest, {.timeout = busy, .schema = "granted"}};
    CHECK_FALSE(store.ensure_schema());
    CHECK_FALSE(sluice::RateLimiter(thousand, store).try_consume("key").error);
    CHECK((sluice::PostgresStore{guest, {.schema = "elsewhere"}}.ensure_schema()) == Errc::permission);
    server().command("REVOKE ALL ON granted.state_2 FROM guest");
    CHECK(sluice::RateLimiter(thousand, store).try_consume("key").error == Errc::permission);
}

TEST_CASE("a denial writes nothing") {
    const auto store = new_store();
    const auto check = [&](const auto& policy) {
        const sluice::RateLimiter limiter{policy, store, {.name = "denials"}};
        const std::string name{policy.kind};
        CHECK(limiter.try_consume(name, 5));
        const std::string transactions = "SELECT pg_snapshot_xmax(pg_current_snapshot())";
        const auto before = server().command(transactions);
        for (int i = 0; i != 50; ++i) {
            CHECK_FALSE(limiter.try_consume(name));
            CHECK_FALSE(limiter.peek(name, 2));
        }
        CHECK(server().command(transactions) == before);  // nothing that writes goes without a transaction's number
    };
    check(sluice::TokenBucket{5, sluice::per_day(1)});
    check(sluice::LeakyBucket{5, sluice::per_day(1)});
    check(sluice::FixedWindow{5, 2400h});
    check(sluice::SlidingWindow{5, 24h});
    check(sluice::SlidingWindowCounter{5, 2400h});
    check(sluice::AllOf{sluice::TokenBucket{5, sluice::per_day(1)}, sluice::SlidingWindow{9, 24h}});
}

TEST_CASE("updates touch no index") {
    const auto store = new_store({.schema = "hot"});
    const sluice::RateLimiter limiter{sluice::TokenBucket{100'000, sluice::per_minute(100'000)}, store};
    for (int i = 0; i != 2'000; ++i) CHECK(limiter.try_consume("key" + std::to_string(i % 10)));
    // The session tells its numbers when it has nothing to do for a moment.
    const std::string hot =
        "SELECT (n_tup_upd >= 1900 AND n_tup_hot_upd >= 0.95 * n_tup_upd)::text "
        "FROM pg_stat_user_tables WHERE relid = 'hot.state_2'::regclass";
    bool is_hot = false;
    for (int i = 0; i != 100 && !is_hot; ++i) {
        std::this_thread::sleep_for(100ms);
        static_cast<void>(limiter.peek("key"));
        is_hot = server().command(hot) == "true";
    }
    CHECK(is_hot);
}

TEST_CASE("many keys take one statement") {
    const sluice::RateLimiter limiter{thousand, new_store(), {.name = "many"}};
    CHECK(limiter.try_consume("a"));
    const auto before = limiter.store().stats().statements;
    std::vector<std::string> names;
    for (int i = 0; i != 100; ++i) names.push_back("key" + std::to_string(99 - i));
    const std::string long_key(1'025, 'k');
    std::vector<std::string_view> keys{names.begin(), names.end()};
    keys.push_back("key50");
    keys.push_back(long_key);
    std::vector<sluice::Decision> decisions(keys.size());
    limiter.try_consume_many(keys, decisions);
    CHECK(limiter.store().stats().statements == before + 1);
    for (std::size_t i = 0; i != 100; ++i) CHECK(decisions[i].remaining == 999);
    CHECK(decisions[100].remaining == 998);
    CHECK(decisions[101].error == Errc::invalid_argument);
    CHECK(limiter.try_consume(long_key).error == Errc::invalid_argument);
    CHECK(limiter.store().stats().statements == before + 1);
}

TEST_CASE("batches with the same keys in any order do not wait for each other in a circle") {
    const sluice::RateLimiter limiter{sluice::TokenBucket{10'000, sluice::per_day(1)}, new_store(), {.name = "order"}};
    std::atomic<int> failed{0};
    run_threads(4, [&](int thread) {
        std::vector<std::string> names;
        for (int i = 0; i != 60; ++i) names.push_back("key" + std::to_string(thread % 2 == 0 ? i : 59 - i));
        const std::vector<std::string_view> keys{names.begin(), names.end()};
        std::vector<sluice::Decision> decisions(keys.size());
        for (int i = 0; i != 50; ++i) {
            limiter.try_consume_many(keys, decisions);
            for (const auto& decision : decisions) failed += decision.error ? 1 : 0;
        }
    });
    CHECK(failed == 0);
    for (int i = 0; i != 60; ++i) CHECK(limiter.peek("key" + std::to_string(i)).remaining == 9'800);
}

TEST_CASE("time is the server's") {
    const sluice::RateLimiter limiter{sluice::TokenBucket{1, sluice::Rate{1, 2s}}, new_store(), {.name = "clock"}};
    CHECK(limiter.try_consume("key"));
    const auto denied = limiter.try_consume("key");
    CHECK_FALSE(denied);
    CHECK(denied.retry_after > 0ns);
    CHECK(denied.retry_after <= 2s);
    std::this_thread::sleep_for(denied.retry_after);
    CHECK(limiter.try_consume("key"));

    const sluice::RateLimiter window{sluice::FixedWindow{5, 1h}, new_store(), {.name = "clock"}};
    CHECK(window.try_consume("key"));
    const auto since_epoch = std::chrono::system_clock::now().time_since_epoch();
    const auto rest = 1h - since_epoch % 1h;
    CHECK(std::chrono::abs(window.peek("key").reset_after - rest) < 10s);
}

TEST_CASE("the constructor does not dial, and works without a server") {
    const sluice::PostgresStore store{"host=127.0.0.1 port=1 dbname=nowhere"};
    CHECK(store.stats().dials == 0);
    const sluice::RateLimiter limiter{thousand, store};
    for (int i = 0; i != 5; ++i) CHECK(limiter.try_consume("key").error == Errc::refused);
    CHECK(limiter.try_consume("key").error == Errc::breaker_open);
    CHECK(limiter.try_consume("key").allowed);
    CHECK(store.stats().breaker_is_open);
    CHECK(store.stats().breaker_openings == 1);
    CHECK(store.ensure_schema() == Errc::refused);
    CHECK(store.ping(1s) == Errc::refused);
}

TEST_CASE("the database's default isolation does not matter") {
    for (const std::string level : {"serializable", "repeatable read"}) {
        INFO(level);
        const std::string role = level.substr(0, 4);
        server().command("CREATE ROLE " + role + " LOGIN SUPERUSER; ALTER ROLE " + role +
                         " SET default_transaction_isolation = '" + level + "'");
        const sluice::PostgresStore store{server().connection_string() + " user=" + role, {.timeout = busy}};
        REQUIRE_FALSE(store.ensure_schema());
        const sluice::RateLimiter limiter{thousand, store, {.name = level}};
        std::atomic<int> admitted{0};
        std::atomic<int> failed{0};
        run_threads(4, [&](int thread) {
            for (int i = 0; i != 400; ++i) {
                const auto decision = limiter.try_consume("key");
                admitted += decision.allowed ? 1 : 0;
                failed += decision.error ? 1 : 0;
                failed += limiter.try_consume(std::to_string(thread) + "/" + std::to_string(i)).error ? 1 : 0;
            }
        });
        CHECK(failed == 0);
        CHECK(admitted == 1'000);
    }
}

TEST_CASE("an edited function is made what it was") {
    const sluice::PostgresStore store{server().connection_string(), {.timeout = busy, .schema = "edited"}};
    REQUIRE_FALSE(store.ensure_schema());
    const sluice::RateLimiter limiter{sluice::FixedWindow{1, 2400h}, store};
    const std::string head = "CREATE OR REPLACE FUNCTION edited.fixed_window_2(";
    const std::string arguments{sluice::detail::postgres::sql::policy_arguments};
    server().command(head + arguments + ") LANGUAGE plpgsql AS $$ BEGIN fits := true; END $$");
    REQUIRE_FALSE(store.ensure_schema());
    CHECK(limiter.try_consume("key"));
    CHECK_FALSE(limiter.try_consume("key"));
    server().command("ALTER FUNCTION edited.decide_2 RESET search_path");
    REQUIRE_FALSE(store.ensure_schema());
    CHECK(server().command("SELECT proconfig FROM pg_proc WHERE oid = 'edited.decide_2'::regproc") ==
          "{\"search_path=pg_catalog, pg_temp\"}");
}

TEST_CASE("a schema may have any name") {
    for (const std::string schema : {"user", "select", "order", "table", "sluice_", "public"}) {
        INFO(schema);
        const sluice::PostgresStore store{server().connection_string(), {.timeout = busy, .schema = schema}};
        CHECK_FALSE(store.ensure_schema());
        CHECK_FALSE(store.ensure_schema());
        const sluice::RateLimiter limiter{thousand, store};
        CHECK(limiter.try_consume("key").remaining == 999);
        CHECK(limiter.try_consume("key").remaining == 998);
    }
}

TEST_CASE("a policy that cannot end in time is refused") {
    const auto store = new_store();
    CHECK_NOTHROW(sluice::RateLimiter(sluice::SlidingWindow{10'000, 24h}, store));
    CHECK_THROWS_AS(sluice::RateLimiter(sluice::SlidingWindow{10'001, 24h}, store), std::invalid_argument);
    CHECK_THROWS_AS(
        sluice::RateLimiter(sluice::AllOf{sluice::FixedWindow{1, 1h}, sluice::SlidingWindow{10'001, 24h}}, store),
        std::invalid_argument);
    const sluice::RateLimiter limiter{sluice::SlidingWindow{10, 24h}, store, {.name = "refused"}};
    const auto refused = limiter.try_consume("key", 1, sluice::SlidingWindow{10'001, 24h});
    CHECK(refused.error == Errc::misconfigured);
    CHECK_FALSE(refused.allowed);
    CHECK(limiter.try_consume("key"));
}

TEST_CASE("a ping asks for what decisions need, on a connection of its own") {
    const sluice::PostgresStore store{server().connection_string(), {.timeout = busy, .schema = "pinged"}};
    CHECK(store.ping(busy) == Errc::unsupported);
    REQUIRE_FALSE(store.ensure_schema());
    CHECK_FALSE(store.ping(busy));
    CHECK(store.stats().connections == 0);
    CHECK_FALSE(store.stats().breaker_is_open);
    server().command(
        "CREATE ROLE watcher LOGIN; GRANT USAGE ON SCHEMA pinged TO watcher; GRANT SELECT ON pinged.state_2 TO "
        "watcher");
    CHECK(sluice::PostgresStore(server().connection_string() + " user=watcher", {.schema = "pinged"}).ping(busy) ==
          Errc::permission);
}

TEST_CASE("who waits for a connection is served in turn") {
    const sluice::PostgresStore store{server().connection_string(),
                                      {.timeout = busy, .connections = 1, .max_waiting = 3}};
    REQUIRE_FALSE(store.ensure_schema());
    const sluice::RateLimiter limiter{thousand, store, {.name = "queue"}};
    CHECK(limiter.try_consume("held"));
    const PostgresServer::Session other{server()};
    other.command("BEGIN");
    other.command("SELECT 1 FROM sluice.state_2 WHERE key = 'held' FOR UPDATE");

    const auto wait_for = [&](std::size_t waiting) {
        while (store.stats().waiting != waiting) std::this_thread::yield();
    };
    std::array<sluice::Decision, 4> decisions;
    std::vector<std::thread> threads;
    threads.emplace_back([&] { decisions[0] = limiter.try_consume("held"); });
    while (other.command("SELECT count(*) FROM pg_locks WHERE NOT granted") == "0") std::this_thread::yield();
    for (std::size_t i = 1; i != 4; ++i) {
        threads.emplace_back([&, i] { decisions[i] = limiter.try_consume("key"); });
        wait_for(i);
    }
    CHECK(limiter.try_consume("key").error == Errc::busy);  // a fourth that waits is one too many
    other.command("COMMIT");
    for (auto& thread : threads) thread.join();
    CHECK_FALSE(decisions[0].error);
    for (std::size_t i = 1; i != 4; ++i) CHECK(decisions[i].remaining == 1'000 - i);
    CHECK(store.stats().waiting == 0);
}

namespace {

/// What threads that wait for the only connection are told, after it was held by one that waited for another's row.
/// `while_they_wait` runs meanwhile.
template <class Limiter, class WhileTheyWait>
std::vector<sluice::Decision> decided_together(const Limiter& limiter, const std::vector<std::string>& keys,
                                               WhileTheyWait while_they_wait) {
    REQUIRE(limiter.try_consume("held"));
    for (const auto& key : keys) REQUIRE(limiter.try_consume(key));
    const PostgresServer::Session other{server()};
    other.command("BEGIN");
    other.command("SELECT 1 FROM sluice.state_2 WHERE key = 'held' FOR UPDATE");
    std::thread holder{[&] { CHECK(limiter.try_consume("held").allowed); }};
    while (server().command("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'") != "1")
        std::this_thread::sleep_for(1ms);
    std::vector<sluice::Decision> decisions(keys.size());
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i != keys.size(); ++i)
        threads.emplace_back([&, i] { decisions[i] = limiter.try_consume(keys[i]); });
    while (limiter.store().stats().waiting != keys.size()) std::this_thread::sleep_for(1ms);
    while_they_wait();
    other.command("COMMIT");
    holder.join();
    for (auto& thread : threads) thread.join();
    return decisions;
}

}  // namespace

TEST_CASE("callers that wait for a connection are decided by one statement") {
    const sluice::PostgresStore store{server().connection_string(), {.timeout = busy, .connections = 1}};
    REQUIRE_FALSE(store.ensure_schema());
    const sluice::RateLimiter limiter{thousand, store, {.name = "together"}};
    std::uint64_t before = 0;
    const auto decisions =
        decided_together(limiter, {"c", "a", "b", "a", "d", "a"}, [&] { before = store.stats().statements; });
    CHECK(store.stats().statements == before + 2);  // the holder's, and theirs
    std::vector<std::uint64_t> of_a;
    for (const std::size_t i : {1U, 3U, 5U}) of_a.push_back(decisions[i].remaining);
    std::sort(of_a.begin(), of_a.end());
    CHECK(of_a == std::vector<std::uint64_t>{994, 995, 996});
    for (const std::size_t i : {0U, 2U, 4U}) CHECK(decisions[i].remaining == 998);
}

TEST_CASE("one of them whose row is locked fails alone") {
    const sluice::PostgresStore store{server().connection_string(), {.timeout = 3s, .connections = 1}};
    REQUIRE_FALSE(store.ensure_schema());
    const sluice::RateLimiter limiter{thousand, store, {.name = "apart"}};
    const PostgresServer::Session third{server()};
    const auto decisions = decided_together(limiter, {"locked", "x", "y", "z"}, [&] {
        third.command("BEGIN");
        third.command("SELECT 1 FROM sluice.state_2 WHERE key = 'locked' FOR UPDATE");
    });
    CHECK(decisions[0].error == Errc::busy);
    for (const std::size_t i : {1U, 2U, 3U}) CHECK(decisions[i].remaining == 998);
    CHECK(store.stats().breaker_openings == 0);
    third.command("COMMIT");
    CHECK(limiter.peek("locked").remaining == 999);
}

TEST_CASE("a limit whose numbers change takes over what is used") {
    const auto store = new_store();
    carries_over_between_all_policies(store);
    carries_over_once(store);
}
