// SPDX-License-Identifier: MIT

#include <string>

#include <sluice/tls.hpp>

#include "faults/redis/faults.hpp"
#include "support/certificates.hpp"
#include "support/fake_server.hpp"

namespace {

const Certificates& files() {
    static const Certificates made;
    return made;
}
sluice::RedisOptions options(std::chrono::milliseconds limit) {
    return {.timeout = limit, .tls = sluice::Tls{.ca_file = files().ca()}};
}
std::string url_of(const FakeServer& server) { return "redis" + server.url().replace(0, 5, "s"); }

/// No call is decided; all that are asked fail so.
void fails_with(const FakeServer::Behaviour& behaviour, Errc expected) {
    FakeServer server{behaviour};
    endure(
        url_of(server), [](Recovery&) { pause_for(fault_time); },
        [&](const LoadReport& report, const Limiter&) {
            CHECK(report.decided == 0);
            CHECK(report.of(expected) > 0);
            CHECK(report.of(expected) + report.of(Errc::breaker_open) == report.failed());
        },
        options(expected == Errc::timeout ? std::chrono::milliseconds{timeout} : patience));
}

}  // namespace

TEST_CASE("a handshake that nobody answers") {
    fails_with([](const FakePeer& peer) { peer.fall_silent(); }, Errc::timeout);
}
TEST_CASE("a handshake that stops in the middle, stays there, or ends") {
    const int port = RedisServer::free_port();
    const RedisServer redis{files().options(port)};
    const auto half = [&](std::size_t bytes, bool stays) {
        return [bytes, stays, port](const FakePeer& peer) {
            Proxy proxy{port};
            proxy.set({.closes_after = bytes});
            proxy(peer);
            if (stays) peer.fall_silent();
        };
    };
    SECTION("stays") { fails_with(half(500, true), Errc::timeout); }
    SECTION("ends") { fails_with(half(500, false), Errc::disconnected); }
    SECTION("ends at once") { fails_with(half(1, false), Errc::disconnected); }
}
TEST_CASE("a handshake that is reset") {
    fails_with(
        [](const FakePeer& peer) {
            peer.read();
            peer.reset();
        },
        Errc::disconnected);
}
TEST_CASE("a handshake of a byte every 20 ms") {
    fails_with(
        [](const FakePeer& peer) {
            if (peer.read().empty()) return;
            for (const char byte : std::string_view{"\x16\x03\x03\x40\x00", 5}) {
                peer.wait(20ms);
                peer.write({&byte, 1});
            }
            for (int i = 0; i != 50 && !peer.is_over(); ++i) {
                peer.wait(20ms);
                peer.write("\x02");
            }
        },
        Errc::timeout);
}

TEST_CASE("TLS connections end in the middle of replies") {
    const int port = RedisServer::free_port();
    const RedisServer redis{files().options(port)};
    Proxy proxy{port};
    FakeServer server{[&](const FakePeer& peer) { proxy(peer); }};
    // Somewhat more than a handshake takes: on most connections some calls are decided, and one is not.
    proxy.set({.closes_after = 2'000});
    endure(
        url_of(server), [](Recovery&) { pause_for(fault_time); },
        [&](const LoadReport& report, const Limiter& limiter) {
            CHECK(report.decided > 0);
            CHECK(report.of(Errc::disconnected) > 0);
            CHECK(report.of(Errc::disconnected) + report.of(Errc::breaker_open) == report.failed());
            proxy.set({});
            Recovery recovery{limiter};
            CHECK(recovery.is_quick());
            proxy.set({.closes_after = 2'000});
        },
        options(patience));
}

TEST_CASE("a server that is killed and comes back, over TLS") {
    const int port = RedisServer::free_port();
    RedisServer redis{files().options(port)};
    endure(
        "rediss://127.0.0.1:" + std::to_string(port),
        [&](Recovery& recovery) {
            pause_for(200ms);
            redis.kill();
            pause_for(500ms);
            redis.restart();
            CHECK(recovery.is_quick());
        },
        [](const LoadReport& report, const Limiter&) {
            CHECK(report.decided > 0);
            CHECK(report.failed() > 0);
        },
        options(patience));
}

TEST_CASE("a server that is frozen, over TLS") {
    const int port = RedisServer::free_port();
    RedisServer redis{files().options(port)};
    endure(
        "rediss://127.0.0.1:" + std::to_string(port),
        [&](Recovery& recovery) {
            pause_for(200ms);
            redis.freeze();
            pause_for(500ms);
            redis.thaw();
            CHECK(recovery.is_quick());
        },
        [](const LoadReport& report, const Limiter&) { CHECK(report.of(Errc::timeout) > 0); }, options(200ms));
}
