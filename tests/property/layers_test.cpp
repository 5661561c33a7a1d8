// SPDX-License-Identifier: MIT
//
// Random histories of DenialCache and Lease against what their documentation says.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <sluice/layers/denial_cache.hpp>
#include <sluice/layers/lease.hpp>
#include <sluice/sluice.hpp>

#include "support/catch.hpp"
#include "support/counting_store.hpp"
#include "support/random.hpp"

using namespace std::chrono_literals;
using std::chrono::nanoseconds;

namespace {

constexpr auto start = 1'000'000s;

template <sluice::Policy P>
using Shared = CountingStore<sluice::MemoryStore<P, sluice::ManualClock>>;

/// What was admitted, and when.
class Admissions {
public:
    void add(nanoseconds now, std::uint64_t units, double per_ns) {
        const auto time = static_cast<double>((now - start).count());
        least_ = std::min(least_, total_ - per_ns * time);
        total_ += static_cast<double>(units);
        most_over_rate_ = std::max(most_over_rate_, total_ - per_ns * time - least_);
    }
    /// In any interval, less what the rate gives in it.
    double most_over_rate() const { return most_over_rate_; }

private:
    double total_ = 0, least_ = 1e300, most_over_rate_ = 0;
};

/// A few processes that lease one key of a shared store, some behind a denial cache.
template <sluice::Policy P>
class Histories {
public:
    using Lease = sluice::Lease<Shared<P>, sluice::ManualClock>;
    using Cached = sluice::DenialCache<Lease, sluice::ManualClock>;
    struct Process {
        Lease lease;
        sluice::AnyLimiter limiter;
    };

