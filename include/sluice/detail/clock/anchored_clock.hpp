// SPDX-License-Identifier: MIT
#ifndef SLUICE_DETAIL_CLOCK_ANCHORED_CLOCK_HPP
#define SLUICE_DETAIL_CLOCK_ANCHORED_CLOCK_HPP

#include <atomic>
#include <cstdint>
#include <limits>

#include <sluice/detail/algorithm.hpp>
#include <sluice/detail/clock/counter_rate.hpp>
#include <sluice/detail/clock/process_lock.hpp>
#include <sluice/detail/clock/wall_anchor.hpp>
#include <sluice/detail/int128.hpp>

namespace sluice::detail {

/// Nanoseconds since the Unix epoch by a Counter that is cheaper to read than steady_clock: on a straight line (start, time,
/// rate) that is laid anew every 10 ms, so that it follows steady_clock. There is one line per process; each thread keeps
/// a copy, and looks for another only when the line's reach is over. While there is no line to follow, a reading is
/// WallAnchor's, that is, steady_clock's.
///
/// `state_` is one of
///   a line   even: the count where it starts, no two the same; reach_, rate_of_line_ and time_ns_ belong to it
///   a time   odd: there is no line, and this is the latest time that was told since the last one
///   given_up the counter serves no more; times are WallAnchor's, but not below given_up_ns_
///
/// Nobody waits for anybody: whoever finds a line's reach over replaces it by a time, and who finds a time raises it to the
/// reading it returns. One thread at a time measures and lays a line, if it can; it does not matter when, or whether it ever
/// comes to its end: it may be held up, interrupted by a signal handler that reads this clock, or left behind by fork().
///
/// Monotonic across threads. A line never tells more than end(), and less than its time_ns to nobody. A time in `state_` that
/// follows a line is at least its end(), and only grows. A line that follows a time tells no less than that: it is published
/// by replacing just the time that it was laid above (compare-and-swap). So readings grow in the order of modifications of
/// `state_`, which all threads agree upon, and on one line with the counter. docs/internals/clock.md has the details.
template <class Counter, class Clocks = SystemClocks>
class AnchoredClock {
public:
    [[gnu::always_inline]] static std::int64_t now() noexcept {
        // The counter is read only by threads that have a line: others may not be permitted to.
        if (state_.load(std::memory_order_relaxed) != line_.start) [[unlikely]]
            return now_slowly();
        const std::uint64_t passed = Counter::read() - line_.start;
        if (passed >= line_.reach) [[unlikely]]
            return now_slowly();
        return line_.at(passed);
    }

private:
    static constexpr std::int64_t longest_reach_ns = 10'000'000;  // passed * rate stays below 2^64

    static constexpr std::uint64_t no_line = 0;   // the start of a thread's copy before it has one
    static constexpr std::uint64_t given_up = 2;  // no counter is that near to zero when a line starts

    struct Line {
        std::uint64_t start = no_line;  // the count where it begins
        std::uint64_t reach = 0;        // counts for which it may be followed
        std::uint64_t rate = 0;
        std::int64_t time_ns = 0;  // at the start

        std::int64_t at(std::uint64_t passed) const noexcept {
            return time_ns + static_cast<std::int64_t>((passed * rate) >> CounterRate::bits);
        }
        std::int64_t end() const noexcept { return at(reach); }
    };

    static bool is_time(std::uint64_t state) noexcept { return (state & 1) != 0; }

    [[gnu::noinline]] static std::int64_t now_slowly() noexcept {
        if (!is_checked_) [[unlikely]] {
            is_forbidden_ = !Counter::is_permitted();
            if (is_forbidden_ || !is_usable()) give_up();
            is_checked_ = true;
        }
        // Another turn is taken only when some other thread's reading or line came in between.
        for (std::uint64_t state = state_.load(std::memory_order_acquire);;) {
            if (state == given_up) return std::max(given_up_ns_.load(std::memory_order_relaxed), anchor_now());
            std::int64_t least = static_cast<std::int64_t>(state);
            if (!is_time(state)) {
                const Line line = common_line(state);
                if (const auto newer = state_.load(std::memory_order_relaxed); newer != state) {
                    state = state_.load(std::memory_order_acquire);
                    continue;
                }
                const std::uint64_t passed = Counter::read() - line.start;
                if (passed < line.reach) {
                    keep(line);
                    return line.at(passed);
                }
                // A processor may read its counter ahead of the loads before: just short of the start is the start.
                if (std::uint64_t{0} - passed < line.reach) return line.time_ns;
                least = line.end();
            }
            const std::int64_t time = std::max(least, WallAnchor<Clocks>::now()) | 1;
            if (time == static_cast<std::int64_t>(state) ||
                state_.compare_exchange_strong(state, static_cast<std::uint64_t>(time), std::memory_order_acq_rel,
                                               std::memory_order_acquire)) {
                lay_line_if_free();
                return time;
            }
        }
    }

    static std::int64_t anchor_now() noexcept {
        if constexpr (requires { typename Counter::ClocksWithout; })
            if (is_forbidden_) return WallAnchor<Clocks>::template now<typename Counter::ClocksWithout>();
        return WallAnchor<Clocks>::now();
    }

