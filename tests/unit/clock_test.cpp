// SPDX-License-Identifier: MIT

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>
#include <type_traits>
#include <vector>

#include <sluice/clock.hpp>
#include <sluice/detail/clock/anchored_clock.hpp>

#include "support/catch.hpp"

using namespace std::chrono_literals;
using std::chrono::nanoseconds;

namespace {

nanoseconds steady_now() { return std::chrono::steady_clock::now().time_since_epoch(); }

/// A counter that any thread may read, for good or not.
struct FreeCounter {
    static bool is_usable() { return true; }
    static bool is_permitted() { return true; }
};

/// A processor's counter that cannot serve as a clock.
struct VaryingCounter : FreeCounter {
    static std::uint64_t read() { return 7; }
    static bool is_usable() { return false; }
};

/// Runs as steady_clock does, and can be set back.
struct ResetCounter : FreeCounter {
    static inline std::atomic<std::int64_t> offset{0};
    static std::uint64_t read() { return static_cast<std::uint64_t>(steady_now().count() + offset.load()); }
};

}  // namespace

TEST_CASE("copies of a ManualClock share one time") {
    const sluice::ManualClock clock{5s};
    const sluice::ManualClock copy = clock;
    CHECK(copy.now() == 5s);
    clock.advance(2s);
    CHECK(copy.now() == 7s);
    copy.set(1s);
    CHECK(clock.now() == 1s);
    CHECK(sluice::ManualClock{}.now() == 0s);
}

TEMPLATE_TEST_CASE("a real clock tells the wall clock's time", "", sluice::TscClock, sluice::SteadyClock) {
    STATIC_REQUIRE(sluice::Clock<TestType>);
    const TestType clock;
    const nanoseconds before = std::chrono::system_clock::now().time_since_epoch();
    const nanoseconds ours = clock.now();
    const nanoseconds after = std::chrono::system_clock::now().time_since_epoch();
    CHECK(ours > before - 100ms);
    CHECK(ours < after + 100ms);
}

TEST_CASE("where the processor's counter will not do, a clock goes by steady_clock") {
    const sluice::SteadyClock steady;
    for (int i = 0; i != 1000; ++i) {
        const std::int64_t before = steady.now().count();
        const std::int64_t now = sluice::detail::AnchoredClock<VaryingCounter>::now();
        CHECK(before <= now);
        CHECK(now <= (steady.now().count() | 1));
    }
}

// Each of our readings is taken between two of steady_clock, so how far it is ahead of that lies between `ours - after`
// and `ours - before`, whatever time the thread lost in between. All these intervals must have values in common that
// are less than 50 us apart.
TEMPLATE_TEST_CASE("a real clock stays within 50 us of steady_clock", "", sluice::TscClock, sluice::SteadyClock) {
    const TestType clock;
    const nanoseconds begin = steady_now();
    nanoseconds least_high = nanoseconds::max();
    nanoseconds most_low = nanoseconds::min();
    for (nanoseconds now = begin; now - begin < 1500ms; now = steady_now()) {
        const nanoseconds before = steady_now();
        const nanoseconds ours = clock.now();
        const nanoseconds after = steady_now();
        least_high = std::min(least_high, ours - before);
        most_low = std::max(most_low, ours - after);
    }
    CHECK((most_low - least_high).count() < 50'000);
}

TEMPLATE_TEST_CASE("a real clock is monotonic across threads", "", sluice::TscClock, sluice::SteadyClock) {
    std::atomic<std::int64_t> latest{0};
    std::atomic<std::int64_t> worst{0};
    const nanoseconds begin = steady_now();
    std::vector<std::thread> threads;
    for (int i = 0; i != 4; ++i) {
        threads.emplace_back([&] {
            const TestType clock;
            while (steady_now() - begin < 500ms) {
                for (int n = 0; n != 1000; ++n) {
                    const std::int64_t seen = latest.load(std::memory_order_acquire);
                    const std::int64_t mine = clock.now().count();
                    if (mine < seen) {
                        std::int64_t back = seen - mine;
                        std::int64_t known = worst.load();
                        while (back > known && !worst.compare_exchange_weak(known, back)) {
                        }
                    }
                    latest.store(std::max(mine, seen), std::memory_order_release);
                }
            }
        });
    }
    for (auto& thread : threads) thread.join();
    // TscClock lets a processor read its counter ahead of the load before it.
    CHECK(worst.load() <= (std::is_same_v<TestType, sluice::TscClock> ? 50'000 : 0));
}

TEST_CASE("a counter that starts anew takes no thread back to a time that has passed") {
    using Clock = sluice::detail::AnchoredClock<ResetCounter>;
    const nanoseconds begin = steady_now();
    std::int64_t mine = 0;
    while (steady_now() - begin < 50ms) mine = Clock::now();  // lines reach as far as they do
    const std::uint64_t count = ResetCounter::read();
    ResetCounter::offset -= nanoseconds{30ms}.count();
    std::int64_t theirs = 0;
    std::thread{[&] {
        while (ResetCounter::read() < count) static_cast<void>(Clock::now());
        theirs = Clock::now();  // at least 30 ms after `mine`, however often this thread was held up
    }}.join();
    CHECK(theirs > mine + nanoseconds{25ms}.count());
    CHECK(Clock::now() >= theirs);
}

TEST_CASE("readings of one thread never go back") {
    const sluice::TscClock clock;
    nanoseconds last = clock.now();
    const nanoseconds begin = steady_now();
    bool monotonic = true;
    while (steady_now() - begin < 300ms) {
        for (int i = 0; i != 1000; ++i) {
            const nanoseconds now = clock.now();
            monotonic = monotonic && now >= last;
            last = now;
        }
    }
    CHECK(monotonic);
}
