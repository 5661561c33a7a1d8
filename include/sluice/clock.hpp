// SPDX-License-Identifier: MIT
#ifndef SLUICE_CLOCK_HPP
#define SLUICE_CLOCK_HPP

#include <atomic>
#include <chrono>
#include <concepts>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>

#include <sluice/detail/clock/anchored_clock.hpp>
#include <sluice/detail/clock/cycle_counter.hpp>
#include <sluice/detail/clock/wall_anchor.hpp>

namespace sluice {

/// Tells nanoseconds since the Unix epoch; copies are the same clock; called by many threads at once.
///
/// Times may be late: a thread can be held up between the reading and the decision, while others go on. Policies take a time
/// that is up to 5 s older than the latest one of a key as that latest one. A clock that is set back by more gives no units,
/// either: the key then starts anew at the earlier time, with all of its limit used.
///
/// Optional: `static constexpr bool is_steady = true` of a clock that never goes back. Of any other, the memory store keeps
/// states for 5 s after they expired, in case it does. And wait_until(time, stop) with wake(), see ManualClock, of a clock by
/// which RateLimiter::acquire is to wait; it waits by std::chrono::steady_clock else.
template <class C>
concept Clock = std::copyable<C> && requires(const C& clock) {
    { clock.now() }
    noexcept->std::same_as<std::chrono::nanoseconds>;
};

/// Monotonic across threads; the wall clock's time when it is first used, and followed forward only. Within 50 us of
/// steady_clock plus the greatest offset of the wall clock from it that was seen so far, which is looked for once a second
/// of use:
///   - the wall clock is set ahead (NTP, settimeofday): this clock jumps ahead within a second, and windows that are aligned to
///     the epoch end so much earlier;
///   - it is set back: this clock goes on, ahead of it until the process ends, and so do the windows;
///   - it is slewed: so is steady_clock, and this clock with it;
///   - suspend: steady_clock stands still meanwhile, the wall clock does not: as if set ahead.
///
/// A call reads the processor's counter (x86-64 with an invariant TSC that Linux itself goes by; less than half the cost of
/// steady_clock) or steady_clock. It never waits for another thread, takes no lock, and may be made in a signal handler. A
/// child after fork() goes on with the parent's clock, whatever the parent's threads were at. A counter that turns out to
/// jump, since it differs between processors, is given up for good after four jumps in ten seconds. So it is where prctl(
/// PR_SET_TSC) has forbidden it to a thread before its first call.
///
/// The counter is read without a fence, which would double the cost: a processor may read it while loads that precede it are
/// still under way, so a reading can seem older than what another thread has just published by the time that such a load
/// takes, a few microseconds at worst. Readings of one thread never go back (as long as the counter does not).
///
/// Each program and each library with hidden symbols has a clock of its own; those agree within 50 us, if the wall clock was
/// not set back between their first uses.
class TscClock {
public:
    static constexpr bool is_steady = true;
    std::chrono::nanoseconds now() const noexcept {
#if defined(__x86_64__)
        return std::chrono::nanoseconds{detail::AnchoredClock<detail::CycleCounter>::now()};
#else
        return std::chrono::nanoseconds{detail::WallAnchor<detail::SystemClocks>::now()};
#endif
    }
};

/// The same on std::chrono::steady_clock alone: monotonic across threads without exception.
class SteadyClock {
public:
    static constexpr bool is_steady = true;
    std::chrono::nanoseconds now() const noexcept {
        return std::chrono::nanoseconds{detail::WallAnchor<detail::SystemClocks>::now()};
    }
};

using DefaultClock = TscClock;

/// A clock that moves only when told to, for tests and simulations. Copies share one time; thread-safe. It counts as steady,
/// so that a store uses the slots of expired states at once; set back, it may find states gone.
class ManualClock {
public:
    static constexpr bool is_steady = true;
    explicit ManualClock(std::chrono::nanoseconds start = std::chrono::nanoseconds{0})
        : shared_(std::make_shared<Shared>(start.count())) {}

    std::chrono::nanoseconds now() const noexcept {
        return std::chrono::nanoseconds{shared_->ns.load(std::memory_order_acquire)};
    }
    void set(std::chrono::nanoseconds since_epoch) const noexcept {
        shared_->ns.store(since_epoch.count(), std::memory_order_release);
        wake();
    }
    void advance(std::chrono::nanoseconds by) const noexcept {
        shared_->ns.fetch_add(by.count(), std::memory_order_acq_rel);
        wake();
    }

    /// Blocks until the clock is told that it is `time`, or stop() is true, which is asked again by each set(), advance() and
    /// wake(). Whether the time has come.
    template <std::predicate Stop>
    bool wait_until(std::chrono::nanoseconds time, Stop stop) const {
        std::unique_lock lock{shared_->mutex};
        ++shared_->waiting;
        shared_->moved.wait(lock, [&] { return now() >= time || stop(); });
        --shared_->waiting;
        return now() >= time;
    }
    /// Has those who wait ask again whether to stop.
    void wake() const noexcept {
        // Not between a waiter's look at the time and its sleep.
        { const std::lock_guard lock{shared_->mutex}; }
        shared_->moved.notify_all();
    }
    /// Threads in wait_until(): a test may wait for them to be there before it moves the clock.
    int waiting() const noexcept {
        const std::lock_guard lock{shared_->mutex};
        return shared_->waiting;
    }

private:
    struct Shared {
        explicit Shared(std::int64_t start) noexcept : ns(start) {}
        std::atomic<std::int64_t> ns;
        std::mutex mutex{};
        std::condition_variable moved{};
        int waiting = 0;
    };

    std::shared_ptr<Shared> shared_;
};

}  // namespace sluice

#endif
