// SPDX-License-Identifier: MIT

#include <algorithm>
#include <atomic>
#include <functional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "faults/redis/faults.hpp"
#include "support/fake_server.hpp"
#include "support/threads.hpp"

// Too much is asked of a server that is well, or one caller's trouble might become everybody's.

namespace {

/// So many keys, none twice.
struct Keys {
    explicit Keys(int count) {
        for (int i = 0; i != count; ++i) names.push_back("key" + std::to_string(i));
        views.assign(names.begin(), names.end());
    }
    std::vector<std::string> names;
    std::vector<std::string_view> views;
};

std::size_t failed(const std::vector<sluice::Decision>& decisions, Errc errc) {
    return static_cast<std::size_t>(
        std::count_if(decisions.begin(), decisions.end(), [&](const auto& d) { return d.error == errc; }));
}

Limiter limiter_with(const std::string& url, const sluice::RedisOptions& options,
                     FailureMode mode = FailureMode::allow) {
    return Limiter{sluice::FixedWindow{1'000'000, 24h},
                   sluice::RedisStore{url, options},
                   {.name = "overload", .on_failure = mode}};
}

/// What holds whoever dials, until it is opened.
class Gate {
public:
    void pass() const {
        const auto end =
            std::chrono::steady_clock::now() + 20s;  // so that a fault fails the test instead of hanging it
        while (is_closed && std::chrono::steady_clock::now() < end) std::this_thread::sleep_for(1ms);
    }
    std::atomic<bool> is_closed{false};
};

}  // namespace

