// SPDX-License-Identifier: MIT
#ifndef SLUICE_CLOCK_HPP
#define SLUICE_CLOCK_HPP

#include <atomic>
#include <chrono>
#include <concepts>
#include <cstdint>
#include <memory>

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
/// states for 5 s after they expired, in case it does.
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
        : ns_(std::make_shared<std::atomic<std::int64_t>>(start.count())) {}

    std::chrono::nanoseconds now() const noexcept {
        return std::chrono::nanoseconds{ns_->load(std::memory_order_acquire)};
    }
    void set(std::chrono::nanoseconds since_epoch) const noexcept {
        ns_->store(since_epoch.count(), std::memory_order_release);
    }
    void advance(std::chrono::nanoseconds by) const noexcept { ns_->fetch_add(by.count(), std::memory_order_acq_rel); }

private:
    std::shared_ptr<std::atomic<std::int64_t>> ns_;
};

}  // namespace sluice

#endif
