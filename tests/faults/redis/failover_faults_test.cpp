// SPDX-License-Identifier: MIT

#include <atomic>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "faults/redis/faults.hpp"
#include "support/fake_server.hpp"
#include "support/threads.hpp"

// Two servers in each: after a failover the old primary lives on, as a replica.

namespace {

using Names = std::vector<std::string>;

Limiter limiter_with(const std::string& url, sluice::RedisOptions options) {
    options.timeout = patience;
    return Limiter{sluice::FixedWindow{1'000'000, 24h}, sluice::RedisStore{url, options}, {.name = "failover"}};
}

void demote(RedisServer& server, const RedisServer& primary) {
    REQUIRE(server.command({"REPLICAOF", "127.0.0.1", std::to_string(primary.port())}) == "OK");
}

/// Decisions fail at most for a moment, and from then on never.
void recovers(const Limiter& limiter) {
    Recovery recovery{limiter};
    CHECK(recovery.is_quick());
    const auto before = limiter.store().stats();
    for (int i = 0; i != 50; ++i) CHECK_FALSE(limiter.try_consume("after").error);
    CHECK(limiter.store().stats().failures == before.failures);
}

}  // namespace

TEST_CASE("a failover behind one address") {
    RedisServer old, next;
    Proxy proxy{old.socket_path()};
    FakeServer address{[&](const FakePeer& peer) { proxy(peer); }};
    const Limiter limiter = limiter_with(address.url(), {});
    while (limiter.store().stats().connections != 3) {
        run_threads(8, [&](int) { static_cast<void>(limiter.try_consume("before")); });
    }
    demote(old, next);
    proxy.redirect(next.socket_path());
    recovers(limiter);
    CHECK(limiter.store().stats().failures == 1);  // what one connection says counts for all to that address
    CHECK(limiter.store().stats().errors(Errc::read_only) == 1);
}

TEST_CASE("a failover by DNS") {
    RedisServer old;
    RedisServer next{"127.0.0.2", old.port()};
    std::atomic<bool> has_moved{false};
    const auto resolve = [&](const std::string& host) {
        return host == "cache.test" ? Names{has_moved ? "127.0.0.2" : "127.0.0.1"} : Names{};
    };
    const Limiter limiter = limiter_with("redis://cache.test:" + std::to_string(old.port()), {.resolve = resolve});
    for (int i = 0; i != 50; ++i) REQUIRE_FALSE(limiter.try_consume("before").error);
    SECTION("seen at once") {
        demote(old, next);
        has_moved = true;
    }
    SECTION("seen some time after") {
        demote(old, next);
        for (int i = 0; i != 20; ++i) CHECK(limiter.try_consume("meanwhile").error);
        has_moved = true;
    }
    recovers(limiter);
}

TEST_CASE("a failover among several addresses, there and back again") {
    RedisServer first;
    RedisServer second{"127.0.0.2", first.port()};
    demote(second, first);
    const auto resolve = [](const std::string&) { return Names{"127.0.0.2", "127.0.0.1"}; };
    const Limiter limiter = limiter_with("redis://cache.test:" + std::to_string(first.port()), {.resolve = resolve});
    recovers(limiter);
    for (int i = 0; i != 3; ++i) {
        RedisServer& primary = i % 2 == 0 ? second : first;
        RedisServer& replica = i % 2 == 0 ? first : second;
        REQUIRE(primary.command({"REPLICAOF", "NO", "ONE"}) == "OK");
        REQUIRE(replica.command({"REPLICAOF", i % 2 == 0 ? "127.0.0.2" : "127.0.0.1", std::to_string(first.port())}) ==
                "OK");
        recovers(limiter);
    }
}

