// SPDX-License-Identifier: MIT
//
// No reading waits: whatever the thread that lays the line does, and also where that thread no longer exists.
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <semaphore>
#include <thread>
#include <vector>

#include <sluice/clock.hpp>
#include <sluice/detail/clock/anchored_clock.hpp>
#include <sluice/sluice.hpp>

#include "support/catch.hpp"
#include "support/process.hpp"
#include "support/random.hpp"

using namespace std::chrono_literals;
using std::chrono::nanoseconds;

namespace {

std::int64_t steady_ns() { return nanoseconds{std::chrono::steady_clock::now().time_since_epoch()}.count(); }

/// steady_clock; one of the next readings of the thread that asks for it takes until it is let go.
template <int Case>
struct HeldCounter {
    static inline thread_local int reads_until_held = 0;
    static inline std::binary_semaphore is_held{0};
    static inline std::binary_semaphore go_on{0};

    static bool is_usable() { return true; }
    static bool is_permitted() { return true; }
    static std::uint64_t read() {
        if (reads_until_held != 0 && --reads_until_held == 0) {
            is_held.release();
            go_on.acquire();
        }
        return static_cast<std::uint64_t>(steady_ns());
    }
};

void spend(std::int64_t ns) {
    for (const std::int64_t begin = steady_ns(); steady_ns() - begin < ns;) {
    }
}

template <class Counter>
void follow_a_line() {
    using Clock = sluice::detail::AnchoredClock<Counter>;
    for (const std::int64_t begin = steady_ns(); steady_ns() - begin < 50'000'000;) Clock::now();
}

/// A thread that lays a line, and is held up in the given reading of the counter: the first one or two find that the line's
/// reach is over, the next ones are to lay another, and the last of those stand just before it is published.
template <class Counter>
class Layer {
public:
    explicit Layer(int held_reading)
        : thread_([=] {
              spend(20'000'000);  // lines reach 10 ms
              Counter::reads_until_held = held_reading;
              while (Counter::reads_until_held != 0) sluice::detail::AnchoredClock<Counter>::now();
          }) {
        Counter::is_held.acquire();
    }
    ~Layer() {
        Counter::go_on.release();
        thread_.join();
    }

private:
    std::thread thread_;
};

constexpr int readings_of_a_layer = 8;

/// Whether `child`, run in a forked child, returns true.
template <class F>
bool child_succeeds(F child) {
    const pid_t id = ::fork();
    if (id == 0) {
        ::alarm(30);  // ends it where a reading waits
        ::_exit(child() ? 0 : 1);
    }
    return status_of(id) == 0;
}

std::int64_t wall_ns() { return nanoseconds{std::chrono::system_clock::now().time_since_epoch()}.count(); }

/// Whether the clock never goes back meanwhile, and tells the time at the end, however long this thread is held up.
template <class Clock>
bool goes_on() {
    std::int64_t last = Clock::now();
    for (const std::int64_t begin = steady_ns(); steady_ns() - begin < 30'000'000;) {
        const std::int64_t now = Clock::now();
        if (now < last) return false;
        last = now;
    }
    const std::int64_t before = wall_ns(), now = Clock::now(), after = wall_ns();
    return now >= last && now > before - 100'000'000 && now < after + 100'000'000;
}

}  // namespace

TEST_CASE("while the thread that lays the line is held up, other threads' readings go on") {
    for (int held = 1; held <= readings_of_a_layer; ++held) {
        CAPTURE(held);
        CHECK(child_succeeds([&] {
            using Counter = HeldCounter<1>;
            using Clock = sluice::detail::AnchoredClock<Counter>;
            follow_a_line<Counter>();
            std::int64_t before = 0;
            {
                const Layer<Counter> layer{held};
                if (!goes_on<Clock>()) return false;
                before = Clock::now();
            }
            return Clock::now() >= before && goes_on<Clock>();
        }));
    }
}

