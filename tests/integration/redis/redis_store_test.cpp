// SPDX-License-Identifier: MIT

#include <atomic>
#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <sluice/layers/share.hpp>
#include <sluice/redis.hpp>
#include <sluice/sluice.hpp>

#include "support/carrying.hpp"
#include "support/catch.hpp"
#include "support/redis_server.hpp"
#include "support/threads.hpp"

using namespace std::chrono_literals;
using sluice::Errc;

TEST_CASE("SHA-1 is as in its standard") {
    CHECK(sluice::detail::redis::sha1_hex("abc") == "a9993e364706816aba3e25717850c26c9cd0d89d");
    CHECK(sluice::detail::redis::sha1_hex("") == "da39a3ee5e6b4b0d3255bfef95601890afd80709");
    CHECK(sluice::detail::redis::sha1_hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq") ==
          "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
}

TEST_CASE("options and policies that Redis cannot run are refused, with the value") {
    CHECK_THROWS_AS((sluice::RedisStore{"redis://h", {.timeout = 0ms}}), std::invalid_argument);
    CHECK_THROWS_AS((sluice::RedisStore{"redis://h", {.connections = 0}}), std::invalid_argument);
    CHECK_THROWS_AS((sluice::RedisStore{"redis://h", {.prefix = std::string(300, 'x')}}), std::invalid_argument);

    const sluice::RedisStore store{"redis://127.0.0.1:1"};  // never dialled
    const auto refuses = [&](const auto& policy) {
        CHECK_THROWS_WITH((sluice::RateLimiter{policy, store}), contains_text("RedisStore cannot run a"));
    };
    refuses(sluice::TokenBucket{10, sluice::per_second(1'000'000'000)});
    refuses(sluice::LeakyBucket{10, sluice::per_day(99'999'999'977)});
    refuses(sluice::FixedWindow{10, 1'500ns});
    refuses(sluice::FixedWindow{5'000'000, 1s});
    refuses(sluice::SlidingWindow{10, 1ns});
    refuses(sluice::SlidingWindowCounter{10, 999ns});
    refuses(sluice::AllOf{sluice::TokenBucket{1, sluice::per_second(1)}, sluice::FixedWindow{10, 1'500ns}});
    CHECK_THROWS_WITH((sluice::RateLimiter{sluice::FixedWindow{10, 1'500ns}, sluice::Share{store, 4}}),
                      contains_text("RedisStore cannot run a"));
    const sluice::RateLimiter limiter{sluice::FixedWindow{10, 1s}, store};
    CHECK(limiter.try_consume("key", 1, sluice::FixedWindow{10, 1'500ns}).error == Errc::misconfigured);
    CHECK(store.stats().dials == 0);
}

TEST_CASE("large quotas are exact") {
    RedisServer server;
    const sluice::RedisStore store{server.url(), {.timeout = 10s}};
    const auto run = [&](const auto& policy) {
        const sluice::RateLimiter limiter{policy, store, {.name = "large"}};
        const std::uint64_t limit = policy.quota().limit;
        const auto now = std::chrono::nanoseconds{1'767'225'600s + 1us};
        CHECK(limiter.try_consume_at(now, "key", limit - 1).remaining == 1);
        CHECK_FALSE(limiter.try_consume_at(now, "key", 2));
        const auto last = limiter.try_consume_at(now, "key", 1);
        CHECK(last);
        CHECK(last.remaining == 0);
        const auto denied = limiter.try_consume_at(now, "key", 1);
        CHECK_FALSE(denied.error);
        CHECK_FALSE(limiter.try_consume_at(now + denied.retry_after - 2us, "key", 1));
        const auto then = std::chrono::ceil<std::chrono::microseconds>(now + denied.retry_after);
        CHECK(limiter.try_consume_at(then, "key", 1));
    };
    run(sluice::TokenBucket{1'000'000'000, sluice::per_day(1'000'000)});
    run(sluice::TokenBucket{999'999, sluice::per_day(999'999)});
    run(sluice::TokenBucket{1'000'000'000, sluice::per_second(2'000'000)});
    run(sluice::FixedWindow{1'000'000, 24h});  // two integers do not fit one
    run(sluice::FixedWindow{1'000'000'000'000, 24h * 365});
    run(sluice::SlidingWindowCounter{10'000'000'000, 24h});  // products beyond 2^53
    run(sluice::SlidingWindowCounter{1'000'000'000'000'000, 24h * 365});
    run(sluice::AllOf{sluice::FixedWindow{1'000'000, 24h}});
}

TEST_CASE("keys are namespaced, expire, and cannot choose their hash slot") {
    RedisServer server;
    const sluice::RedisStore store{server.url(), {.timeout = 10s, .prefix = "app"}};
    const sluice::RateLimiter limiter{sluice::TokenBucket{10, sluice::per_second(1)}, store, {.name = "a:p{i}"}};
    CHECK_FALSE(limiter.try_consume("{user}:%1").error);
    const auto key = server.command({"KEYS", "*"});
    CHECK(key.substr(0, 17) == "app:a%3Ap%7Bi%7D:");
    CHECK(key.substr(28) == ":%7Buser%7D:%251");
    const auto life = std::stoll(server.command({"PTTL", key}));
    CHECK(life > 10'000);
    CHECK(life <= 11'000);

    server.command({"PERSIST", key});  // a key without a life gets one
    CHECK(limiter.try_consume("{user}:%1"));
    CHECK(std::stoll(server.command({"PTTL", key})) > 0);
    while (limiter.try_consume("{user}:%1")) {
    }
    const auto value = server.command({"GET", key});
    CHECK_FALSE(limiter.try_consume("{user}:%1", 5));
    CHECK(server.command({"GET", key}) == value);  // a denial writes nothing

    server.command({"FLUSHALL"});
    const sluice::RateLimiter both{
        sluice::AllOf{sluice::TokenBucket{10, sluice::per_second(1)}, sluice::FixedWindow{5, 1h}}, store};
    CHECK(both.try_consume("{x"));
    const auto keys = server.command({"KEYS", "*"});
    const auto middle = keys.find(' ');
    const auto tag = [](const std::string& text) {
        return text.substr(text.find('{'), text.find('}') - text.find('{'));
    };
    CHECK(tag(keys.substr(0, middle)) == tag(keys.substr(middle + 1)));
    CHECK(tag(keys).ends_with(":%7Bx"));
}

TEST_CASE("a key that is too long is an error, for it alone") {
    RedisServer server;
    const sluice::RateLimiter limiter{sluice::FixedWindow{10, 1h}, sluice::RedisStore{server.url(), {.timeout = 10s}}};
    const std::string longest(1'024, 'x');
    const std::string longer(1'025, 'x');
    CHECK_FALSE(limiter.try_consume(longest).error);
    CHECK(limiter.try_consume(longer).error == Errc::invalid_argument);
    std::vector<std::string_view> keys{"a", longer, longest};
    std::vector<sluice::Decision> out(3);
    limiter.try_consume_many(keys, out);
    CHECK(out[0].remaining == 9);
    CHECK(out[1].error == Errc::invalid_argument);
    CHECK(out[2].remaining == 8);
}

TEST_CASE("many decisions take one round trip, and concurrent ones are combined") {
    RedisServer server;
    const sluice::RedisStore store{server.url(), {.timeout = 10s, .connections = 1}};
    const sluice::RateLimiter limiter{sluice::FixedWindow{1'000'000, 1h}, store};
    REQUIRE(limiter.try_consume("key"));
    const auto before = store.stats();
    std::vector<std::string> names;
    for (int i = 0; i != 100; ++i) names.push_back("key" + std::to_string(i));
    std::vector<std::string_view> keys{names.begin(), names.end()};
    std::vector<sluice::Decision> out(keys.size());
    limiter.try_consume_many(keys, out);
    const auto many = store.stats();
    CHECK(many.round_trips - before.round_trips == 1);
    CHECK(many.decisions - before.decisions == 100);

    run_threads(16, [&](int) {
        for (int i = 0; i != 200; ++i) static_cast<void>(limiter.try_consume("key"));
    });
    const auto after = store.stats();
    CHECK(after.decisions - many.decisions == 3'200);
    CHECK(after.round_trips - many.round_trips < 3'000);
    CHECK(after.connections == 1);
    CHECK(after.dials == 1);
    CHECK(limiter.peek("key").remaining == 1'000'000 - 3'201);
}

TEST_CASE("decisions of different costs are combined, each at its own") {
    RedisServer server;
    const sluice::RedisStore store{server.url(), {.timeout = 10s, .connections = 1}};
    const sluice::RateLimiter limiter{sluice::FixedWindow{1'000'000, 10'000h}, store};
    const std::vector<std::string_view> pair{"key", "other"};
    run_threads(16, [&](int thread) {
        std::vector<sluice::Decision> out(2);
        const auto cost = static_cast<std::uint64_t>(thread) % 4;
        for (int i = 0; i != 200; ++i) {
            if (cost == 0) {
                limiter.try_consume_many(pair, out);
            } else {
                static_cast<void>(limiter.try_consume("key", cost));
            }
        }
    });
    const auto stats = store.stats();
    CHECK(stats.decisions == 4 * 200 * (2 + 3));
    CHECK(stats.round_trips < 3'000);
    CHECK(limiter.peek("key").remaining == 1'000'000 - 4 * 200 * (1 + 1 + 2 + 3));
    CHECK(limiter.peek("other").remaining == 1'000'000 - 4 * 200);
}

TEST_CASE("what is given back or only looked at is combined with what is consumed") {
    RedisServer server;
    const sluice::RedisStore store{server.url(), {.timeout = 10s, .connections = 1}};
    const auto run = [&](const auto& policy, const std::string& name) {
        const sluice::RateLimiter limiter{policy, store, {.name = name}};
        REQUIRE(limiter.try_consume("key", 100'000));  // so that there is always enough to give back
        std::atomic<int> errors{0};
        run_threads(16, [&](int thread) {
            for (int i = 0; i != 200; ++i) {
                switch (thread % 4) {
                    case 0: errors += limiter.refund("key", 2) ? 1 : 0; break;
                    case 1: errors += limiter.peek("key").error ? 1 : 0; break;
                    default: errors += limiter.try_consume("key", 5).error ? 1 : 0;
                }
            }
        });
        CHECK(errors == 0);
        CHECK(limiter.peek("key").remaining == 1'000'000 - 100'000 - 200 * (8 * 5 - 4 * 2));
    };
    run(sluice::FixedWindow{1'000'000, 10'000h}, "fixed");
    run(sluice::SlidingWindowCounter{1'000'000, 10'000h}, "counter");
    run(sluice::AllOf{sluice::FixedWindow{1'000'000, 10'000h}, sluice::SlidingWindowCounter{2'000'000, 10'000h}},
        "both");
    CHECK(store.stats().round_trips < 3 * 3'000);
}

TEST_CASE("a user with no more rights than needed suffices") {
    RedisServer server;
    server.command({"ACL",   "SETUSER",  "app",    "reset",  "on",       ">pw",  "~sluice:*", "-@all",
                    "+eval", "+evalsha", "+time",  "+get",   "+mget",    "+set", "+incrby",   "+lindex",
                    "+lset", "+llen",    "+rpush", "+ltrim", "+pexpire", "+del", "+ping"});
    const sluice::RedisStore store{"redis://app:pw@127.0.0.1:" + std::to_string(server.port()), {.timeout = 10s}};
    const auto run = [&](const auto& policy) {
        const sluice::RateLimiter limiter{policy, store};
        std::vector<std::string_view> keys{"a", "b", "a"};
        std::vector<sluice::Decision> out(3);
        limiter.try_consume_many(keys, out);
        for (const auto& decision : out) CHECK_FALSE(decision.error);
        CHECK_FALSE(limiter.try_consume("a", 3).error);
        CHECK_FALSE(limiter.peek("a").error);
        CHECK_FALSE(limiter.refund("a", 1));
        CHECK_FALSE(limiter.reset("a"));
    };
    run(sluice::TokenBucket{5, sluice::per_second(1)});
    run(sluice::LeakyBucket{5, sluice::per_second(1)});
    run(sluice::FixedWindow{5, 1h});
    run(sluice::SlidingWindow{5, 1h});
    run(sluice::SlidingWindowCounter{5, 1h});
    run(sluice::AllOf{sluice::TokenBucket{5, sluice::per_second(1)}, sluice::SlidingWindow{5, 1h}});
    CHECK_FALSE(store.ping(1s));
}

TEST_CASE("a name is looked up, and one without an address is an error in time") {
    RedisServer server;
    const sluice::RateLimiter limiter{
        sluice::FixedWindow{10, 1h},
        sluice::RedisStore{"redis://localhost:" + std::to_string(server.port()), {.timeout = 5s}}};
    CHECK_FALSE(limiter.try_consume("key").error);
    const sluice::RedisStore nobody{"redis://no-such-host.invalid", {.timeout = 200ms}};
    const auto start = std::chrono::steady_clock::now();
    const auto error = nobody.ping(200ms);
    CHECK((error == Errc::unresolved || error == Errc::timeout));
    CHECK(std::chrono::steady_clock::now() - start < 4s);
}

TEST_CASE("a limit whose numbers change takes over what is used") {
    const RedisServer server;
    const sluice::RedisStore store{server.url(), {.timeout = 10s}};
    carries_over_between_all_policies(store);
    carries_over_once(store);
}
