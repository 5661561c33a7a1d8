// SPDX-License-Identifier: MIT
#ifndef SLUICE_DETAIL_CLOCK_ANCHORED_CLOCK_HPP
#define SLUICE_DETAIL_CLOCK_ANCHORED_CLOCK_HPP

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>

#include <sluice/detail/int128.hpp>

namespace sluice::detail {

/// Nanoseconds since the Unix epoch on a straight line (start, time, slope) that is laid anew every 10 ms, so that it
/// follows steady_clock. One line per process and counter. It never changes within its reach, so each thread keeps a
/// copy, and looks for another only when the reach is over.
///
/// Monotonic across threads: a new line is laid when the old one's reach is over, and starts no lower than that ended;
/// if it lies ahead of steady_clock, its slope is less until they meet. After a suspend, or if the counter jumps, the
/// line is just laid anew where steady_clock is.
template <class Counter>
class AnchoredClock {
public:
    [[gnu::always_inline]] static std::int64_t now() noexcept {
        const std::uint64_t passed = Counter::read() - line_.start;
        // A counter that started anew, as through a suspend, may come by the reach of an old line once more.
        if (passed < line_.reach && start_.load(std::memory_order_relaxed) == line_.start) [[likely]]
            return line_.at(passed);
        return now_slowly();
    }

private:
    static constexpr int slope_bits = 32;  // slope: nanoseconds per count * 2^32; passed * slope stays below 2^64
    static constexpr std::uint64_t never_laid = 0;
    static constexpr std::uint64_t being_laid = std::uint64_t{1} << 63;  // out of reach of any count
    static constexpr std::int64_t longest_reach_ns = 10'000'000;
    static constexpr std::int64_t wall_check_ns = 1'000'000'000;
    static constexpr std::int64_t wall_step_ns = 1'000'000;

    struct Line {
        std::uint64_t start = never_laid;  // the count where it begins
        std::uint64_t reach = 0;           // counts for which it may be followed
        std::uint64_t slope = 0;
        std::int64_t time_ns = 0;  // at the start

        std::int64_t at(std::uint64_t passed) const noexcept {
            return time_ns + static_cast<std::int64_t>((passed * slope) >> slope_bits);
        }
    };

    [[gnu::noinline]] static std::int64_t now_slowly() noexcept {
        if constexpr (requires { typename Counter::Otherwise; }) {
            static const bool is_usable = Counter::is_usable();
            if (!is_usable) return AnchoredClock<typename Counter::Otherwise>::now();
        }
        for (;;) {
            const Line line = common_line();
            const std::uint64_t passed = Counter::read() - line.start;
            if (passed < line.reach) {
                line_ = line;
                return line.at(passed);
            }
            // A processor may read its counter ahead of the loads before: just short of the start is the start.
            if (std::uint64_t{0} - passed < line.reach) return line.time_ns;
            lay_line(line.start);
        }
    }

    /// The process' line; while one is being laid, one that starts at `being_laid`, out of reach of every count. To the
    /// thread that lays it the rest of that is the old line.
    static Line common_line() noexcept {
        Line line;
        line.start = start_.load(std::memory_order_acquire);
        line.reach = reach_.load(std::memory_order_acquire);
        line.slope = slope_.load(std::memory_order_acquire);
        line.time_ns = time_ns_.load(std::memory_order_acquire);
        if (start_.load(std::memory_order_relaxed) != line.start) line = {.start = being_laid};
        return line;
    }

    struct Sample {
        std::uint64_t count;
        std::int64_t steady_ns;
    };

    static std::int64_t steady_ns() noexcept {
        return std::chrono::nanoseconds{std::chrono::steady_clock::now().time_since_epoch()}.count();
    }
    static std::int64_t wall_ns() noexcept {
        return std::chrono::nanoseconds{std::chrono::system_clock::now().time_since_epoch()}.count();
    }

    /// The wall clock is read first: if the thread is held up between the two, the offset comes out too small, which
    /// the next check repairs; one too large would never be taken back.
    static std::int64_t wall_offset() noexcept {
        const std::int64_t wall = wall_ns();
        return wall - steady_ns();
    }

    /// Both clocks at one moment: of a few readings the one that took least, in case an interrupt came between.
    static Sample sample() noexcept {
        Sample best{};
        std::uint64_t least = ~std::uint64_t{0};
        for (int i = 0; i != 3; ++i) {
            const std::uint64_t before = Counter::read();
            const std::int64_t steady = steady_ns();
            const std::uint64_t took = Counter::read() - before;
            if (took < least) {
                least = took;
                best = {before + took / 2, steady};
            }
        }
        return best;
    }