TEST_CASE("a child forked while a line is being laid has a clock that goes on") {
    using Counter = HeldCounter<2>;
    using Clock = sluice::detail::AnchoredClock<Counter>;
    for (int held = 1; held <= readings_of_a_layer; ++held) {
        CAPTURE(held);
        follow_a_line<Counter>();
        const std::int64_t before = Clock::now();
        const Layer<Counter> layer{held};
        // And its children's.
        CHECK(child_succeeds([&] {
            if (Clock::now() < before || !goes_on<Clock>()) return false;
            return child_succeeds([] { return goes_on<Clock>(); }) && goes_on<Clock>();
        }));
    }
}

TEST_CASE("children forked from a process that decides can decide") {
    std::atomic<bool> stops{false};
    std::thread decider{[&] {
        const sluice::RateLimiter limiter{sluice::TokenBucket{10, sluice::per_second(10)}};
        while (!stops) {
            if (limiter.try_consume("a").error) return;
        }
    }};
    int bad = 0;
    for (int i = 0; i != 200; ++i) {
        const bool succeeds = child_succeeds([] {
            const sluice::RateLimiter limiter{sluice::TokenBucket{10, sluice::per_hour(1)}};
            int allowed = 0;
            for (int n = 0; n != 20; ++n) allowed += limiter.try_consume("a").allowed ? 1 : 0;
            return allowed == 10;
        });
        bad += succeeds ? 0 : 1;
    }
    stops = true;
    decider.join();
    CHECK(bad == 0);
}

namespace {

/// Raises a signal within the given reading; the handler reads the clock, too.
struct SignalledCounter {
    using Clock = sluice::detail::AnchoredClock<SignalledCounter>;
    static inline int reads_until_raised = 0;
    static inline volatile std::int64_t told = 0;

    static bool is_usable() { return true; }
    static bool is_permitted() { return true; }
    static std::uint64_t read() {
        if (reads_until_raised != 0 && --reads_until_raised == 0) std::raise(SIGUSR1);
        return static_cast<std::uint64_t>(steady_ns());
    }
};

void reads_the_clock(int /*signal*/) { SignalledCounter::told = SignalledCounter::Clock::now(); }

}  // namespace

TEST_CASE("a signal handler may read the clock at any moment") {
    CHECK(child_succeeds([] {
        using Clock = SignalledCounter::Clock;
        std::signal(SIGUSR1, reads_the_clock);
        for (int raised = 1; raised <= readings_of_a_layer; ++raised) {
            if (!goes_on<Clock>()) return false;
            spend(12'000'000);
            const std::int64_t before = Clock::now();
            spend(12'000'000);
            SignalledCounter::reads_until_raised = raised;  // while a line is being laid, most of them
            while (SignalledCounter::reads_until_raised != 0) Clock::now();
            if (SignalledCounter::told < before || Clock::now() < SignalledCounter::told) return false;
        }
        return goes_on<Clock>();
    }));
}

namespace {

/// What a processor's counter shows whose threads run on sockets that started at different times.
template <int Case>
struct SkewedCounter {
    static inline thread_local std::int64_t offset = 0;
    static inline thread_local int reads = 0;

