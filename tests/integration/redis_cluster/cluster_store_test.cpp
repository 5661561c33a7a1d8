// SPDX-License-Identifier: MIT

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <unistd.h>

#include <sluice/carry_over.hpp>
#include <sluice/redis.hpp>
#include <sluice/redis/wire/slot.hpp>
#include <sluice/sluice.hpp>

#include "support/carrying.hpp"
#include "support/catch.hpp"
#include "support/process.hpp"
#include "support/redis_cluster.hpp"
#include "support/threads.hpp"

using namespace std::chrono_literals;
using sluice::Decision;
using sluice::Errc;

namespace {

const sluice::FixedWindow hundred{100, 24h};

/// Enough for a machine that is busy with other tests.
const sluice::RedisOptions patient{.timeout = 10s};

/// One for several tests, each with limiters of its own.
RedisCluster& three_masters() {
    static RedisCluster cluster{3};
    return cluster;
}

std::vector<std::string> keys_named(const std::string& name, std::size_t count) {
    std::vector<std::string> keys;
    for (std::size_t i = 0; i != count; ++i) keys.push_back(name + std::to_string(i));
    return keys;
}

}  // namespace

TEST_CASE("a store on a cluster decides as on one server") {
    RedisCluster& cluster = three_masters();
    const sluice::RedisStore redis{cluster.url(1), patient};
    static int number = 0;
    const std::string name = "basic" + std::to_string(++number);
    const sluice::RateLimiter limiter{hundred, redis, {.name = name}};

    SECTION("one key after the other, wherever it lies") {
        for (const auto& key : keys_named("user:", 50)) {
            CHECK(limiter.try_consume(key, 40).remaining == 60);
            CHECK(limiter.peek(key).remaining == 60);
            CHECK_FALSE(limiter.refund(key, 10));
            CHECK(limiter.try_consume(key, 71).allowed == false);
            CHECK_FALSE(limiter.reset(key));
            CHECK(limiter.try_consume(key).remaining == 99);
        }
        CHECK(redis.stats().nodes.size() == 3);
        CHECK(redis.stats().redirections == 0);
        CHECK(redis.stats().map_requests == 1);
    }
    SECTION("many keys at once, on all nodes") {
        const auto keys = keys_named("many:", 1'500);
        std::vector<Decision> decisions(keys.size());
        for (std::uint64_t round = 1; round != 3; ++round) {
            limiter.try_consume_many(keys, decisions);
            for (const Decision& decision : decisions) {
                CHECK_FALSE(decision.error);
                CHECK(decision.remaining == 100 - round);
            }
        }
    }
    SECTION("a key that occurs twice is decided twice, in order") {
        const std::array<std::string_view, 7> keys{"a", "b", "a", "c", "a", "b", "a"};
        std::array<Decision, 7> decisions;
        const sluice::RateLimiter three{sluice::FixedWindow{3, 24h}, redis, {.name = "twice"}};
        three.try_consume_many(keys, decisions);
        std::string allowed;
        for (const Decision& decision : decisions) allowed += decision.error ? 'E' : decision.allowed ? '1' : '0';
        CHECK(allowed == "1111110");
        CHECK(decisions[4].remaining == 0);
        CHECK(decisions[5].remaining == 1);
    }
    SECTION("several limits on a key share its slot") {
        const sluice::RateLimiter both{
            sluice::AllOf{sluice::TokenBucket{10, sluice::per_second(1)}, hundred}, redis, {.name = "both"}};
        const auto keys = keys_named("{all}", 20);
        std::vector<Decision> decisions(keys.size());
        both.try_consume_many(keys, decisions);
        for (const Decision& decision : decisions) CHECK(decision.remaining == 9);
        for (const auto& key : keys) CHECK(both.try_consume(key, 2).error == std::error_code{});
    }
    SECTION("a hash tag in the prefix keeps all keys on one node, in one script") {
        const sluice::RedisStore tagged{cluster.url(), {.timeout = 10s, .prefix = "{limits}"}};
        const sluice::RateLimiter limits{hundred, tagged, {.name = "tagged"}};
        const auto keys = keys_named("user:", 100);
        std::vector<Decision> decisions(keys.size());
        limits.try_consume_many(keys, decisions);
        for (const Decision& decision : decisions) CHECK(decision.remaining == 99);
        CHECK(tagged.stats().scripts <= 2);  // the first time, the server does not know it
    }
    SECTION("a new script is sent to a node once, for however many keys") {
        const sluice::RedisStore fresh{cluster.url(), patient};
        const sluice::RateLimiter limits{hundred, fresh, {.name = "scripts"}};
        for (std::size_t i = 0; i != 3; ++i) {
            cluster.node(i).command({"SCRIPT", "FLUSH"});
            cluster.node(i).command({"CONFIG", "RESETSTAT"});
        }
        const auto keys = keys_named("user:", 300);
        std::vector<Decision> decisions(keys.size());
        limits.try_consume_many(keys, decisions);
        for (const Decision& decision : decisions) CHECK(decision.remaining == 99);
        std::size_t evals = 0;
        for (std::size_t i = 0; i != 3; ++i) {
            const auto stats = cluster.node(i).command({"INFO", "commandstats"});
            evals += stats.find("cmdstat_eval:calls=1,") == std::string::npos ? 0U : 1U;
        }
        CHECK(evals == 3);
    }
    SECTION("a forked child gets connections of its own") {
        CHECK(limiter.try_consume("fork").remaining == 99);
        const pid_t child = ::fork();
        if (child == 0) {
            const bool had_none = redis.stats().connections == 0;
            ::_exit(had_none && limiter.try_consume("fork").remaining == 98 ? 0 : 1);
        }
        CHECK(status_of(child) == 0);
        CHECK(limiter.try_consume("fork").remaining == 97);
    }
    SECTION("ping asks every master") {
        CHECK_FALSE(redis.ping(10s));
        cluster.node(2).command({"CONFIG", "SET", "maxmemory", "1"});
        CHECK(redis.ping(10s) == Errc::server_full);
        cluster.node(2).command({"CONFIG", "SET", "maxmemory", "0"});
        CHECK_FALSE(redis.ping(10s));
    }
}

TEST_CASE("many threads on a cluster count exactly, and none asks for keys of two slots") {
    for (const std::size_t masters : {1U, 3U}) {
        INFO(masters);
        std::optional<RedisCluster> single;
        RedisCluster& cluster = masters == 3 ? three_masters() : single.emplace(masters);
        const sluice::RedisStore redis{cluster.url(), {.timeout = 10s, .connections = 2}};
        const sluice::RateLimiter limiter{hundred, redis, {.name = "threads"}};
        const auto keys = keys_named("shared:", 40);
        std::atomic<int> failed{0}, allowed{0};
        run_threads(16, [&](int thread) {
            std::vector<std::string_view> some;
            for (int i = 0; i != 300; ++i) {
                const auto number = static_cast<std::size_t>(thread * 7 + i);
                if (i % 10 != 9) {
                    const Decision decision = limiter.try_consume(keys[number % keys.size()]);
                    failed += decision.error ? 1 : 0;
                    allowed += decision.allowed ? 1 : 0;
                    continue;
                }
                some.clear();
                for (std::size_t k = 0; k != 5; ++k) some.push_back(keys[(number + k * k) % keys.size()]);
                std::array<Decision, 5> decisions;
                limiter.try_consume_many(std::span<const std::string_view>{some}, decisions);
                for (const Decision& decision : decisions) {
                    failed += decision.error ? 1 : 0;
                    allowed += decision.allowed ? 1 : 0;
                }
            }
        });
        CHECK(failed == 0);
        CHECK(allowed == 40 * 100);
        CHECK(redis.stats().failures == 0);
        for (std::size_t i = 0; i != masters; ++i)
            CHECK(cluster.node(i).command({"INFO", "errorstats"}).find("CROSSSLOT") == std::string::npos);
    }
}

TEST_CASE("a limit whose numbers change takes over what is used, whatever nodes the key's two states are on") {
    RedisCluster& cluster = three_masters();
    SECTION("from every policy to every other, and once") {
        const sluice::RedisStore redis{cluster.url(2), patient};
        carries_over_between_all_policies(redis);
        carries_over_once(redis);
    }
    SECTION("while their slot is moved to another node") {
        const std::string tag = "moved";
        const auto slot = sluice::detail::redis::slot_of(tag);
        const std::size_t from = cluster.first_owner(tag), to = (from + 1) % 3;
        const sluice::RedisStore redis{cluster.url(), {.timeout = 10s, .prefix = "{" + tag + "}"}};
        const auto limiter = [&](int limit) -> sluice::AnyLimiter {
            return sluice::RateLimiter{sluice::TokenBucket{limit, sluice::Rate{1, 1h}}, redis, {.name = "changed"}};
        };
        const auto old = limiter(100);
        const auto keys = keys_named("user:", 20);
        for (const auto& key : keys) REQUIRE(old.try_consume(key, 92));
        const auto changed = sluice::carry_over(limiter(200), old);
        const auto take_8 = [&](std::size_t begin, std::size_t end) {
            for (std::size_t i = begin; i != end; ++i) CHECK(changed.try_consume(keys[i], 8).remaining == 100);
        };
        cluster.begin_move(slot, from, to);
        take_8(0, 10);  // the old state is where it was, the new one is made on the other node
        while (cluster.move_keys(slot, from, to, 10)) {
        }
        take_8(10, 20);  // both are on the other node
        cluster.end_move(slot, from, to);
        for (const auto& key : keys) {
            CHECK(changed.try_consume(key, 100));
            CHECK_FALSE(changed.try_consume(key));
            CHECK(old.peek(key).remaining == 100);
        }
        CHECK(redis.stats().redirections > 0);
        cluster.move(slot, to, from);
    }
}

TEST_CASE("a cluster's URL needs a cluster, and a plain URL none") {
    RedisServer plain;
    const sluice::RedisStore wrong{"redis+cluster://127.0.0.1:" + std::to_string(plain.port()), patient};
    const sluice::RateLimiter limiter{hundred, wrong, {.name = "wrong"}};
    const Decision decision = limiter.try_consume("key");
    CHECK(decision.error == Errc::misconfigured);
    CHECK_FALSE(decision.allowed);
    CHECK(wrong.ping(10s) == Errc::misconfigured);
    CHECK_THROWS_WITH((sluice::RedisStore{"redis+cluster://h", {.prefix = "a{}b"}}),
                      contains_text("without {} for a cluster"));
    CHECK_NOTHROW(sluice::RedisStore{"redis+cluster://h", {.prefix = "{a}{}"}});
}
