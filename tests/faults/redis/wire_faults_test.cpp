// SPDX-License-Identifier: MIT

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

#include "faults/redis/replies.hpp"

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
