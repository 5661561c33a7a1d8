// SPDX-License-Identifier: MIT
#ifndef SLUICE_TESTS_FAULTS_REDIS_FAULTS_HPP
#define SLUICE_TESTS_FAULTS_REDIS_FAULTS_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <thread>
#include <utility>

#include <sluice/redis.hpp>
#include <sluice/sluice.hpp>

#include "support/catch.hpp"
#include "support/load.hpp"
#include "support/redis_server.hpp"

using namespace std::chrono_literals;
using sluice::Errc;
using sluice::FailureMode;

/// Of calls where it matters.
inline constexpr auto timeout = 100ms;

/// How long a fault lasts.
inline constexpr auto fault_time = slow_build ? 5s : 1s;

using Limiter = sluice::RateLimiter<sluice::FixedWindow, sluice::RedisStore>;

inline Limiter limiter_on(const std::string& url, FailureMode mode = FailureMode::allow,
                          sluice::RedisOptions options = {.timeout = patience}) {
    return Limiter{sluice::FixedWindow{1'000'000, 24h},
                   sluice::RedisStore{url, std::move(options)},
                   {.name = "faults", .on_failure = mode}};
}

/// Asks a limiter whose server is usable again.
class Recovery {
public:
    explicit Recovery(const Limiter& limiter) : limiter_(limiter) {}

    /// Whether it decides again within a second.
    bool is_quick() {
        return is_soon([&] {
            const bool is_decided = !limiter_.try_consume("recovery").error;
            if (!is_decided) ++failed_;
            return is_decided;
        });
    }
    std::uint64_t failed() const noexcept { return failed_; }

private:
    const Limiter& limiter_;
    std::uint64_t failed_ = 0;
};

/// Runs a story under load, with both failure modes, and checks what must hold whatever happens: no call takes much
/// longer than its timeout, a failure is answered as its mode says, the store's counters tell the same, and nothing
/// leaks. `check` looks at the report.
template <class Story, class Check>
void endure(const std::string& url, Story story, Check check,
            const sluice::RedisOptions& options = {.timeout = timeout}) {
    for (const auto mode : {FailureMode::allow, FailureMode::deny}) {
        const auto descriptors = open_descriptors();
        {
            const Limiter limiter = limiter_on(url, mode, options);
            static_cast<void>(limiter.try_consume("warm up"));
            const auto memory = resident_bytes();
            const auto before = limiter.store().stats();
            Recovery recovery{limiter};
            const LoadReport report = run_load(limiter, mode, [&] { story(recovery); });
            const auto after = limiter.store().stats();
            INFO(report.text());
            CHECK(report.mismatched == 0);
            CHECK(report.is_in_time(options.timeout));
            CHECK(after.failures - before.failures == report.failed() + recovery.failed());
            CHECK(after.decisions - before.decisions >= report.decided);
            if (!slow_build) CHECK(resident_bytes() < memory + 5'000'000);
            check(report, limiter);
        }
        // A server within this process may take a moment to notice that its peers have gone.
        for (int i = 0; i != 200 && open_descriptors() != descriptors; ++i) std::this_thread::sleep_for(10ms);
        CHECK(open_descriptors() == descriptors);
    }
}

inline void pause_for(std::chrono::milliseconds time) { std::this_thread::sleep_for(time); }

#endif
