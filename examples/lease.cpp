// SPDX-License-Identifier: MIT
//
// Three instances of a service share one hot limit of 1,000 requests a second and get 6,000: they agree through Redis, but
// hardly ever ask it.
//
//     lease redis://127.0.0.1:6379
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <new>
#include <string>
#include <thread>

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sluice/layers/denial_cache.hpp>
#include <sluice/layers/lease.hpp>
#include <sluice/redis.hpp>
#include <sluice/sluice.hpp>

using namespace std::chrono_literals;

namespace {

constexpr int instances = 3;
constexpr int per_second = 2'000;  // of each instance
constexpr int duration = 10;       // seconds
constexpr std::uint64_t limit = 1'000;

/// What the instances report to the parent, second by second.
struct Second {
    std::atomic<std::uint64_t> requests{0}, admitted{0}, errors{0};
};
struct Report {
    std::array<Second, duration + 2> seconds{};
    std::array<std::atomic<std::uint64_t>, instances> asked{};  // decisions that Redis made
};

/// One instance: asks for the hot key at a steady rate.
void serve(const char* url, std::size_t instance, std::chrono::nanoseconds begin, Report& report) {
    const sluice::RedisStore redis{url};
    const sluice::RateLimiter limiter{sluice::FixedWindow{limit, 1s},
                                      sluice::DenialCache{sluice::Lease{redis, {.instances = instances}}},
                                      {.name = "hot"}};
    const sluice::DefaultClock clock;
    constexpr auto pause = std::chrono::nanoseconds{1s} / per_second;
    for (auto due = begin; due < begin + duration * 1s; due += pause) {
        std::this_thread::sleep_for(due - clock.now());
        const sluice::Decision decision = limiter.try_consume("key");
        Second& second = report.seconds[static_cast<std::size_t>((clock.now() - begin) / 1s) % report.seconds.size()];
        ++second.requests;
        second.admitted += decision.allowed ? 1U : 0U;
        second.errors += decision.error ? 1U : 0U;
        report.asked[instance] = redis.stats().decisions;
    }
}

}  // namespace

int main(int argc, char* argv[]) {
    if (argc != 2) {
        std::fprintf(stderr, "usage: %s redis://HOST[:PORT]\n", argv[0]);
        return 2;
    }
    void* const memory = ::mmap(nullptr, sizeof(Report), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return 2;
    Report& report = *::new (memory) Report;

    const sluice::DefaultClock clock;
    const std::chrono::nanoseconds begin =
        std::chrono::floor<std::chrono::seconds>(clock.now()) + 2s;  // a window's edge
    std::array<pid_t, instances> children{};
    for (std::size_t i = 0; i != children.size(); ++i) {
        children[i] = ::fork();
        if (children[i] == 0) {
            serve(argv[1], i, begin, report);
            ::_exit(0);
        }
    }

    std::puts("second   requests   admitted   allowed   asked of Redis for each");
    std::uint64_t requests = 0, admitted = 0, errors = 0, asked_before = 0;
    const auto show = [&](const char* name, std::uint64_t of, std::uint64_t passed, std::uint64_t may,
                          std::uint64_t asked) {
        std::printf("%6s %10llu %10llu %9llu %12.4f\n", name, static_cast<unsigned long long>(of),
                    static_cast<unsigned long long>(passed), static_cast<unsigned long long>(may),
                    static_cast<double>(asked) / static_cast<double>(std::max<std::uint64_t>(1, of)));
        std::fflush(stdout);
    };
    for (int second = 0; second != duration; ++second) {
        std::this_thread::sleep_for(begin + (second + 1) * 1s + 50ms - clock.now());
        const Second& now = report.seconds[static_cast<std::size_t>(second)];
        std::uint64_t asked = 0;
        for (const auto& one : report.asked) asked += one;
        show(std::to_string(second).c_str(), now.requests, now.admitted, limit, asked - asked_before);
        asked_before = asked;
    }
    for (const pid_t child : children) ::waitpid(child, nullptr, 0);
    for (const Second& second : report.seconds) {
        requests += second.requests;
        admitted += second.admitted;
        errors += second.errors;
    }
    std::uint64_t asked = 0;
    for (const auto& one : report.asked) asked += one;
    // The last requests may be late, for a window more.
    const std::uint64_t windows = duration + (report.seconds[duration].requests > 0 ? 1 : 0);
    show("all", requests, admitted, windows * limit, asked);
    const bool is_bounded = admitted <= windows * limit && errors == 0;
    std::puts(is_bounded ? "Not one more than allowed." : "MORE than allowed, or errors.");
    return is_bounded ? 0 : 1;
}
