// SPDX-License-Identifier: MIT
#ifndef SLUICE_TESTS_FAULTS_POSTGRES_FAULTS_HPP
#define SLUICE_TESTS_FAULTS_POSTGRES_FAULTS_HPP

#include <algorithm>
#include <chrono>
#include <string>
#include <thread>
#include <utility>

#include <sluice/postgres.hpp>
#include <sluice/sluice.hpp>

#include "support/catch.hpp"
#include "support/load.hpp"
#include "support/postgres_server.hpp"

using namespace std::chrono_literals;
using sluice::Errc;
using sluice::FailureMode;

using Limiter = sluice::RateLimiter<sluice::FixedWindow, sluice::PostgresStore>;

/// A server with the schema in it.
struct FaultyServer : PostgresServer {
    explicit FaultyServer(std::vector<std::string> settings = {}) : PostgresServer(std::move(settings)) {
        create_schema();
    }
    void create_schema() const { REQUIRE_FALSE(sluice::PostgresStore{connection_string()}.ensure_schema(30s)); }
    /// Of a processor and of waiting: from 3 to 30 ms, depending on the machine.
    std::chrono::milliseconds time_for_a_session() const {
        const auto start = std::chrono::steady_clock::now();
        for (int i = 0; i != 5; ++i) command("SELECT 1");
        return std::chrono::ceil<std::chrono::milliseconds>((std::chrono::steady_clock::now() - start) / 5);
    }
    void end_sessions() const {
        command("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'sluice'");
    }
};

/// Of calls where it matters: 100 ms, or more on machines that take long to start a server's session.
inline std::chrono::milliseconds timeout() {
    static const auto time = std::max<std::chrono::milliseconds>(100ms, 10 * FaultyServer{}.time_for_a_session());
    return time;
}

/// How long a fault lasts.
inline std::chrono::milliseconds fault_time() {
    return std::max<std::chrono::milliseconds>(slow_build ? 3s : 1s, 4 * timeout());
}

inline Limiter limiter_on(const std::string& connection_string, FailureMode mode = FailureMode::allow,
                          std::chrono::milliseconds limit = patience) {
    return Limiter{sluice::FixedWindow{1'000'000, 2400h},
                   sluice::PostgresStore{connection_string, {.timeout = limit}},
                   {.name = "faults", .on_failure = mode}};
}

/// Whether the limiter, whose server is usable again, decides within a second.
inline bool recovers(const Limiter& limiter) {
    return is_soon([&] { return !limiter.try_consume("recovery").error; });
}

/// Runs a story under load, with both failure modes, and checks what must hold whatever happens: no call takes much
/// longer than its timeout, a failure is answered as its mode says, and nothing leaks. `check` looks at the report.
template <class Story, class Check>
void endure(const std::string& connection_string, Story story, Check check,
            std::chrono::milliseconds limit = timeout()) {
    for (const auto mode : {FailureMode::allow, FailureMode::deny}) {
        const auto descriptors = open_descriptors();
        {
            const Limiter limiter = limiter_on(connection_string, mode, limit);
            static_cast<void>(limiter.try_consume("warm up"));
            const auto memory = resident_bytes();
            const LoadReport report = run_load(limiter, mode, [&] { story(limiter); });
            INFO(report.text());
            CHECK(report.mismatched == 0);
            CHECK(report.is_in_time(limit));
            if (!slow_build) CHECK(resident_bytes() < memory + 5'000'000);
            check(report, limiter);
        }
        // A server within this process may take a moment to notice that its peers have gone.
        for (int i = 0; i != 200 && open_descriptors() != descriptors; ++i) std::this_thread::sleep_for(10ms);
        CHECK(open_descriptors() == descriptors);
    }
}

inline void pause_for(std::chrono::milliseconds time) { std::this_thread::sleep_for(time); }

/// What a server answers with an error while `begin` has happened and `end` has not. Only one that cannot serve anybody is
/// left alone for a while.
template <class Begin, class End>
void answers_with(const PostgresServer& server, Errc errc, bool opens_breaker, Begin begin, End end) {
    endure(
        server.connection_string(),
        [&](const Limiter& limiter) {
            pause_for(100ms);
            begin();
            pause_for(fault_time());
            end();
            CHECK(recovers(limiter));
        },
        [&](const LoadReport& report, const Limiter& limiter) {
            CHECK(report.decided > 0);
            CHECK(report.of(errc) > 0);
            CHECK((limiter.store().stats().breaker_openings > 0) == opens_breaker);
            CHECK((report.of(Errc::breaker_open) > 0) == opens_breaker);
        },
        patience);
}

#endif