    /// The line that starts at `start`, if `state_` is still that afterwards. Who lays a line replaces `state_` before all
    /// else changes: readers acquire and the writer releases, so whoever sees a part of a later line finds it replaced.
    static Line common_line(std::uint64_t start) noexcept {
        return {start, reach_.load(std::memory_order_acquire), rate_of_line_.load(std::memory_order_acquire),
                time_ns_.load(std::memory_order_acquire)};
    }

    /// As this thread's copy; not if a signal handler does so while the thread itself is at it.
    static void keep(const Line& line) noexcept {
        if (is_keeping_) return;
        is_keeping_ = true;
        std::atomic_signal_fence(std::memory_order_seq_cst);
        line_.start = no_line;  // a handler that comes now follows no half-written line
        std::atomic_signal_fence(std::memory_order_seq_cst);
        line_.reach = line.reach;
        line_.rate = line.rate;
        line_.time_ns = line.time_ns;
        std::atomic_signal_fence(std::memory_order_seq_cst);
        line_.start = line.start;
        std::atomic_signal_fence(std::memory_order_seq_cst);
        is_keeping_ = false;
    }

    static bool is_usable() noexcept {
        int known = usable_.load(std::memory_order_relaxed);
        if (known == 0) usable_.store(known = Counter::is_usable() ? 1 : -1, std::memory_order_relaxed);
        return known > 0;
    }

    /// For good. Times go on above all that were told before.
    static void give_up() noexcept {
        for (std::uint64_t state = state_.load(std::memory_order_acquire); state != given_up;) {
            const std::int64_t told = is_time(state) ? static_cast<std::int64_t>(state) : common_line(state).end();
            if (!is_time(state)) {
                if (const auto newer = state_.load(std::memory_order_relaxed); newer != state) {
                    state = state_.load(std::memory_order_acquire);
                    continue;
                }
            }
            std::int64_t known = given_up_ns_.load(std::memory_order_relaxed);
            while (told > known && !given_up_ns_.compare_exchange_weak(known, told, std::memory_order_relaxed)) {
            }
            state_.compare_exchange_weak(state, given_up, std::memory_order_acq_rel, std::memory_order_acquire);
        }
    }

    /// If nobody else is at it. Not within a signal handler that has interrupted just that, even if it has forked.
    static void lay_line_if_free() noexcept {
        if (is_laying_) return;
        is_laying_ = true;
        std::atomic_signal_fence(std::memory_order_seq_cst);
        if (const auto taken = layer_.try_lock(); taken != ProcessLock::Taken::no) {
            if (taken == ProcessLock::Taken::from_parent) rate_.forget_samples();
            lay_line();
            layer_.unlock();
        }
        std::atomic_signal_fence(std::memory_order_seq_cst);
        is_laying_ = false;
    }

    static void lay_line() noexcept {
        const CounterSample here = sample_counter<Counter, Clocks>();
        const auto [rate, measured_ns] = rate_.measure(here);
        if (rate_.is_unreliable()) return give_up();
        if (rate == 0) return;
        const auto reach_ns = static_cast<std::uint64_t>(std::min(measured_ns, longest_reach_ns));
        const auto reach = static_cast<std::uint64_t>((uint128{reach_ns} << CounterRate::bits) / rate);
        const std::int64_t here_ns = WallAnchor<Clocks>::at(here.steady_ns);
        // In place of the time in state_; again, if other threads have raised that meanwhile, but not for ever.
        for (int i = 0; i != 16; ++i) {
            std::uint64_t state = state_.load(std::memory_order_acquire);
            if (!is_time(state)) return;
            const std::uint64_t start = Counter::read() & ~std::uint64_t{1};
            const std::int64_t since = CounterRate::elapsed_ns(here.count, start, rate);
            if (start <= given_up || since > 100'000) return;  // held up: the sample is too old
            const std::int64_t ahead = std::max<std::int64_t>(static_cast<std::int64_t>(state) - (here_ns + since), 0);
            // Ahead, it goes slower until the next line, at half the pace at least.
            const auto slower = std::min(static_cast<std::uint64_t>(ahead), reach_ns / 2);
            time_ns_.store(here_ns + since + ahead, std::memory_order_release);
            rate_of_line_.store(rate - static_cast<std::uint64_t>(uint128{rate} * slower / reach_ns),
                                std::memory_order_release);
            reach_.store(reach, std::memory_order_release);
            if (state_.compare_exchange_strong(state, start, std::memory_order_release, std::memory_order_relaxed))
                return;
        }
    }

    static constinit inline thread_local Line line_{};
    static constinit inline thread_local bool is_checked_ = false;    // the next, and whether the counter is usable
    static constinit inline thread_local bool is_forbidden_ = false;  // to this thread
    static constinit inline thread_local bool is_keeping_ = false;
    static constinit inline thread_local bool is_laying_ = false;

    static constinit inline std::atomic<std::uint64_t> state_{std::uint64_t{1} << 63 | 1};  // the earliest time
    static constinit inline std::atomic<std::uint64_t> reach_{0};
    static constinit inline std::atomic<std::uint64_t> rate_of_line_{0};
    static constinit inline std::atomic<std::int64_t> time_ns_{0};
    static constinit inline std::atomic<std::int64_t> given_up_ns_{std::numeric_limits<std::int64_t>::min()};
    static constinit inline std::atomic<int> usable_{0};  // 1: yes, -1: no, 0: nobody has asked yet
    static constinit inline ProcessLock layer_{};
    static constinit inline CounterRate rate_{};  // guarded by layer_, as is all that writes a line
};

}  // namespace sluice::detail

#endif
