// SPDX-License-Identifier: MIT
//
// Eight processes lease one key of one Redis. Some are killed with units in hand, some are stopped for a while. What they admit
// keeps to the bounds that Lease states.
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <new>
#include <string>
#include <thread>
#include <vector>

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sluice/layers/denial_cache.hpp>
#include <sluice/layers/lease.hpp>
#include <sluice/redis.hpp>
#include <sluice/sluice.hpp>

#include "support/catch.hpp"
#include "support/random.hpp"
#include "support/redis_server.hpp"

using namespace std::chrono_literals;
using std::chrono::nanoseconds;

namespace {

constexpr std::size_t processes = 8;

struct Admission {
    std::int64_t begin_ns, end_ns;
};

/// What the processes have admitted, in memory that they share and that outlives them.
struct Log {
    static constexpr std::size_t most = 20'000;
    struct Own {
        std::atomic<std::size_t> count{0};
        std::array<Admission, most> admissions{};
    };
    std::array<Own, processes> of{};
    std::atomic<bool> over{false};
    std::atomic<std::uint64_t> leased{0}, errors{0};
};

class SharedLog {
public:
    SharedLog() {
        void* const memory = ::mmap(nullptr, sizeof(Log), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) throw std::bad_alloc{};
        log_ = ::new (memory) Log;
    }
    SharedLog(const SharedLog&) = delete;
    SharedLog& operator=(const SharedLog&) = delete;
    ~SharedLog() { ::munmap(log_, sizeof(Log)); }
    Log* operator->() const { return log_; }

private:
    Log* log_;
};

template <sluice::Policy P>
struct Round {
    P policy;
    sluice::LeaseOptions options;
    std::string name;
    bool is_cached;

    std::uint64_t most_held() const {
        return std::min(options.max_units, std::max<std::uint64_t>(1, policy.quota().limit / options.instances));
    }

    void serve(const std::string& url, std::size_t process, nanoseconds pause, SharedLog& log) const {
        const sluice::RedisStore redis{url, {.timeout = 5s}};
        const sluice::Lease lease{redis, options};
        const sluice::LimiterOptions named{.name = name, .on_failure = sluice::FailureMode::deny};
        const sluice::AnyLimiter limiter =
            is_cached ? sluice::AnyLimiter{sluice::RateLimiter{policy, sluice::DenialCache{lease}, named}}
                      : sluice::AnyLimiter{sluice::RateLimiter{policy, lease, named}};
        const sluice::DefaultClock clock;
        auto& own = log->of[process];
        while (!log->over) {
            const auto begin = clock.now();
            const auto decision = limiter.try_consume("key");
            if (decision.error) ++log->errors;
            const std::size_t count = own.count;
            if (decision && count != Log::most) {
                own.admissions[count] = {begin.count(), clock.now().count()};
                own.count = count + 1;
            }
            if (pause > 0ns) std::this_thread::sleep_for(pause);
        }
        log->leased += lease.stats().hits;
    }

    /// The admissions of all, by their ends.
    std::vector<Admission> run(const RedisServer& server, Random& random, SharedLog& log) const {
        std::array<pid_t, processes> children{};
        for (std::size_t i = 0; i != processes; ++i) {
            const nanoseconds pause{random.pick(0, 50'000, 200'000, 1'000'000)};
            children[i] = ::fork();
            if (children[i] == 0) {
                serve(server.url(), i, pause, log);
                ::_exit(0);
            }
        }
        for (int i = 0; i != 6; ++i) {
            std::this_thread::sleep_for(nanoseconds{random.between(20'000'000, 60'000'000)});
            const pid_t child = children[random.between<std::size_t>(0, processes - 1)];
            if (child == 0) continue;
            if (random.one_in(2)) {
                ::kill(child, SIGKILL);
                ::waitpid(child, nullptr, 0);
                std::replace(children.begin(), children.end(), child, pid_t{0});
            } else {
                ::kill(child, SIGSTOP);
                std::this_thread::sleep_for(nanoseconds{random.between(5'000'000, 60'000'000)});
                ::kill(child, SIGCONT);
            }
        }
        log->over = true;
        for (const pid_t child : children) {
            if (child != 0) ::waitpid(child, nullptr, 0);
        }
        std::vector<Admission> all;
        for (const auto& own : log->of) {
            REQUIRE(own.count < Log::most);
            all.insert(all.end(), own.admissions.begin(),
                       own.admissions.begin() + static_cast<std::ptrdiff_t>(own.count));
        }
        std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.end_ns < b.end_ns; });
        CHECK(log->errors == 0);
        return all;
    }
};