TEST_CASE("an address at which something else listens is not asked for ever") {
    RedisServer good{"127.0.0.2", 0};
    for (const char* reply : {"HTTP/1.1 400 Bad Request\r\n\r\n", "-LOADING Redis is loading the dataset in memory\r\n",
                              "-MASTERDOWN Link with MASTER is down\r\n", "-ERR max number of clients reached\r\n"}) {
        INFO(reply);
        FakeServer wrong{[&](const FakePeer& peer) {
                             while (!peer.read().empty()) peer.write(reply);
                         },
                         good.port()};
        const auto resolve = [](const std::string&) { return Names{"127.0.0.1", "127.0.0.2"}; };
        const Limiter limiter = limiter_with("redis://cache.test:" + std::to_string(good.port()), {.resolve = resolve});
        CHECK(limiter.try_consume("key").error);
        recovers(limiter);
        CHECK(limiter.store().stats().failures == 1);
    }
}

TEST_CASE("a failover to a server with another password") {
    RedisServer old, next;
    old.command({"ACL", "SETUSER", "app", "on", ">old", "~*", "+@all"});
    next.command({"ACL", "SETUSER", "app", "on", ">new", "~*", "+@all"});
    Proxy proxy{old.socket_path()};
    FakeServer address{[&](const FakePeer& peer) { proxy(peer); }};
    std::atomic<bool> has_rotated{false};
    const auto credentials = [&] { return sluice::RedisCredentials{"app", has_rotated ? "new" : "old"}; };
    const Limiter limiter = limiter_with(address.url(), {.credentials = credentials});
    for (int i = 0; i != 50; ++i) REQUIRE_FALSE(limiter.try_consume("before").error);
    demote(old, next);
    proxy.redirect(next.socket_path());
    for (int i = 0; i != 5; ++i) CHECK(limiter.try_consume("meanwhile").error);
    CHECK(limiter.store().stats().errors(Errc::authentication) > 0);
    has_rotated = true;
    recovers(limiter);

    const Limiter nobody = limiter_with(
        next.url(), {.credentials = []() -> sluice::RedisCredentials { throw std::runtime_error{"no secret"}; }});
    CHECK(nobody.try_consume("key").error == Errc::authentication);
}

TEST_CASE("a user without a password logs in") {
    RedisServer server;
    server.command({"ACL", "SETUSER", "app", "on", "nopass", "~*", "+@all"});
    server.command({"ACL", "SETUSER", "default", "off"});
    const Limiter limiter = limiter_with("unix://app@" + server.socket_path(), {});
    CHECK_FALSE(limiter.try_consume("key").error);
}

TEST_CASE("an error that is everybody's ends the connection, one that is a request's does not") {
    struct Row {
        const char* reply;
        Errc errc;
        bool ends;
    };
    for (const auto& [reply, errc, ends] :
         {Row{"-READONLY You can't write against a read only replica.", Errc::read_only, true},
          Row{"-MASTERDOWN Link with MASTER is down.", Errc::read_only, true},
          Row{"-LOADING Redis is loading the dataset in memory", Errc::loading, true},
          Row{"-NOAUTH Authentication required.", Errc::authentication, true},
          Row{"-ERR max number of clients reached", Errc::busy, true},
          Row{"-DENIED Redis is running in protected mode", Errc::permission, true},
          Row{"-OOM command not allowed when used memory > 'maxmemory'.", Errc::server_full, false},
          Row{"-NOPERM this user has no permissions to run the 'evalsha' command", Errc::permission, false},
          Row{"-MOVED 12182 127.0.0.1:7492", Errc::misconfigured, false},
          Row{"-CROSSSLOT Keys in request don't hash to the same slot", Errc::misconfigured, false}}) {
        INFO(reply);
        FakeServer server{[reply = std::string{reply} + "\r\n"](const FakePeer& peer) {
            while (!peer.read().empty()) peer.write(reply);
        }};
        const Limiter limiter = limiter_with(server.url(), {.breaker = {.failures_to_open = 4}});
        for (int i = 0; i != 3; ++i) CHECK(limiter.try_consume("key").error == errc);
        CHECK(limiter.store().stats().dials == (ends ? 3 : 1));
        for (int i = 0; i != 20; ++i) static_cast<void>(limiter.try_consume("key"));
        CHECK(limiter.store().stats().breaker_is_open == ends);
        CHECK(limiter.try_consume("key").allowed == (errc != Errc::misconfigured));
    }
}