    static std::uint64_t slope_between(const Sample& from, const Sample& to) noexcept {
        const auto counts = std::max<std::uint64_t>(to.count - from.count, 1);
        return static_cast<std::uint64_t>(
            (uint128{static_cast<std::uint64_t>(to.steady_ns - from.steady_ns)} << slope_bits) / counts);
    }

    /// In place of the line at `old_start`; just yields if another thread has laid one or is laying it.
    [[gnu::noinline]] static void lay_line(std::uint64_t old_start) noexcept {
        if (old_start == being_laid ||
            !start_.compare_exchange_strong(old_start, being_laid, std::memory_order_acq_rel))
            return std::this_thread::yield();
        if (old_start == never_laid) old_start = begin();
        const Sample here = sample();
        const Line old = common_line();
        const std::uint64_t passed = std::min(here.count - old_start, old.reach);
        const std::int64_t highest = old.at(passed) + 1;

        follow_wall(here.steady_ns);
        const std::int64_t right = here.steady_ns + wall_minus_steady_;
        const std::int64_t ahead = std::max<std::int64_t>(highest - right, 0);

        // The slope since the reference, unless the counter jumped or time stood still between the two.
        std::uint64_t slope = slope_between(reference_, here);
        if (slope > old.slope + old.slope / 64 || slope < old.slope - old.slope / 64) slope = calibrate();
        const std::int64_t age = here.steady_ns - reference_.steady_ns;
        const std::int64_t reach_ns = std::clamp<std::int64_t>(age, 20'000, longest_reach_ns);
        if (age > wall_check_ns) reference_ = here;
        // Ahead, it goes slower until the next line, at half the pace at least.
        const auto slowed = slope - static_cast<std::uint64_t>(
                                        (uint128{slope} * static_cast<std::uint64_t>(std::min(ahead, reach_ns / 2))) /
                                        static_cast<std::uint64_t>(reach_ns));

        time_ns_.store(right + ahead, std::memory_order_release);
        slope_.store(slowed, std::memory_order_release);
        reach_.store(static_cast<std::uint64_t>((uint128{static_cast<std::uint64_t>(reach_ns)} << slope_bits) / slope),
                     std::memory_order_release);
        start_.store(here.count, std::memory_order_release);
    }

    /// Returns the count of a first line that reaches nowhere.
    static std::uint64_t begin() noexcept {
        slope_.store(calibrate(), std::memory_order_relaxed);
        wall_minus_steady_ = wall_offset();
        wall_checked_ns_ = reference_.steady_ns;
        time_ns_.store(reference_.steady_ns + wall_minus_steady_, std::memory_order_relaxed);
        return reference_.count;
    }

    /// A new reference, and a first slope from the 20 us after it; later ones reach back further and are better.
    static std::uint64_t calibrate() noexcept {
        reference_ = sample();
        Sample later = sample();
        while (later.steady_ns - reference_.steady_ns < 20'000) later = sample();
        return slope_between(reference_, later);
    }

    /// Once a second: where the wall clock was set forward, or ran on through a suspend, so do we. Never backwards.
    static void follow_wall(std::int64_t steady) noexcept {
        if (steady - wall_checked_ns_ < wall_check_ns) return;
        wall_checked_ns_ = steady;
        const std::int64_t offset = wall_offset();
        if (offset > wall_minus_steady_ + wall_step_ns) wall_minus_steady_ = offset;
    }

    static constinit inline thread_local Line line_{};
    // The common line. The count where it starts, which no two have in common, is also the lock: `being_laid` before all
    // else changes, and the new one after. Readers acquire and the writer releases, so whoever sees a part of another
    // line than that whose start it read first finds the start changed.
    static inline std::atomic<std::uint64_t> start_{never_laid};
    static inline std::atomic<std::uint64_t> reach_{0};
    static inline std::atomic<std::uint64_t> slope_{0};
    static inline std::atomic<std::int64_t> time_ns_{0};
    // The writer's own.
    static inline Sample reference_{};
    static inline std::int64_t wall_minus_steady_ = 0;
    static inline std::int64_t wall_checked_ns_ = 0;
};

}  // namespace sluice::detail

#endif
