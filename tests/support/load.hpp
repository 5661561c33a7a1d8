// SPDX-License-Identifier: MIT
#ifndef SLUICE_TESTS_SUPPORT_LOAD_HPP
#define SLUICE_TESTS_SUPPORT_LOAD_HPP

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include <sluice/sluice.hpp>

#include "support/catch.hpp"
#include "support/random.hpp"
#include "support/threads.hpp"

// A steady load on a limiter while its server fails: 8 threads, 200 requests a second.

/// For a call in a case that is not about time: the machine may be busy with other tests.
inline constexpr std::chrono::seconds patience{10};

/// What happened to the requests.
struct LoadReport {
    std::uint64_t decided = 0;     ///< without an error
    std::uint64_t admitted = 0;    ///< of these, allowed
    std::uint64_t mismatched = 0;  ///< with an error, and not as the failure mode says
    std::array<std::uint64_t, 32> errors{};
    std::vector<std::chrono::nanoseconds> latencies{};
    std::chrono::nanoseconds hiccup{0};  ///< the longest time by which a thread that slept woke late

    std::uint64_t of(sluice::Errc errc) const { return errors[static_cast<std::size_t>(errc)]; }
    std::uint64_t failed() const {
        std::uint64_t sum = 0;
        for (const auto count : errors) sum += count;
        return sum;
    }
    std::chrono::nanoseconds p999() const {
        auto sorted = latencies;
        std::sort(sorted.begin(), sorted.end());
        return sorted.empty() ? std::chrono::nanoseconds{0} : sorted[sorted.size() - 1 - sorted.size() / 1000];
    }
    /// Whether all but one call in a thousand were answered in time, but for what the machine held them up: several times
    /// where it is busy, which nobody measures.
    bool is_in_time(std::chrono::nanoseconds timeout) const {
        const bool is_busy = hiccup > std::chrono::milliseconds{5};
        return p999() <= timeout * 12 / 10 + 2 * hiccup + (is_busy ? timeout / 2 : std::chrono::nanoseconds{0});
    }
    std::string text() const {
        std::string all = std::to_string(decided) + " decided, " + std::to_string(failed()) + " failed (";
        for (std::size_t i = 0; i != errors.size(); ++i) {
            if (errors[i] != 0) {
                all +=
                    std::to_string(errors[i]) + " x " + make_error_code(static_cast<sluice::Errc>(i)).message() + "; ";
            }
        }
        return all + "), p99.9 " + std::to_string(p999().count() / 1000) + " us, hiccup " +
               std::to_string(hiccup.count() / 1000) + " us";
    }
};

/// Measures by how much the machine holds threads up.
class HiccupMeter {
public:
    ~HiccupMeter() {
        if (thread_.joinable()) static_cast<void>(stop());
    }
    /// The longest time since the construction by which a thread that only sleeps woke late. To be called once.
    std::chrono::nanoseconds stop() {
        over_ = true;
        thread_.join();
        return longest_;
    }

private:
    void measure() {
        using Clock = std::chrono::steady_clock;
        while (!over_) {
            const auto wake = Clock::now() + std::chrono::milliseconds{5};
            std::this_thread::sleep_until(wake);
            longest_ = std::max<std::chrono::nanoseconds>(longest_, Clock::now() - wake);
        }
    }

    std::atomic<bool> over_{false};
    std::chrono::nanoseconds longest_{0};
    std::thread thread_{[this] { measure(); }};
};

/// Whether `decides` is true within a second; within five where the machine is so busy that threads wake late.
template <class Decides>
bool is_soon(Decides decides) {
    using Clock = std::chrono::steady_clock;
    const auto start = Clock::now();
    bool is_busy = false;
    while (!decides()) {
        const auto wake = Clock::now() + std::chrono::milliseconds{5};
        if (wake > start + std::chrono::seconds{5}) return false;
        std::this_thread::sleep_until(wake);
        is_busy = is_busy || Clock::now() > wake + std::chrono::milliseconds{5};
    }
    return is_busy || Clock::now() < start + std::chrono::seconds{1};
}

/// Runs the load until `story`, which runs meanwhile, returns.
template <class Limiter, class Story>
LoadReport run_load(const Limiter& limiter, sluice::FailureMode mode, Story story) {
    using Clock = std::chrono::steady_clock;
    constexpr std::size_t threads = 8;
    constexpr auto pause = std::chrono::milliseconds{40};
    std::atomic<bool> over{false};
    std::array<LoadReport, threads> reports;
    std::vector<std::thread> all;
    for (std::size_t t = 0; t != threads; ++t) {
        all.emplace_back([&, t] {
            LoadReport& report = reports[t];
            const std::string key = "key" + std::to_string(t % 3);
            std::this_thread::sleep_for(pause / static_cast<int>(threads) * static_cast<int>(t));
            while (!over) {
                const auto start = Clock::now();
                const auto decision = limiter.try_consume(key);
                report.latencies.push_back(Clock::now() - start);
                if (decision.error) {
                    ++report.errors[static_cast<std::size_t>(decision.error.value()) % report.errors.size()];
                    if (decision.allowed != (mode == sluice::FailureMode::allow)) ++report.mismatched;
                } else {
                    ++report.decided;
                    if (decision.allowed) ++report.admitted;
                }
                const auto next = start + pause;
                if (Clock::now() > next) continue;
                std::this_thread::sleep_until(next);
                report.hiccup = std::max<std::chrono::nanoseconds>(report.hiccup, Clock::now() - next);
            }
        });
    }
    HiccupMeter control;
    run_then(story, [&] {
        over = true;
        for (auto& thread : all) thread.join();
    });

    LoadReport sum;
    sum.hiccup = control.stop();
    for (const auto& report : reports) {
        sum.hiccup = std::max(sum.hiccup, report.hiccup);
        sum.decided += report.decided;
        sum.admitted += report.admitted;
        sum.mismatched += report.mismatched;
        for (std::size_t i = 0; i != sum.errors.size(); ++i) sum.errors[i] += report.errors[i];
        sum.latencies.insert(sum.latencies.end(), report.latencies.begin(), report.latencies.end());
    }
    return sum;
}

/// Descriptors that this process has open.
inline std::size_t open_descriptors() {
    const char* const folder = std::filesystem::exists("/proc/self/fd") ? "/proc/self/fd" : "/dev/fd";
    std::size_t count = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator{folder}) ++count;
    return count;
}

/// Bytes of memory in use, 0 where that is unknown.
inline std::size_t resident_bytes() {
    std::ifstream file{"/proc/self/statm"};
    std::size_t total = 0, resident = 0;
    file >> total >> resident;
    return resident * 4096;
}

#endif