    static bool is_usable() { return true; }
    static bool is_permitted() { return true; }
    static std::uint64_t read() {
        ++reads;
        return static_cast<std::uint64_t>(steady_ns() + offset) * 3;
    }
};

struct Readings {
    bool is_monotonic = true;
    int most_reads = 0;
};

template <class Counter>
Readings read_for(std::int64_t ns, std::int64_t offset) {
    using Clock = sluice::detail::AnchoredClock<Counter>;
    Counter::offset = offset;
    Readings result;
    std::int64_t last = 0;
    for (const std::int64_t begin = steady_ns(); steady_ns() - begin < ns;) {
        Counter::reads = 0;
        const std::int64_t now = Clock::now();
        result.most_reads = std::max(result.most_reads, Counter::reads);
        result.is_monotonic = result.is_monotonic && now >= last;
        last = now;
    }
    return result;
}

template <class Counter>
void check_skewed_by(std::int64_t skew) {
    using Clock = sluice::detail::AnchoredClock<Counter>;
    Readings a, b;
    std::thread first{[&] { a = read_for<Counter>(600'000'000, 0); }};
    std::thread second{[&] { b = read_for<Counter>(600'000'000, skew); }};
    first.join();
    second.join();
    CHECK(a.is_monotonic);
    CHECK(b.is_monotonic);
    CHECK(a.most_reads < 40);
    CHECK(b.most_reads < 40);
    // By now it has been given up, if the threads ran at the same time; else here, where each line is another socket's.
    bool is_given_up = false;
    for (int i = 0; i != 1'000 && !is_given_up; ++i) {
        Counter::offset = i % 2 == 0 ? 0 : skew;
        Counter::reads = 0;
        Clock::now();
        is_given_up = Counter::reads == 0;
        if (!is_given_up) spend(15'000'000);  // past a line's reach, 10 ms, on the other socket, too
    }
    CHECK(is_given_up);
    // A thread that changes its socket with every reading sees no difference.
    std::int64_t last = 0;
    bool is_monotonic = true;
    for (int i = 0; i != 10'000; ++i) {
        Counter::offset = i % 2 == 0 ? 0 : skew;
        Counter::reads = 0;
        const std::int64_t now = Clock::now();
        is_monotonic = is_monotonic && now >= last && Counter::reads == 0;
        last = now;
    }
    CHECK(is_monotonic);
    CHECK(goes_on<Clock>());
}

}  // namespace

TEST_CASE("a counter that differs between processors is given up") {
    check_skewed_by<SkewedCounter<1>>(200'000);
    check_skewed_by<SkewedCounter<2>>(-3'000'000);
    check_skewed_by<SkewedCounter<3>>(3'600'000'000'000);
}

namespace {

/// Stands still.
struct StuckCounter {
    static bool is_usable() { return true; }
    static bool is_permitted() { return true; }
    static std::uint64_t read() { return 1'000'000; }
};

/// Which only those threads may read that are permitted to.
struct ForbiddenCounter {
    static inline thread_local bool is_allowed = true;
    static inline std::atomic<int> violations{0};
    static bool is_usable() { return true; }
    static bool is_permitted() { return is_allowed; }
    static std::uint64_t read() {
        if (!is_allowed) ++violations;
        return static_cast<std::uint64_t>(steady_ns());
    }
};

}  // namespace

TEST_CASE("with a counter that stands still a clock goes by steady_clock") {
    CHECK(goes_on<sluice::detail::AnchoredClock<StuckCounter>>());
}

TEST_CASE("where one thread must not read the counter none does any more") {
    using Clock = sluice::detail::AnchoredClock<ForbiddenCounter>;
    follow_a_line<ForbiddenCounter>();
    const std::int64_t before = Clock::now();
    std::thread{[&] {
        ForbiddenCounter::is_allowed = false;
        CHECK(Clock::now() >= before);
        CHECK(goes_on<Clock>());
    }}.join();
    CHECK(ForbiddenCounter::violations == 0);
    CHECK(goes_on<Clock>());
}

#if defined(__x86_64__) && defined(__linux__)
#include <sys/prctl.h>

TEST_CASE("where the time stamp counter is forbidden to a process, it decides without") {
    if (slow_build) return;  // a sanitizer's runtime reads the counter itself
    CHECK(child_succeeds([] {
        bool allowed = false;
        std::thread{[&] {  // a new thread: it has read no clock
            ::prctl(PR_SET_TSC, PR_TSC_SIGSEGV, 0, 0, 0);
            allowed = sluice::RateLimiter{sluice::TokenBucket{1, sluice::per_second(1)}}.try_consume("a").allowed;
        }}
            .join();
        return allowed;
    }));
}
#endif
