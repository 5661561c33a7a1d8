// SPDX-License-Identifier: MIT
#ifndef SLUICE_CLOCK_HPP
#define SLUICE_CLOCK_HPP

#include <atomic>
#include <chrono>
#include <concepts>
#include <cstdint>
#include <memory>

namespace sluice {

/// Tells nanoseconds since the Unix epoch; copies are the same clock; called by many threads at once.
template <class C>
concept Clock = std::copyable<C> && requires(const C& clock) {
    { clock.now() } noexcept -> std::same_as<std::chrono::nanoseconds>;
};

/// std::chrono::steady_clock, anchored to the wall clock when it is first used and never moved again: it is monotonic,
/// pays one clock_gettime a call, and does not see later steps of the wall clock. Windows aligned to the epoch are
/// thus as right as the wall clock was at the start; a suspend, during which steady_clock stands still, shifts them.
class SteadyClock {
public:
    std::chrono::nanoseconds now() const noexcept {
        return std::chrono::steady_clock::now().time_since_epoch() + offset();
    }

private:
    static std::chrono::nanoseconds offset() noexcept {
        static const std::chrono::nanoseconds wall_minus_steady = std::chrono::duration_cast<std::chrono::nanoseconds>(
            std::chrono::system_clock::now().time_since_epoch()) - std::chrono::steady_clock::now().time_since_epoch();
        return wall_minus_steady;
    }
};

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
