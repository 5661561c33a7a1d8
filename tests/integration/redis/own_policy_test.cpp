// SPDX-License-Identifier: MIT

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include <sluice/redis.hpp>
#include <sluice/sluice.hpp>

#include "support/catch.hpp"
#include "support/cooldown_cases.hpp"
#include "support/redis_server.hpp"

using namespace std::chrono_literals;
using sluice::Errc;

TEST_CASE("a policy of one's own runs in Redis") {
    const RedisServer server;
    const auto make_store = [&] { return sluice::RedisStore{server.url(), {.timeout = 10s}}; };
    runs_a_policy_of_ones_own(make_store());
    swaps_exactly_one(make_store);

    // A key lives as long as its state counts, and 6 s longer, for late callers.
    server.command({"FLUSHALL"});
    const sluice::RateLimiter limiter{Cooldown{30s}, make_store(), {.name = "own"}};
    REQUIRE(limiter.try_consume("key"));
    const std::string key = server.command({"KEYS", "*"});
    const auto life = std::stoll(server.command({"PTTL", key}));
    CHECK(life > 26'000);
    CHECK(life <= 36'001);

    // What is not ours is left alone, and its neighbours are decided.
    const std::vector<std::string_view> keys{"key", "other"};
    std::vector<sluice::Decision> out(2);
    for (const std::string_view foreign : {"text", "0000000000 1", "00000000000000000000x"}) {
        INFO(foreign);
        REQUIRE_FALSE(limiter.reset("other"));
        server.command({"SET", key, foreign});
        limiter.try_consume_many(keys, out);
        CHECK(out[0].error == Errc::wrong_type);
        CHECK_FALSE(out[1].error);
        CHECK(server.command({"GET", key}) == foreign);
    }
    server.command({"DEL", key});
    server.command({"RPUSH", key, "element"});
    CHECK(limiter.peek("key").error == Errc::wrong_type);
    CHECK(limiter.peek("other").error == std::error_code{});
}
