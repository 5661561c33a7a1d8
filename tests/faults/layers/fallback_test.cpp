// SPDX-License-Identifier: MIT

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include <sluice/layers/fallback.hpp>

#include "faults/redis/faults.hpp"

namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

constexpr std::size_t threads = 8;
constexpr std::size_t keys = 3;
constexpr auto period = 40ms;  // of each thread: 200 requests a second in all
constexpr auto duration = 30s;

// Smaller than what is asked for in any second, so that both stores deny; full again after two seconds.
constexpr double capacity = 20;
constexpr double refill = 10;  // a second

struct Answer {
    Clock::time_point begin, end;
    bool allowed;
    std::error_code error;

    bool own() const { return !error; }  ///< decided by the primary
};

bool ends_before(const Answer& a, const Answer& b) { return a.end < b.end; }

/// What the faults were: when the server was usable again, and how often it came back empty.
struct Faults {
    std::vector<Clock::time_point> usable;
    int restarts = 0;
};

/// Kills the server and stops it, in turn, and ends in time for the last recovery to be seen.
Faults kill_and_stop(RedisServer& server, Clock::time_point end) {
    constexpr auto calm = 1'500ms;
    Faults faults;
    for (int turn = 0; Clock::now() + calm + fault_time + calm < end; ++turn) {
        pause_for(calm);
        if (turn % 2 == 0) {
            server.kill();
            pause_for(fault_time);
            server.restart();
            ++faults.restarts;
        } else {
            server.freeze();
            pause_for(fault_time);
            server.thaw();
        }
        faults.usable.push_back(Clock::now());
    }
    return faults;
}

/// Checks what Fallback says about the most that can be admitted. `answers`: all of one key, in the order of their
/// ends.
void check_bound(const std::vector<Answer>& answers, int restarts) {
    double admitted = 0;
    int switches = 0;
    for (std::size_t i = 0; i != answers.size(); ++switches) {
        // A time in which one store decides. Calls overlap, so it lasts from the first begin to the last end.
        Clock::time_point begin = answers[i].begin, end = answers[i].end;
        double here = 0;
        for (const bool own = answers[i].own(); i != answers.size() && answers[i].own() == own; ++i) {
            begin = std::min(begin, answers[i].begin);
            end = answers[i].end;
            here += answers[i].allowed ? 1 : 0;
        }
        CHECK(here <= capacity + refill * Seconds{end - begin}.count() + 1);  // 1: the stores' clocks are not this one
        admitted += here;
    }
    --switches;
    const double alone = capacity + refill * Seconds{answers.back().end - answers.front().begin}.count() + 1;
    INFO(admitted << " admitted, " << switches << " switches, " << restarts << " restarts; alone: " << alone);
    CHECK(admitted <= std::min(alone + switches * capacity, 2 * alone) + restarts * capacity);
    CHECK(admitted > alone / 2);  // or the bound would say nothing
}

}  // namespace

TEST_CASE("Redis is killed and stopped, and the memory behind it decides meanwhile") {
    RedisServer server;
    const sluice::RateLimiter limiter{
        sluice::TokenBucket{static_cast<int>(capacity), sluice::per_second(static_cast<int>(refill))},
        sluice::Fallback{sluice::RedisStore{server.url(), {.timeout = timeout}},
                         sluice::MemoryStore<sluice::TokenBucket>{}},
        {.name = "fallback", .on_failure = FailureMode::deny}};

    std::array<std::vector<Answer>, threads> answers;
    std::vector<std::thread> load;
    HiccupMeter hiccup;
    const auto start = Clock::now();
    for (std::size_t t = 0; t != threads; ++t) {
        load.emplace_back([&, t] {
            const std::string key = "key" + std::to_string(t % keys);
            auto due = start + period / static_cast<int>(threads) * static_cast<int>(t);
            for (; due < start + duration; due += period) {
                std::this_thread::sleep_until(due);
                const auto begin = Clock::now();
                const auto decision = limiter.try_consume(key);
                answers[t].push_back({begin, Clock::now(), decision.allowed, decision.error});
            }
        });
    }
    const Faults faults = kill_and_stop(server, start + duration);
    for (auto& thread : load) thread.join();

    LoadReport report;
    report.hiccup = hiccup.stop();
    std::vector<Answer> all;
    std::array<std::vector<Answer>, keys> of_key;
    for (std::size_t t = 0; t != threads; ++t) {
        all.insert(all.end(), answers[t].begin(), answers[t].end());
        of_key[t % keys].insert(of_key[t % keys].end(), answers[t].begin(), answers[t].end());
    }
    std::sort(all.begin(), all.end(), ends_before);

    std::array<std::array<int, 2>, 2> seen{};  // [degraded][allowed]
    int others = 0;
    for (const Answer& answer : all) {
        report.latencies.push_back(answer.end - answer.begin);
        ++seen[answer.own() ? 0 : 1][answer.allowed ? 1 : 0];
        if (!answer.own() && answer.error != Errc::degraded) ++others;
    }
    INFO(all.size() << " answers, p99.9 " << report.p999().count() / 1'000 << " us, hiccup "
                    << report.hiccup.count() / 1'000 << " us, " << faults.usable.size() << " faults");
    CHECK(others == 0);
    for (const auto& store : seen) {
        for (const int count : store) CHECK(count > 0);
    }
    CHECK(report.is_in_time(timeout));

    REQUIRE(faults.restarts >= 2);
    for (const auto usable : faults.usable) {
        const auto own = std::find_if(all.begin(), all.end(),
                                      [&](const Answer& answer) { return answer.own() && answer.end > usable; });
        REQUIRE(own != all.end());
        CHECK(Seconds{own->end - usable}.count() < 1);
    }
    for (auto& of_one : of_key) {
        std::sort(of_one.begin(), of_one.end(), ends_before);
        check_bound(of_one, faults.restarts);
    }
}
