// SPDX-License-Identifier: MIT
#ifndef SLUICE_TESTS_FAULTS_ASYNC_FAULTS_HPP
#define SLUICE_TESTS_FAULTS_ASYNC_FAULTS_HPP

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <poll.h>

#include <sluice/redis.hpp>
#include <sluice/sluice.hpp>

#include "support/catch.hpp"
#include "support/load.hpp"
#include "support/poll_loop.hpp"
#include "support/redis_server.hpp"

using namespace std::chrono_literals;
using sluice::Errc;
using sluice::FailureMode;

/// Of calls where it matters.
inline constexpr auto timeout = 100ms;

/// How long a fault lasts.
inline constexpr auto fault_time = slow_build ? 3s : 700ms;

/// What a loop does for itself every 5 ms is usually no later than this, and the client never takes more of its time at
/// once. That it is never late at all cannot be asked of a machine that is busy with other tests.
inline constexpr auto most_loop_latency = slow_build ? 50ms : 5ms;

/// The client keeps nobody waiting, but for a lock that the thread of a look-up holds for a moment.
inline void check_never_waits(const ThreadUsage& in_client) {
    INFO("slept " << in_client.sleeps << " times, worked for up to " << in_client.longest_work.count() / 1000 << " us");
    CHECK(in_client.sleeps <= 2);
    CHECK(in_client.longest_work <= most_loop_latency);
}

/// A loop with an AsyncRedis, a steady load on it (200 times a second some requests), and a timer that has nothing to do with
/// either.
class LoopUnderLoad {
public:
    LoopUnderLoad(const std::string& url, sluice::RedisOptions options, FailureMode mode, int calls_at_once)
        : redis_(url, std::move(options)),
          limiter_(sluice::FixedWindow{1'000'000, 24h}, redis_, {.name = "faults", .on_failure = mode}), mode_(mode),
          calls_at_once_(calls_at_once), thread_([this] { run(); }) {}
    ~LoopUnderLoad() {
        if (thread_.joinable()) stop();
    }

    /// Ends the loop, when all that was asked is answered.
    void stop() {
        is_over_ = true;
        thread_.join();
    }

    // While the loop runs:
    std::uint64_t decided() const { return decided_; }
    /// Whether a call that begins from now on is decided within a second.
    bool recovers() const {
        const auto before = decided();
        return is_soon([&] { return decided() >= before + 3; });
    }
    void wait_for_first() const {
        const auto end = Clock::now() + 5s;
        while (answered_ == 0 && Clock::now() < end) std::this_thread::sleep_for(1ms);
    }

    // Afterwards:
    const LoadReport& report() const { return report_; }
    sluice::RedisStats stats() const { return redis_.stats(); }
    /// Of the timer, in so many of a hundred cases.
    std::chrono::nanoseconds loop_latency(std::size_t percent) const {
        auto sorted = lateness_;
        std::sort(sorted.begin(), sorted.end());
        return sorted.empty() ? 0ns : sorted[(sorted.size() - 1) * percent / 100];
    }
    std::uint64_t asked() const { return asked_; }
    const ThreadUsage& in_client() const { return in_client_; }

private:
    using Clock = std::chrono::steady_clock;

    void run() {
        auto next_ask = Clock::now();
        auto next_tick = next_ask + 5ms;
        while (!is_over_ || asked_ != report_.latencies.size()) {
            const auto now = Clock::now();
            if (now >= next_ask && !is_over_) {
                for (int i = 0; i != calls_at_once_; ++i) ask();
                next_ask += 5ms;
            }
            if (now >= next_tick) {
                lateness_.push_back(now - next_tick);
                next_tick = now + 5ms;
            }
            items_.clear();
            for (const sluice::Watch& watch : redis_.watches()) items_.push_back({watch.fd, watch.events, 0});
            const auto own = std::chrono::ceil<std::chrono::milliseconds>(std::min(next_tick, next_ask) - now).count();
            const int wait = redis_.poll_timeout();
            const int most = static_cast<int>(std::clamp<std::int64_t>(own, 0, 5));
            ::poll(items_.data(), static_cast<nfds_t>(items_.size()), wait < 0 ? most : std::min(wait, most));
            in_client_.measure([&] { process(redis_, items_); });
        }
    }

    void ask() {
        static constexpr const char* keys[] = {"key0", "key1", "key2"};
        limiter_.async_try_consume(keys[asked_++ % 3], 1, [this, start = Clock::now()](sluice::Decision decision) {
            report_.latencies.push_back(Clock::now() - start);
            ++answered_;
            if (decision.error) {
                ++report_.errors[static_cast<std::size_t>(decision.error.value()) % report_.errors.size()];
                if (decision.allowed != (mode_ == FailureMode::allow)) ++report_.mismatched;
            } else {
                ++report_.decided;
                ++decided_;
                if (decision.allowed) ++report_.admitted;
            }
        });
    }

    const sluice::AsyncRedis redis_;
    const sluice::RateLimiter<sluice::FixedWindow, sluice::AsyncRedis> limiter_;
    const FailureMode mode_;
    const int calls_at_once_;
    std::vector<pollfd> items_;
    LoadReport report_;
    std::uint64_t asked_ = 0;
    std::vector<std::chrono::nanoseconds> lateness_;
    ThreadUsage in_client_;
    std::atomic<std::uint64_t> decided_{0}, answered_{0};
    std::atomic<bool> is_over_{false};
    std::thread thread_;
};

/// Runs a story under load, with both failure modes, and checks what must hold whatever happens: the loop is never held
/// up, each call is answered once and in time, a failure as its mode says, the client counts the same, nothing leaks.
template <class Story, class Check>
void endure(const std::string& url, Story story, Check check, sluice::RedisOptions options = {.timeout = timeout},
            int calls_at_once = 1) {
    for (const auto mode : {FailureMode::allow, FailureMode::deny}) {
        const auto descriptors = open_descriptors();
        {
            HiccupMeter control;
            LoopUnderLoad loop{url, options, mode, calls_at_once};
            loop.wait_for_first();
            const auto memory = resident_bytes();
            story(loop);
            loop.stop();
            const auto hiccup = control.stop();
            LoadReport report = loop.report();
            INFO(report.text() << ", timer late by " << loop.loop_latency(50).count() / 1000
                               << " us, 99 %: " << loop.loop_latency(99).count() / 1000 << " us, at most "
                               << loop.loop_latency(100).count() / 1000 << " us, machine " << hiccup.count() / 1000
                               << " us");
            CHECK(loop.loop_latency(50) <= most_loop_latency + 2 * hiccup);
            check_never_waits(loop.in_client());
            // So whatever else the loop was late by it owes to the machine.
            const auto held_up = std::max(hiccup, loop.loop_latency(100));
            CHECK(report.latencies.size() == loop.asked());
            CHECK(report.mismatched == 0);
            report.hiccup = held_up;
            CHECK(report.is_in_time(options.timeout));
            CHECK(loop.stats().failures == report.failed());
            CHECK(loop.stats().decisions >= report.decided);
            if (!slow_build) CHECK(resident_bytes() < memory + 5'000'000);
            check(report, loop.stats());
        }
        // A server within this process may take a moment to notice that its peers have gone.
        for (int i = 0; i != 200 && open_descriptors() != descriptors; ++i) std::this_thread::sleep_for(10ms);
        CHECK(open_descriptors() == descriptors);
    }
}

inline void pause_for(std::chrono::milliseconds time) { std::this_thread::sleep_for(time); }

#endif
