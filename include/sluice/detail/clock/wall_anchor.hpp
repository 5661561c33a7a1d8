// SPDX-License-Identifier: MIT
#ifndef SLUICE_DETAIL_CLOCK_WALL_ANCHOR_HPP
#define SLUICE_DETAIL_CLOCK_WALL_ANCHOR_HPP

#include <atomic>
#include <chrono>
#include <cstdint>
#include <limits>

#include <sluice/detail/algorithm.hpp>

namespace sluice::detail {

/// The operating system's clocks, in nanoseconds; what tests replace.
struct SystemClocks {
    static std::int64_t steady_ns() noexcept {
        return std::chrono::nanoseconds{std::chrono::steady_clock::now().time_since_epoch()}.count();
    }
    static std::int64_t wall_ns() noexcept {
        return std::chrono::nanoseconds{std::chrono::system_clock::now().time_since_epoch()}.count();
    }
};

/// Turns steady_clock's time into nanoseconds since the Unix epoch: adds the greatest offset of the wall clock from
/// steady_clock that was seen so far, looked for once a second.
///
/// Monotonic across threads, since steady_clock is and the offset never falls. No locks: callable from signal handlers,
/// and in a child that was forked at any moment.
template <class Clocks>
class WallAnchor {
public:
    /// `Source` is another way to read the same clocks.
    template <class Source = Clocks>
    static std::int64_t now() noexcept {
        return at<Source>(Source::steady_ns());
    }

    template <class Source = Clocks>
    static std::int64_t at(std::int64_t steady_ns) noexcept {
        if (steady_ns - checked_ns_.load(std::memory_order_acquire) >= check_interval_ns) [[unlikely]]
            check<Source>(steady_ns);
        return steady_ns + offset_ns_.load(std::memory_order_relaxed);
    }

private:
    static constexpr std::int64_t check_interval_ns = 1'000'000'000;

    /// May be run by several threads at once: each can only raise the offset.
    template <class Source>
    [[gnu::noinline]] static void check(std::int64_t steady_ns) noexcept {
        std::int64_t greatest = std::numeric_limits<std::int64_t>::min();
        // The wall clock is read first: if the thread is held up in between, the difference comes out too small, which the
        // next attempt or check repairs. One too large would never be taken back.
        for (int i = 0; i != 3; ++i) {
            const std::int64_t wall = Source::wall_ns();
            greatest = std::max(greatest, wall - Source::steady_ns());
        }
        std::int64_t known = offset_ns_.load(std::memory_order_relaxed);
        while (greatest > known && !offset_ns_.compare_exchange_weak(known, greatest, std::memory_order_relaxed)) {
        }
        // Release: whoever sees that there was a check has an offset.
        checked_ns_.store(steady_ns, std::memory_order_release);
    }

    static constinit inline std::atomic<std::int64_t> offset_ns_{std::numeric_limits<std::int64_t>::min()};
    // Far enough in the past for the first reading to check, near enough for no difference to overflow.
    static constinit inline std::atomic<std::int64_t> checked_ns_{std::numeric_limits<std::int64_t>::min() / 2};
};

}  // namespace sluice::detail

#endif
