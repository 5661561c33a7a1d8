// SPDX-License-Identifier: MIT
#ifndef SLUICE_TESTS_FAULTS_REDIS_REPLIES_HPP
#define SLUICE_TESTS_FAULTS_REDIS_REPLIES_HPP

#include <cstddef>
#include <cstdint>
#include <set>

#include "faults/behaviours.hpp"
#include "faults/redis/faults.hpp"
#include "support/fake_server.hpp"

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

#endif