TEST_CASE("three thousand keys at once take three round trips") {
    RedisServer redis;
    Proxy proxy{redis.socket_path()};
    proxy.set({.delay = 5ms});
    FakeServer server{[&](const FakePeer& peer) { proxy(peer); }};
    const Limiter limiter = limiter_with(server.url(), {.timeout = 10s});
    const Keys keys{3'000};
    std::vector<sluice::Decision> out(keys.views.size());
    limiter.try_consume_many(keys.views, out);
    for (const auto& decision : out) REQUIRE_FALSE(decision.error);
    CHECK(limiter.store().stats().round_trips == 3);
    CHECK(redis.command({"DBSIZE"}) == "3000");
}

TEST_CASE("a batch that takes too long stops at its deadline, and is nobody else's trouble") {
    RedisServer redis;
    Proxy proxy{redis.socket_path()};
    FakeServer server{[&](const FakePeer& peer) { proxy(peer); }};
    const Limiter limiter = limiter_with(server.url(), {.timeout = 1s, .breaker = {.failures_to_open = 1}});
    const Keys keys{10'000};
    std::vector<sluice::Decision> out(keys.views.size());
    limiter.try_consume_many(std::span{keys.views}.first(2),
                             std::span{out}.first(2));  // the script is known from now on
    proxy.set({.delay = 600ms});
    limiter.try_consume_many(keys.views, out);
    // The second round trip would end at 1,200 ms.
    CHECK(failed(out, Errc::timeout) == 10'000 - 1'024);
    CHECK(redis.command({"DBSIZE"}) == "1024");
    CHECK_FALSE(limiter.store().stats().breaker_is_open);
    proxy.set({});
    CHECK_FALSE(limiter.try_consume("another").error);
    CHECK(limiter.store().stats().dials == 1);
}

TEST_CASE("a full server lifts no limit that is used up") {
    RedisServer server;
    const sluice::RateLimiter limiter{sluice::TokenBucket{5, sluice::per_hour(5)},
                                      sluice::RedisStore{server.url(), {.timeout = patience}}};
    REQUIRE(limiter.try_consume("drained", 5));
    server.command({"CONFIG", "SET", "maxmemory", "100kb"});
    for (int i = 0; i != 20; ++i) {
        for (int n = 0; n != 20; ++n)
            REQUIRE(limiter.try_consume("new" + std::to_string(n)).error == Errc::server_full);
        const auto denied = limiter.try_consume("drained");
        REQUIRE_FALSE(denied.error);
        REQUIRE_FALSE(denied.allowed);
    }
    CHECK(limiter.store().stats().breaker_openings == 0);
    CHECK(limiter.store().ping(1s) == Errc::server_full);
}

TEST_CASE("a connection that is refused does not draw the calls") {
    RedisServer server{{"--maxclients", "2"}};  // the test's own, and one
    const Limiter limiter = limiter_with(server.url(), {.timeout = 10s, .connections = 3});
    REQUIRE_FALSE(limiter.try_consume("key").error);
    std::atomic<std::uint64_t> decided{0}, failures{0};
    run_threads(8, [&](int) {
        const auto end = std::chrono::steady_clock::now() + 1s;
        while (std::chrono::steady_clock::now() < end) ++(limiter.try_consume("key").error ? failures : decided);
    });
    const auto stats = limiter.store().stats();
    INFO(decided << " decided, " << failures << " failed");
    CHECK(stats.errors(Errc::busy) + stats.errors(Errc::disconnected) == failures);
    CHECK(stats.breaker_openings == 0);
    // Two lanes rest for 50, 100, 200, 400, 500 ms ... in between; a group fails with its leader.
    CHECK(stats.dials <= 1 + 2 * 6);
    CHECK(decided > failures);
}

TEST_CASE("connections that the network forgot while idle are not trusted") {
    RedisServer redis;
    Proxy proxy{redis.socket_path()};
    proxy.set({.forgets_after = 100ms});
    FakeServer server{[&](const FakePeer& peer) { proxy(peer); }};
    const Limiter limiter = limiter_with(server.url(), {.timeout = 1s, .max_idle = 50ms});
    for (int i = 0; i != 3; ++i) {
        CHECK_FALSE(limiter.try_consume("key").error);
        pause_for(200ms);
    }
    CHECK(limiter.store().stats().dials == 3);
}

TEST_CASE("health checks hold no calls up, and say what decisions would") {
    SECTION("a server that stands still") {
        RedisServer server;
        const Limiter limiter = limiter_with(server.url(), {.timeout = 50ms, .connections = 1});
        static_cast<void>(limiter.try_consume("key"));
        server.freeze();
        std::atomic<bool> is_over{false};
        std::thread check{[&] {
            CHECK(limiter.store().ping(10s) == std::error_code{});
            is_over = true;
        }};
        for (int i = 0; i != 50 && !limiter.store().stats().breaker_is_open; ++i) {
            static_cast<void>(limiter.try_consume("key"));
        }
        CHECK(limiter.store().stats().breaker_is_open);
        CHECK_FALSE(is_over);
        server.thaw();
        check.join();
    }
    RedisServer server;
    const Limiter limiter = limiter_with(server.url(), {.timeout = patience});
    const auto ping = [&] { return limiter.store().ping(5s); };
    CHECK_FALSE(ping());
    SECTION("one that may evict keys") {
        server.command({"CONFIG", "SET", "maxmemory-policy", "allkeys-lru"});
        CHECK_FALSE(ping());  // never, without a bound
        server.command({"CONFIG", "SET", "maxmemory", "1gb"});
        CHECK(ping() == Errc::misconfigured);
        server.command({"CONFIG", "SET", "maxmemory-policy", "noeviction"});
        CHECK_FALSE(ping());
    }
    SECTION("a replica, whose breaker it does not close") {
        server.command({"REPLICAOF", "127.0.0.1", std::to_string(RedisServer::free_port())});
        while (!limiter.store().stats().breaker_is_open) CHECK(limiter.try_consume("key").error);
        for (int i = 0; i != 20; ++i) CHECK(ping() == Errc::read_only);
        CHECK(limiter.store().stats().breaker_is_open);
    }
    SECTION("a user without rights") {
        server.command({"ACL", "SETUSER", "app", "on", ">pw", "~sluice:*", "+@all", "-set"});
        const Limiter app = limiter_with("unix://app:pw@" + server.socket_path(), {.timeout = patience});
        CHECK(app.store().ping(5s) == Errc::permission);
    }
}

TEST_CASE("nobody waits longer than they would, whoever leads") {
    // What the server says ends the connection, so that every leader dials, and is held while it does.
    FakeServer server{[&](const FakePeer& peer) {
        while (!peer.read().empty()) peer.write("-LOADING Redis is loading the dataset in memory\r\n");
    }};
    Gate first, second;
    first.is_closed = second.is_closed = true;
    std::atomic<int> dials{0};
    const auto credentials = [&] {
        (dials++ == 0 ? first : second).pass();
        return sluice::RedisCredentials{};
    };
    const sluice::RateLimiter limiter{
        sluice::TokenBucket{10, sluice::per_second(1)},
        sluice::RedisStore{server.url(), {.timeout = 500ms, .connections = 1, .credentials = credentials}}};
    std::atomic<int> returned{0};
    std::thread holder{[&] { static_cast<void>(limiter.try_consume("key")); }};
    while (dials == 0) std::this_thread::yield();
    std::vector<std::thread> followers;
    for (int i = 0; i != 3; ++i) {
        followers.emplace_back([&] {
            static_cast<void>(limiter.try_consume("key"));
            if (++returned == 2) second.is_closed = false;  // the leader alone is still held
        });
    }
    pause_for(100ms);  // they have joined a group
    first.is_closed = false;
    const auto start = std::chrono::steady_clock::now();
    for (auto& follower : followers) follower.join();
    CHECK(std::chrono::steady_clock::now() - start < 10s);  // not by the gate's own end
    holder.join();
}

TEST_CASE("only so many calls wait: others fail at once") {
    RedisServer server;
    Gate gate;
    gate.is_closed = true;
    std::atomic<int> dials{0};
    const auto credentials = [&] {
        ++dials;
        gate.pass();
        return sluice::RedisCredentials{};
    };
    const Limiter limiter =
        limiter_with(server.url(), {.timeout = 20s, .connections = 1, .max_waiting = 2, .credentials = credentials});
    std::thread holder{[&] { CHECK_FALSE(limiter.try_consume("key").error); }};
    while (dials == 0) std::this_thread::yield();
    std::atomic<int> busy{0}, decided{0};
    run_threads(6, [&](int) {
        const auto error = limiter.try_consume("key").error;
        if (error == Errc::busy && ++busy == 4) gate.is_closed = false;
        if (!error) ++decided;
    });
    holder.join();
    CHECK(busy == 4);
    CHECK(decided == 2);
    CHECK_FALSE(limiter.store().stats().breaker_is_open);
}

TEST_CASE("a server that is slow, but in time, is asked less") {
    RedisServer redis;
    Proxy proxy{redis.socket_path()};
    FakeServer server{[&](const FakePeer& peer) { proxy(peer); }};
    const Limiter limiter = limiter_with(server.url(), {.timeout = 1s, .breaker = {.failures_to_open = 2}});
    REQUIRE_FALSE(limiter.try_consume("key").error);
    proxy.set({.delay = 600ms});
    for (int i = 0; i != 4; ++i) CHECK_FALSE(limiter.try_consume("key").error);
    CHECK(limiter.try_consume("key").error == Errc::breaker_open);
}

TEST_CASE("a server in cluster mode needs another URL") {
    RedisServer server{{"--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf"}};
    REQUIRE(server.command({"CLUSTER", "ADDSLOTSRANGE", "0", "16383"}) == "OK");
    while (server.command({"CLUSTER", "INFO"}).find("cluster_state:ok") == std::string::npos) pause_for(10ms);
    const Limiter limiter = limiter_with(server.url(), {.timeout = 10s});
    const Keys keys{3};
    std::vector<sluice::Decision> out(3);
    for (int i = 0; i != 10; ++i) limiter.try_consume_many(keys.views, out);
    CHECK(failed(out, Errc::misconfigured) == 3);
    for (const auto& decision : out) CHECK_FALSE(decision.allowed);
    CHECK(limiter.store().stats().breaker_openings == 0);
    CHECK_FALSE(limiter.try_consume("key").error);

    const Limiter database = limiter_with(server.url() + "?db=1", {.timeout = 10s});
    CHECK(database.try_consume("key").error == Errc::misconfigured);
    const Limiter tagged = limiter_with(server.url(), {.timeout = 10s, .prefix = "{limits}"});
    tagged.try_consume_many(keys.views, out);
    for (const auto& decision : out) CHECK_FALSE(decision.error);
}
