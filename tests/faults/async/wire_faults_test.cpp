// SPDX-License-Identifier: MIT

#include <atomic>
#include <set>
#include <string>
#include <string_view>

#include "faults/async/faults.hpp"
#include "faults/behaviours.hpp"
#include "support/fake_server.hpp"
#include "support/poll_loop.hpp"

namespace {

void fails_with(const FakeServer::Behaviour& behaviour, const std::set<Errc>& expected) {
    const auto limit = expected.count(Errc::timeout) != 0 ? std::chrono::milliseconds{timeout} : patience;
    FakeServer server{behaviour};
    endure(
        server.url(), [](LoopUnderLoad&) { pause_for(fault_time); },
        [&](const LoadReport& report, const sluice::RedisStats&) {
            CHECK(report.decided == 0);
            std::uint64_t of_these = report.of(Errc::breaker_open);
            for (const auto errc : expected) of_these += report.of(errc);
            CHECK(of_these == report.failed());
            CHECK(report.failed() > report.of(Errc::breaker_open));
        },
        {.timeout = limit});
}

}  // namespace

TEST_CASE("a loop whose connection is reset in the middle of a reply") {
    fails_with(replies(":12",
                       [](const FakePeer& peer) {
                           peer.reset();
                           return false;
                       }),
               {Errc::disconnected});
}
TEST_CASE("a loop whose connection ends in the middle of a reply") {
    fails_with(replies(":12", close_now), {Errc::disconnected});
}
TEST_CASE("a loop that is told garbage") {
    fails_with(replies("HTTP/1.1 400 Bad Request\r\n\r\n", stay), {Errc::protocol});
}
TEST_CASE("a loop that is told half a reply, then nothing") {
    fails_with(replies("*2\r\n:1\r\n", silence), {Errc::timeout});
}
TEST_CASE("a loop that gets a byte every 80 ms") {
    fails_with(
        [](const FakePeer& peer) {
            while (!peer.read().empty()) {
                for (const char byte : std::string_view{":1234567890\r\n"}) {
                    peer.wait(80ms);
                    peer.write({&byte, 1});
                }
            }
        },
        {Errc::timeout});
}
TEST_CASE("a loop that is told something huge") {
    SECTION("an array") { fails_with(replies("*1073741824\r\n", silence), {Errc::protocol}); }
    SECTION("a string without end") {
        fails_with(replies("$9000000000000000000\r\n" + std::string(1'000'000, 'x'), silence), {Errc::protocol});
    }
    SECTION("arrays within arrays") { fails_with(replies(repeated("*1\r\n", 200'000), silence), {Errc::protocol}); }
    SECTION("an error of a megabyte") {
        fails_with(replies("-ERR " + std::string(1'000'000, 'x') + "\r\n", stay), {Errc::protocol});
    }
}
TEST_CASE("a loop that is told an unknown error") {
    fails_with(replies("-WHATEVER happened\r\n", stay), {Errc::server_error});
}

TEST_CASE("a loop that is told a reply twice takes it for nobody else's") {
    usage_of_turns() = {};
    std::atomic<int> requests{0}, doubled{0};
    FakeServer server{[&](const FakePeer& peer) {
        while (!peer.read().empty()) {
            // Each answer is another count of used units, packed with the time left.
            const std::string reply = ":" + std::to_string(86'400'000'000LL / 2 * 1'001 + ++requests) + "\r\n";
            peer.write(reply);
            peer.write(reply);
            peer.wait_for_delivery();
            ++doubled;
        }
    }};
    const sluice::AsyncRedis redis{server.url(), {.timeout = patience}};
    const sluice::RateLimiter limiter{
        sluice::FixedWindow{1'000, 24h}, redis, {.name = "twice", .on_failure = FailureMode::deny}};
    for (int i = 0; i != 20; ++i) {
        const int before = requests;
        const auto decision =
            answer_to(redis, [&](auto done) { limiter.async_try_consume("key", 1, std::move(done)); });
        // Whatever is believed is the answer to this request.
        if (!decision.error) CHECK(decision.remaining == 1'000 - static_cast<std::uint64_t>(before) - 1 - 1);
        while (doubled != requests) pause_for(1ms);
        pause_for(10ms);
    }
    check_never_waits(usage_of_turns());
}

TEST_CASE("a loop on slow networks") {
    RedisServer redis;
    Proxy proxy{redis.socket_path()};
    FakeServer server{[&](const FakePeer& peer) { proxy(peer); }};
    const auto run = [&](const ProxyOptions& options, auto check) {
        proxy.set(options);
        endure(
            server.url(), [](LoopUnderLoad&) { pause_for(fault_time); }, check);
    };
    SECTION("a delay of less than half the timeout") {
        run({.delay = 30ms}, [](const LoadReport& report, const sluice::RedisStats&) {
            CHECK(report.decided > 0);
            CHECK((report.decided > report.failed() || report.hiccup > 5ms));
        });
    }
    SECTION("a delay of more than the timeout") {
        run({.delay = 110ms}, [](const LoadReport& report, const sluice::RedisStats&) {
            CHECK(report.decided == 0);
            CHECK(report.of(Errc::timeout) > 0);
        });
    }
    SECTION("a kilobyte a second") {
        run({.bytes_per_second = 1'000},
            [](const LoadReport& report, const sluice::RedisStats&) { CHECK(report.decided > 0); });
    }
}

TEST_CASE("a loop whose connections are not accepted, and one whose name nobody finds") {
    SECTION("not accepted") {
        // The kernel completes as many as fit the queue; to the others it does not answer.
        const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        REQUIRE(::bind(listener, reinterpret_cast<sockaddr*>(&address), size) == 0);
        REQUIRE(::listen(listener, 0) == 0);
        REQUIRE(::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) == 0);
        endure(
            "redis://127.0.0.1:" + std::to_string(ntohs(address.sin_port)),
            [](LoopUnderLoad&) { pause_for(fault_time); },
            [](const LoadReport& report, const sluice::RedisStats&) {
                CHECK(report.decided == 0);
                CHECK(report.of(Errc::timeout) > 0);
            });
        ::close(listener);
    }
    SECTION("a look-up that takes 400 ms, and finds nothing") {
        endure(
            "redis://name.test:6379", [](LoopUnderLoad&) { pause_for(fault_time); },
            [](const LoadReport& report, const sluice::RedisStats&) { CHECK(report.decided == 0); },
            {.timeout = timeout, .resolve = [](const std::string&) {
                 std::this_thread::sleep_for(400ms);
                 return std::vector<std::string>{};
             }});
    }
    SECTION("a first address that does not answer, a second one that does") {
        RedisServer redis;
        endure(
            "redis://name.test:" + std::to_string(redis.port()), [](LoopUnderLoad&) { pause_for(fault_time); },
            [](const LoadReport& report, const sluice::RedisStats&) {
                CHECK(report.decided > 0);
                CHECK(report.failed() == 0);
            },
            {.timeout = patience, .resolve = [](const std::string&) {
                 return std::vector<std::string>{"127.0.0.3", "127.0.0.1"};
             }});
    }
}

TEST_CASE("a loop does not trust connections that the network forgot while they were idle") {
    usage_of_turns() = {};
    RedisServer redis;
    Proxy proxy{redis.socket_path()};
    proxy.set({.forgets_after = 100ms});
    FakeServer server{[&](const FakePeer& peer) { proxy(peer); }};
    const sluice::AsyncRedis client{server.url(), {.timeout = 2s, .max_idle = 50ms}};
    const sluice::RateLimiter limiter{sluice::FixedWindow{1'000, 24h}, client, {.name = "idle"}};
    for (int i = 0; i != 3; ++i) {
        CHECK_FALSE(answer_to(client, [&](auto done) { limiter.async_try_consume("key", 1, done); }).error);
        pause_for(150ms);
    }
    CHECK(client.stats().dials == 3);
    check_never_waits(usage_of_turns());
}
