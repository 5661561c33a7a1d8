// SPDX-License-Identifier: MIT

#include <chrono>
#include <memory>
#include <string>
#include <system_error>

#include <unistd.h>

#include <sluice/redis.hpp>
#include <sluice/sluice.hpp>
#include <sluice/tls.hpp>

#include "support/catch.hpp"
#include "support/certificates.hpp"
#include "support/fake_server.hpp"
#include "support/poll_loop.hpp"
#include "support/process.hpp"
#include "support/redis_server.hpp"

using namespace std::chrono_literals;
using sluice::AsyncRedis;
using sluice::Errc;
using sluice::Tls;

namespace {

sluice::Decision decide(const AsyncRedis& redis, std::string_view key = "key") {
    const sluice::RateLimiter limiter{sluice::TokenBucket{1'000, sluice::per_hour(1)}, redis, {.name = "async"}};
    return answer_to(redis, [&](auto done) { limiter.async_try_consume(key, 1, done); });
}

}  // namespace

TEST_CASE("an event loop decides over TLS") {
    const Certificates files;
    const int port = RedisServer::free_port();
    RedisServer server{files.options(port)};
    const auto url = [&](const std::string& who) { return "rediss://" + who + "localhost:" + std::to_string(port); };
    const auto ask = [&](Tls tls) {
        const AsyncRedis redis{url(""), {.timeout = 5s, .tls = std::move(tls)}};
        return decide(redis, "other").error;
    };
    const Tls tls{.ca_file = files.ca()};
    const AsyncRedis redis{url(""), {.timeout = 5s, .tls = tls}};
    for (std::uint64_t i = 1; i != 20; ++i) CHECK(decide(redis).remaining == 1'000 - i);
    CHECK(redis.stats().dials == 1);

    CHECK(ask({}) == Errc::certificate_untrusted);
    REQUIRE(server.command({"CONFIG", "SET", "tls-cert-file", files.file("elsewhere.pem"), "tls-key-file",
                            files.file("elsewhere.key")}) == "OK");
    CHECK(ask(tls) == Errc::certificate_mismatch);
    CHECK_FALSE(ask({.ca_file = files.ca(), .server_name = "elsewhere.test"}));
    REQUIRE(server.command({"CONFIG", "SET", "tls-cert-file", files.file("server.pem"), "tls-key-file",
                            files.file("server.key"), "tls-auth-clients", "yes"}) == "OK");
    CHECK(ask(tls) == Errc::authentication);

    REQUIRE(server.command({"CONFIG", "SET", "tls-auth-clients", "no", "requirepass", "secret"}) == "OK");
    const AsyncRedis named{url(":secret@"), {.timeout = 5s, .tls = tls}};
    CHECK_FALSE(decide(named).error);
    CHECK(ask(tls) == Errc::authentication);
}

TEST_CASE("an event loop waits for no handshake beyond its timeout") {
    const Certificates files;
    FakeServer server{[](const FakePeer& peer) { peer.fall_silent(); }};
    const AsyncRedis redis{"redis" + server.url().replace(0, 5, "s"),
                           {.timeout = 50ms, .tls = Tls{.ca_file = files.ca()}}};
    CHECK(decide(redis).error == Errc::timeout);
}

TEST_CASE("a forked child that drops what it inherited does not end its parent's connection") {
    const Certificates files;
    const int port = RedisServer::free_port();
    const RedisServer server{files.options(port)};
    auto redis = std::make_unique<AsyncRedis>("rediss://localhost:" + std::to_string(port),
                                              sluice::RedisOptions{.timeout = 5s, .tls = Tls{.ca_file = files.ca()}});
    CHECK(decide(*redis).remaining == 999);
    const pid_t child = ::fork();
    if (child == 0) {
        ::alarm(30);
        redis.reset();
        ::_exit(0);
    }
    CHECK(status_of(child) == 0);
    CHECK(decide(*redis).remaining == 998);
    CHECK(redis->stats().dials == 1);
}
