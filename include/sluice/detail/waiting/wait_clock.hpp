// SPDX-License-Identifier: MIT
#ifndef SLUICE_DETAIL_WAITING_WAIT_CLOCK_HPP
#define SLUICE_DETAIL_WAITING_WAIT_CLOCK_HPP

#include <chrono>
#include <condition_variable>
#include <mutex>

#include <sluice/detail/algorithm.hpp>

namespace sluice::detail::waiting {

/// What waits are measured by: the store's clock, if that lets a thread wait for it, else the steady clock. Times are
/// nanoseconds since that clock's epoch.
template <class S>
class WaitClock {
public:
    /// Whether times are those of the store's decisions.
    static constexpr bool is_stores = requires(const S& store, bool (*stop)()) {
        store.clock().wait_until(std::chrono::nanoseconds{0}, stop);
        store.clock().wake();
    };

    explicit WaitClock(const S& store) noexcept : store_(store) {}

    std::chrono::nanoseconds now() const noexcept {
        if constexpr (is_stores) {
            return store_.clock().now();
        } else {
            return std::chrono::steady_clock::now().time_since_epoch();
        }
    }

    /// Until it is `time`, or stop(), which is asked again after each wake().
    template <class Stop>
    void wait_until(std::chrono::nanoseconds time, std::mutex& mutex, std::condition_variable& bell, Stop stop) const {
        if constexpr (is_stores) {
            store_.clock().wait_until(time, stop);
        } else {
            std::unique_lock lock{mutex};
            while (!stop() && now() < time) {
                // No further, or some libraries' sums would overflow.
                const auto until = std::min(time, now() + std::chrono::hours{1});
                bell.wait_until(lock, std::chrono::steady_clock::time_point{until});
            }
        }
    }

    /// Has all who wait for the clock ask again whether to stop. Those who wait by the steady clock are notified by bell.
    void wake() const noexcept {
        if constexpr (is_stores) store_.clock().wake();
    }

private:
    const S& store_;
};

}  // namespace sluice::detail::waiting

#endif