    Histories(Random& random, P policy) : random_(random), policy_(std::move(policy)) {
        options_.drive = sluice::Drive::manual;
        options_.max_keys = 4;
        options_.span = random.pick(1ms, 20ms, 100ms);
        options_.instances = random.pick(1U, 4U, 16U);
        options_.max_units = random.pick(5U, 100U, 65'536U);
        const int count = random.between(1, 4);
        for (int i = 0; i != count; ++i) processes_.push_back(make());
    }

    void run(int steps) {
        for (int i = 0; i != steps; ++i) {
            step();
            // Nothing is admitted that was not given, and nothing twice.
            if (admitted_ + held() + lost_ != shared_.given())
                FAIL(admitted_ << " admitted, " << held() << " held, " << lost_ << " lost of " << shared_.given());
        }
        shared_.recover();
        for (int i = 0; i != 8; ++i) {
            clock_.advance(options_.span);
            for (auto& process : processes_) process->lease.maintain();
        }
        for (const auto& process : processes_) REQUIRE(process->lease.stats().held == 0);  // all are idle
    }

    /// The most that one process held ahead.
    double most_held() const {
        return static_cast<double>(
            std::min(options_.max_units, std::max<std::uint64_t>(1, limit() / options_.instances)));
    }
    std::size_t processes() const { return all_processes_; }
    std::uint64_t limit() const { return policy_.quota().limit; }
    const Admissions& admissions() const { return admissions_; }
    std::uint64_t most_in_window() const { return most_in_window_; }

private:
    std::unique_ptr<Process> make() {
        ++all_processes_;
        const Lease lease{shared_, options_, clock_};
        const sluice::LimiterOptions options{.name = "api", .on_failure = sluice::FailureMode::deny};
        if (random_.one_in(2))
            return std::make_unique<Process>(Process{lease, sluice::RateLimiter{policy_, lease, options}});
        return std::make_unique<Process>(
            Process{lease, sluice::RateLimiter{policy_, Cached{lease, {.max_keys = 4}, clock_}, options}});
    }
    /// With what is lost.
    std::uint64_t held() const {
        std::uint64_t units = 0;
        for (const auto& process : processes_) units += process->lease.stats().held + process->lease.stats().stranded;
        return units;
    }

    void step() {
        auto& process = processes_[random_.between<std::size_t>(0, processes_.size() - 1)];
        switch (random_.between(0, 15)) {
            case 0: clock_.advance(nanoseconds{random_.magnitude<std::int64_t>(1, 2'000'000'000)}); break;
            case 1: shared_.fail(sluice::Errc::timeout); break;
            case 2:
            case 3: shared_.recover(); break;
            case 4:
                if (random_.one_in(4)) {  // it dies: what it holds is lost, as is what it cannot give back
                    shared_.fail(sluice::Errc::timeout);
                    lost_ += process->lease.stats().held + process->lease.stats().stranded;
                    process.reset();
                    shared_.recover();
                    process = make();
                }
                break;
            case 5:
            case 6:
            case 7: process->lease.maintain(); break;
            default: {
                const int count = random_.between(1, 40);
                const std::uint64_t cost = random_.one_in(4) ? random_.between<std::uint64_t>(1, 3) : 1;
                for (int i = 0; i != count; ++i) ask(*process, cost);
                clock_.advance(nanoseconds{random_.magnitude<std::int64_t>(1, 5'000'000)});
            }
        }
    }
    void ask(Process& process, std::uint64_t cost) {
        if (!process.limiter.try_consume("key", cost)) return;
        admitted_ += cost;
        const auto now = clock_.now();
        const auto quota = policy_.quota();
        admissions_.add(now, cost, static_cast<double>(quota.limit) / static_cast<double>(quota.window.count()));
        auto& in_window = windows_[now / quota.window];
        in_window += cost;
        most_in_window_ = std::max(most_in_window_, in_window);
    }

    Random& random_;
    P policy_;
    sluice::ManualClock clock_{start};
    Shared<P> shared_{sluice::MemoryStore<P, sluice::ManualClock>{{}, clock_}};
    sluice::LeaseOptions options_;
    std::vector<std::unique_ptr<Process>> processes_;
    std::size_t all_processes_ = 0;
    std::uint64_t admitted_ = 0, lost_ = 0, most_in_window_ = 0;
    std::map<std::int64_t, std::uint64_t> windows_;
    Admissions admissions_;
};

}  // namespace

TEST_CASE("leases of a bucket admit at most what all processes may hold more than its own bound, in every interval") {
    Random random{"leases of a bucket"};
    const int count = cases(10'000);
    double tightest = 0;
    for (int i = 0; i != count; ++i) {
        const auto capacity = random.magnitude(1, 5'000);
        Histories<sluice::TokenBucket> history{random, {capacity, sluice::per_second(random.magnitude(1, 5'000))}};
        history.run(60);
        // A process that dies may have spent all it held, and so may the one in its place.
        const double bound =
            static_cast<double>(history.limit()) + static_cast<double>(history.processes()) * history.most_held() + 1;
        REQUIRE(history.admissions().most_over_rate() <= bound);
        tightest = std::max(tightest, history.admissions().most_over_rate() / bound);
    }
    CHECK(tightest > 0.5);
}

TEST_CASE("leases of a window admit its limit and not a unit more, in every window") {
    Random random{"leases of a window"};
    const int count = cases(10'000);
    int used_up = 0;
    for (int i = 0; i != count; ++i) {
        const auto limit = random.magnitude(1, 2'000);
        Histories<sluice::FixedWindow> history{random, {limit, random.pick(50ms, 1'000ms, 3'600'000ms)}};
        history.run(60);
        REQUIRE(history.most_in_window() <= history.limit());
        used_up += history.most_in_window() == history.limit() ? 1 : 0;
    }
    CHECK(used_up > count / 10);
}

TEST_CASE("a denial cache denies what the store would deny, and nothing else but after changes elsewhere") {
    Random random{"denial cache"};
    const int count = cases(4'000);
    std::uint64_t hits = 0;
    const auto run = [&](const auto& policy) {
        using P = std::decay_t<decltype(policy)>;
        constexpr auto cap = 1s;
        const sluice::ManualClock clock{start};
        const sluice::MemoryStore<P, sluice::ManualClock> store{{}, clock};
        const sluice::DenialCache cache{store, {.max_keys = 4}, clock};
        const sluice::RateLimiter cached{policy, cache};
        const sluice::RateLimiter direct{policy, store};
        std::map<std::string, nanoseconds> changed;
        for (int i = 0; i != 80; ++i) {
            if (random.one_in(2)) clock.advance(nanoseconds{random.magnitude<std::int64_t>(1, 1'000'000'000)});
            const std::string key = random.pick("a", "b", "c", "d", "e", "f");
            const auto units = random.between<std::uint64_t>(1, 6);
            switch (random.between(0, 11)) {
                case 0: static_cast<void>(cached.refund(key, units)); break;
                case 1: static_cast<void>(cached.reset(key)); break;
                case 2:
                    static_cast<void>(random.one_in(2) ? direct.refund(key, units) : direct.reset(key));
                    changed[key] = clock.now();
                    break;
                case 3: static_cast<void>(direct.try_consume(key, units)); break;
                default: {
                    const auto expected = direct.peek(key, units);
                    const auto before = cache.stats().hits;
                    const auto decision = cached.try_consume(key, units);
                    const bool is_hit = cache.stats().hits != before;
                    const bool is_recent = changed.contains(key) && clock.now() - changed[key] < cap;
                    if (!is_hit || !is_recent) REQUIRE(decision.allowed == expected.allowed);
                    if (is_hit && !is_recent) REQUIRE(decision.retry_after <= expected.retry_after);
                }
            }
        }
        hits += cache.stats().hits;
    };
    for (int i = 0; i != count; ++i) {
        switch (i % 5) {
            case 0: run(sluice::TokenBucket{5, sluice::per_second(2)}); break;
            case 1: run(sluice::FixedWindow{5, 2s}); break;
            case 2: run(sluice::SlidingWindow{5, 2s}); break;
            case 3: run(sluice::SlidingWindowCounter{5, 2s}); break;
            default: run(sluice::AllOf{sluice::TokenBucket{5, sluice::per_second(2)}, sluice::FixedWindow{7, 10s}});
        }
    }
    CHECK(hits > static_cast<std::uint64_t>(count));
}
