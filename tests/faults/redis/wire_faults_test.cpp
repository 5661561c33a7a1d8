// SPDX-License-Identifier: MIT

#include <set>
#include <string>

#include "faults/redis/faults.hpp"
#include "support/fake_server.hpp"

namespace {

/// A server that answers every request with `reply`, and then does `then`.
template <class Then>
FakeServer::Behaviour replies(std::string reply, Then then) {
    return [reply = std::move(reply), then](const FakePeer& peer) {
        while (!peer.read().empty()) {
            peer.write(reply);
            if (!then(peer)) return;
        }
    };
}

void fails_with(const FakeServer::Behaviour& behaviour, const std::set<Errc>& expected,
                std::size_t most_memory = 5'000'000) {
    const auto limit = expected.count(Errc::timeout) != 0 ? std::chrono::milliseconds{timeout} : patience;
    FakeServer server{behaviour};
    const auto memory = resident_bytes();
    endure(
        server.url(), [](Recovery&) { pause_for(fault_time); },
        [&](const LoadReport& report, const Limiter&) {
            CHECK(report.decided == 0);
            std::uint64_t of_these = report.of(Errc::breaker_open);
            for (const auto errc : expected) of_these += report.of(errc);
            CHECK(of_these == report.failed());
            CHECK(report.failed() > report.of(Errc::breaker_open));
            if (!slow_build) CHECK(resident_bytes() < memory + most_memory);
        },
        {.timeout = limit});
}

constexpr auto stay = [](const FakePeer&) { return true; };
constexpr auto silence = [](const FakePeer& peer) {
    peer.fall_silent();
    return false;
};
constexpr auto close_now = [](const FakePeer&) { return false; };

std::string repeated(std::string_view text, int times) {
    std::string all;
    for (int i = 0; i != times; ++i) all += text;
    return all;
}

}  // namespace

TEST_CASE("the connection is reset in the middle of a reply") {
    fails_with(replies(":12",
                       [](const FakePeer& peer) {
                           peer.reset();
                           return false;
                       }),
               {Errc::disconnected});
}
TEST_CASE("the connection ends in the middle of a reply") {
    fails_with(replies(":12", close_now), {Errc::disconnected});
}
TEST_CASE("garbage") { fails_with(replies("HTTP/1.1 400 Bad Request\r\n\r\n", stay), {Errc::protocol}); }
TEST_CASE("half a reply, then silence") { fails_with(replies("*2\r\n:1\r\n", silence), {Errc::timeout}); }
TEST_CASE("a byte every 80 ms") {
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
TEST_CASE("a huge array") { fails_with(replies("*1073741824\r\n", silence), {Errc::protocol}); }
TEST_CASE("a huge string") {
    fails_with(replies("$9000000000000000000\r\n" + std::string(1'000, 'x'), silence), {Errc::timeout, Errc::protocol});
}
TEST_CASE("a string without end") {
    fails_with(replies("$9000000000000000000\r\n" + std::string(1'000'000, 'x'), silence), {Errc::protocol});
}
TEST_CASE("arrays within arrays") { fails_with(replies(repeated("*1\r\n", 200'000), silence), {Errc::protocol}); }
TEST_CASE("an error of a megabyte") {
    fails_with(replies("-ERR " + std::string(1'000'000, 'x') + "\r\n", stay), {Errc::protocol});
}
TEST_CASE("an unknown error") { fails_with(replies("-WHATEVER happened\r\n", stay), {Errc::server_error}); }
TEST_CASE("replies of other kinds") {
    for (const char* reply : {"+OK\r\n", "$-1\r\n", "*-1\r\n", "$2\r\nab\r\n", ":-5\r\n", ":9223372036854775807\r\n",
                              "*0\r\n", "*1\r\n$1\r\na\r\n", "%1\r\n:1\r\n:2\r\n", "_\r\n", "#t\r\n", ",1.5\r\n"}) {
        INFO(reply);
        FakeServer server{replies(reply, stay)};
        const Limiter limiter = limiter_on(server.url(), FailureMode::deny);
        const auto decision = limiter.try_consume("key");
        CHECK(decision.error == Errc::protocol);
        CHECK_FALSE(decision);
    }
}

TEST_CASE("a reply that comes twice is nobody else's") {
    // The second one arrives with the first, or while the connection is idle.
    for (const auto wait : {0ms, 3ms}) {
        std::atomic<int> requests{0}, doubled{0};
        FakeServer server{[&](const FakePeer& peer) {
            while (!peer.read().empty()) {
                // Each answer is another count of used units, packed with the time left.
                const std::string reply = ":" + std::to_string(86'400'000'000LL / 2 * 1'001 + ++requests) + "\r\n";
                peer.write(reply);
                peer.wait(wait);
                peer.write(reply);
                peer.wait_for_delivery();
                ++doubled;
            }
        }};
        const sluice::RateLimiter limiter{sluice::FixedWindow{1'000, 24h},
                                          sluice::RedisStore{server.url(), {.timeout = patience, .connections = 1}},
                                          {.name = "twice", .on_failure = FailureMode::deny}};
        for (int i = 0; i != 20; ++i) {
            const int before = requests;
            const auto decision = limiter.try_consume("key");
            // Whatever is believed is the answer to this request.
            if (!decision.error) CHECK(decision.remaining == 1'000 - static_cast<std::uint64_t>(before) - 1 - 1);
            while (doubled != requests) pause_for(1ms);
            pause_for(10ms);
        }
    }
}

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
        proxy.set({.delay = 350ms});
        const Limiter limiter = limiter_on(server.url(), FailureMode::allow, {.timeout = 400ms});
        int failed = 0;
        for (int i = 0; i != 3; ++i) failed += limiter.try_consume("key").error ? 1 : 0;
        CHECK(failed < 3);  // a machine that adds 50 ms each time has to be very busy
    }
}

TEST_CASE("connections are not accepted") {
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
        "redis://127.0.0.1:" + std::to_string(ntohs(address.sin_port)), [](Recovery&) { pause_for(fault_time); },
        [](const LoadReport& report, const Limiter&) {
            CHECK(report.decided == 0);
            CHECK(report.of(Errc::timeout) > 0);
        });
    ::close(listener);
}
