// SPDX-License-Identifier: MIT

#include <string>

#include "faults/redis/faults.hpp"
#include "support/fake_server.hpp"

TEST_CASE("slow networks") {
    RedisServer redis;
    Proxy proxy{redis.socket_path()};
    FakeServer server{[&](const FakePeer& peer) { proxy(peer); }};
    const auto run = [&](const ProxyOptions& options, auto check) {
        proxy.set(options);
        endure(
            server.url(), [](Recovery&) { pause_for(fault_time); }, check);
    };
    const auto all_decide = [](const LoadReport& report, const Limiter&) {
        // What failed was the machine's fault, not the network's.
        CHECK((report.failed() * 20 <= report.decided || report.hiccup > 5ms));
        CHECK(report.decided > 0);
    };
    const auto none_decides = [](const LoadReport& report, const Limiter&) {
        CHECK(report.decided == 0);
        CHECK(report.of(Errc::timeout) > 0);
    };
    SECTION("a delay of half the timeout") { run({.delay = 30ms}, all_decide); }
    SECTION("a delay of more than the timeout") { run({.delay = 110ms}, none_decides); }
    SECTION("a delay of much more than the timeout") { run({.delay = 300ms}, none_decides); }
    SECTION("a kilobyte a second") {
        run({.bytes_per_second = 1'000}, [](const LoadReport& report, const Limiter&) { CHECK(report.decided > 0); });
    }
    SECTION("a delay of nearly the timeout, for a caller alone") {
        proxy.set({.delay = 90ms});
        const Limiter limiter = limiter_on(server.url(), FailureMode::allow, {.timeout = timeout});
        // The tenth, or a later one where the machine adds 10 ms each time.
        int asked = 1;
        while (limiter.try_consume("key").error && asked != 100) ++asked;
        CHECK(asked != 100);
    }
}