/// The most that was admitted within an interval beyond rate * its length, of requests that began and ended in it.
double most_over_rate(const std::vector<Admission>& all, double per_ns) {
    double most = 0;
    for (std::size_t i = 0; i < all.size(); ++i) {
        std::int64_t begin = all[i].begin_ns;
        for (std::size_t j = i; j != all.size(); ++j) {
            begin = std::min(begin, all[j].begin_ns);
            most = std::max(most, static_cast<double>(j - i + 1) - per_ns * static_cast<double>(all[j].end_ns - begin));
        }
        if (all.size() > 4'000) i += all.size() / 4'000;  // every interval of so many beginnings
    }
    return most;
}

}  // namespace

TEST_CASE("eight processes that lease, pause and die admit no more than is stated, in every interval") {
    const RedisServer server;
    Random random{"leasing processes"};
    std::uint64_t leased = 0;
    for (int round = 0; round != 50; ++round) {
        SharedLog log;
        sluice::LeaseOptions options;
        options.span = random.pick(5ms, 20ms);
        options.instances = random.pick(1U, 8U, 16U);
        const bool is_cached = random.one_in(2);
        const std::string name = "round" + std::to_string(round);
        INFO(name << ", instances " << options.instances << ", span " << options.span.count() << " ns");
        switch (round % 3) {
            case 0: {
                const int capacity = random.magnitude(20, 2'000);
                const int rate = random.magnitude(200, 10'000);
                const Round<sluice::TokenBucket> one{{capacity, sluice::per_second(rate)}, options, name, is_cached};
                const auto all = one.run(server, random, log);
                // 1: the server counts in microseconds.
                CHECK(most_over_rate(all, rate / 1e9) <=
                      capacity + static_cast<double>(processes * one.most_held()) + 1);
                break;
            }
            case 1: {
                constexpr nanoseconds window = 100ms;
                const Round<sluice::FixedWindow> one{{random.magnitude(20, 2'000), window}, options, name, is_cached};
                const auto all = one.run(server, random, log);
                for (std::int64_t i = all.empty() ? 0 : all.front().begin_ns / window.count();
                     !all.empty() && i <= all.back().end_ns / window.count(); ++i) {
                    const auto in = std::count_if(all.begin(), all.end(), [&](const Admission& admission) {
                        return admission.begin_ns >= i * window.count() && admission.end_ns < (i + 1) * window.count();
                    });
                    CHECK(static_cast<std::uint64_t>(in) <= one.policy.limit());
                }
                break;
            }
            default: {  // one window for all: the server's books
                const Round<sluice::FixedWindow> one{
                    {random.magnitude(500, 20'000), std::chrono::hours{24 * 365}}, options, name, is_cached};
                const auto all = one.run(server, random, log);
                const sluice::RateLimiter direct{
                    one.policy, sluice::RedisStore{server.url(), {.timeout = 5s}}, {.name = name}};
                const auto peeked = direct.peek("key");
                REQUIRE_FALSE(peeked.error);
                const std::uint64_t given = peeked.limit - peeked.remaining;
                CHECK(all.size() <= given);
                // Lost with those who were killed, at most six of them; each may have died between admission and log.
                CHECK(given - all.size() <= 6 * (one.most_held() + 1));
            }
        }
        leased += log->leased;
    }
    CHECK(leased > 1'000);
}
