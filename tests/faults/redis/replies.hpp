// SPDX-License-Identifier: MIT
#ifndef SLUICE_TESTS_FAULTS_REDIS_REPLIES_HPP
#define SLUICE_TESTS_FAULTS_REDIS_REPLIES_HPP

#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "faults/redis/faults.hpp"
#include "support/fake_server.hpp"

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

inline void fails_with(const FakeServer::Behaviour& behaviour, const std::set<Errc>& expected,
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

inline constexpr auto stay = [](const FakePeer&) { return true; };
inline constexpr auto silence = [](const FakePeer& peer) {
    peer.fall_silent();
    return false;
};
inline constexpr auto close_now = [](const FakePeer&) { return false; };

inline std::string repeated(std::string_view text, int times) {
    std::string all;
    for (int i = 0; i != times; ++i) all += text;
    return all;
}

#endif
