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
template <class C>
concept Clock = std::copyable<C> && requires(const C& clock) {
    { clock.now() }
    noexcept->std::same_as<std::chrono::nanoseconds>;
};

/// Monotonic across threads, anchored to the wall clock when first used and followed forward only: where the wall
/// clock is set ahead by more than a millisecond, or ran on through a suspend (steady_clock stands still), this clock
/// jumps ahead with it within a second; where it is set back, this one goes on. Windows aligned to the epoch are thus
/// as right as the wall clock was, or late, and buckets are never refilled twice. Else within 50 us of steady_clock.
///
/// A call reads the processor's counter (x86-64 with an invariant TSC; less than half the cost of steady_clock) or
/// steady_clock, and takes no lock. The counter is read without a fence, which would double the cost: a processor may
/// read it while loads that precede it are still under way, so a reading can seem older than what another thread has
/// just published by the time that such a load takes, a few microseconds at worst. No policy minds. Readings of one
/// thread never go back.
class TscClock {
public:
    std::chrono::nanoseconds now() const noexcept {
#if defined(__x86_64__)
        return std::chrono::nanoseconds{detail::AnchoredClock<detail::CycleCounter>::now()};
#else
        return std::chrono::nanoseconds{detail::WallAnchor<detail::SystemClocks>::now()};
#endif
    }
};

/// The same on std::chrono::steady_clock alone.
class SteadyClock {
public:
    std::chrono::nanoseconds now() const noexcept {
        return std::chrono::nanoseconds{detail::WallAnchor<detail::SystemClocks>::now()};
    }
};

using DefaultClock = TscClock;

/// A clock that moves only when told to, for tests and simulations. Copies share one time; thread-safe.
class ManualClock {
public:
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
