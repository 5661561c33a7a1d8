// SPDX-License-Identifier: MIT
#ifndef SLUICE_POLICIES_SLIDING_WINDOW_COUNTER_HPP
#define SLUICE_POLICIES_SLIDING_WINDOW_COUNTER_HPP

#include <array>
#include <chrono>
#include <cstdint>
#include <string_view>

#include <sluice/detail/algorithm.hpp>
#include <sluice/detail/saturate.hpp>
#include <sluice/policies/detail/new_window.hpp>
#include <sluice/policies/detail/share.hpp>
#include <sluice/policies/detail/window.hpp>
#include <sluice/policy.hpp>

namespace sluice {

/// A sliding window told from two counts: that of the current aligned window and the previous one's, weighted with the
/// part of it that still lies within `window` of now (compared exactly, without rounding). Nearly as smooth as
/// SlidingWindow at a constant 8 bytes; off only as far as the previous window was not evenly used.
///
///     SlidingWindowCounter{100, 60s}
///
/// Limit 1 .. 2^53-1, window 1 ns .. 100 years, else std::invalid_argument. State: 24 bytes, or one word where the
/// limit stays below 2^((floor(log2 window_ns) - 6) / 2), that is 2,047 a second, 16,383 a minute, 131,071 an hour, and
/// the window below 36 years. A reading of the clock that comes late is counted into the state's window, as at its
/// beginning; where the clock was set back by more than 5 s, the window that it finds itself in is used up.
class SlidingWindowCounter {
public:
    struct State {
        std::int64_t end_ns = detail::int64_min;  ///< of the window that `current` belongs to, exact or as packed
        std::uint64_t previous = 0;
        std::uint64_t current = 0;
    };
    static constexpr std::string_view kind = "sliding_window_counter";

    template <detail::Integer I, class Rep, class Period>
    constexpr SlidingWindowCounter(I limit, std::chrono::duration<Rep, Period> window)
        : limit_(detail::checked_units("limit", limit)), window_(detail::checked_period("window", window)),
          half_bits_(window_.count_bits() / 2), half_mask_((std::uint64_t{1} << half_bits_) - 1),
          exceeds_word_(limit_ > half_mask_) {}

    constexpr std::uint64_t limit() const noexcept { return limit_; }
    constexpr std::chrono::nanoseconds window() const noexcept { return std::chrono::nanoseconds{window_.length_ns()}; }
    constexpr Quota quota() const noexcept { return {limit_, window()}; }
    constexpr std::array<std::uint64_t, 2> parameters() const noexcept { return {limit_, window_.length().value()}; }

    Decision step(State& state, std::chrono::nanoseconds now, std::uint64_t cost) const noexcept {
        const State seen = at(state, now.count());
        const Decision decision = decide(seen.end_ns, seen.previous, seen.current, now.count(), cost);
        if (decision.allowed) {
            if (cost != 0) state = {seen.end_ns, seen.previous, seen.current + cost};
        } else if (state.end_ns > seen.end_ns && !window_.is_end(state.end_ns, seen.end_ns)) {
            state = seen;  // the clock was set back: its window, still to come, would block the key until then
        }
        return decision;
    }

    /// Whether the state's window begins after `now`.
    constexpr bool is_ahead(const State& state, std::chrono::nanoseconds now) const noexcept {
        return window_.is_ahead(state.end_ns, now.count());
    }

    /// In a window that goes on, as is usual, a word is counted up as it is. One ahead is left to step().
    [[gnu::always_inline]] Decision step_word(std::uint64_t& word, std::chrono::nanoseconds now,
                                              std::uint64_t cost) const noexcept {
        const std::int64_t end = window_.end_after(now.count());
        if (!window_.is_end(window_.time(word), end_of_next(end))) [[unlikely]]
            return detail::step_in_new_window(*this, word, now, cost);
        return step_in_window(word, end, now.count(), cost);
    }

    constexpr void refund(State& state, std::chrono::nanoseconds now, std::uint64_t units) const noexcept {
        State seen = at(state, now.count());
        if (seen.current + seen.previous == 0 || units == 0) return;
        const std::uint64_t from_current = std::min(units, seen.current);
        seen.current -= from_current;
        seen.previous -= std::min(units - from_current, seen.previous);
        state = seen;
    }

    /// Only while the window in which they were consumed is the current one or the previous one.
    constexpr void give_back(State& state, std::chrono::nanoseconds, std::chrono::nanoseconds consumed_at,
                             std::uint64_t units) const noexcept {
        const std::int64_t end = window_.end_after(consumed_at.count());
        if (window_.is_end(state.end_ns, end)) {
            state.current -= std::min(units, state.current);
        } else if (window_.is_end(state.end_ns, end_of_next(end))) {
            state.previous -= std::min(units, state.previous);
        }
    }

    /// The end of the current window.
    constexpr std::chrono::nanoseconds lease_end(std::chrono::nanoseconds at) const noexcept {
        return std::chrono::nanoseconds{window_.end_after(at.count())};
    }

    constexpr std::chrono::nanoseconds expires_at(const State& state) const noexcept {
        return std::chrono::nanoseconds{empty_at(state)};
    }
    static constexpr std::array<std::int64_t, 3> encode(const State& state) noexcept {
        return {state.end_ns, static_cast<std::int64_t>(state.previous), static_cast<std::int64_t>(state.current)};
    }
    constexpr State decode(const std::array<std::int64_t, 3>& integers) const noexcept {
        return {integers[0], detail::count_within(limit_, integers[1]), detail::count_within(limit_, integers[2])};
    }
    constexpr bool fits_word() const noexcept { return !exceeds_word_; }
    constexpr std::uint64_t pack(const State& state) const noexcept {
        return window_.pack(end_of_next(state.end_ns), state.previous << half_bits_ | state.current);
    }
    constexpr State unpack(std::uint64_t word) const noexcept {
        const std::uint64_t counts = window_.counts(word);
        return {window_.time(word) - window_.length_ns(), counts >> half_bits_, counts & half_mask_};
    }
    static constexpr std::chrono::nanoseconds word_expires_at(std::uint64_t word) noexcept {
        return std::chrono::nanoseconds{detail::Window::time_in(word)};
    }

private:
    // Makes the Decision that is returned, in its place: a copy would wait for the stores of its members.
    [[gnu::always_inline]] Decision step_in_window(std::uint64_t& word, std::int64_t end, std::int64_t now,
                                                   std::uint64_t cost) const noexcept {
        const std::uint64_t counts = window_.counts(word);
        const Decision decision = decide(end, counts >> half_bits_, counts & half_mask_, now, cost);
        if (decision.allowed) word = detail::Window::counted(word, cost);
        return decision;
    }

    /// The state as it counts at `now`. One too far ahead means that the clock was set back to a window that may have
    /// been used up.
    constexpr State at(const State& state, std::int64_t now) const noexcept {
        const std::int64_t end = window_.current_end(now, state.end_ns);
        if (window_.is_end(state.end_ns, end)) return {end, state.previous, state.current};
        if (state.end_ns > end) return {end, 0, limit_};
        return {end, window_.is_end(state.end_ns, detail::add(end, -window_.length_ns())) ? state.current : 0, 0};
    }

    [[gnu::always_inline]] Decision decide(std::int64_t end, std::uint64_t previous, std::uint64_t current,
                                           std::int64_t now, std::uint64_t cost) const noexcept {
        const std::uint64_t used = current + weight(previous, end - now);
        if (cost > limit_ || used > limit_ - cost) [[unlikely]]
            return denied(end, previous, current, now, cost);
        const std::int64_t empty_at = cost != 0 || current != 0 ? end_of_next(end) : previous != 0 ? end : now;
        return {true, limit_, limit_ - used - cost, std::chrono::nanoseconds{0},
                std::chrono::nanoseconds{empty_at - now}};
    }

    constexpr std::int64_t end_of_next(std::int64_t end) const noexcept {
        return detail::add(end, window_.length_ns());
    }

    /// Kept out of the way of what is allowed; by value, so that that stays in registers.
    [[gnu::noinline]] Decision denied(std::int64_t end, std::uint64_t previous, std::uint64_t current, std::int64_t now,
                                      std::uint64_t cost) const noexcept {
        const State seen{end, previous, current};
        const std::uint64_t used = current + weight(previous, end - now);
        Decision decision;
        decision.limit = limit_;
        decision.remaining = limit_ - std::min(limit_, used);
        decision.allowed = cost == 0;  // a late call may find more used than there is
        if (cost != 0) decision.retry_after = cost > limit_ ? Decision::never : detail::wait(now, fits_at(seen, cost));
        if (used != 0) decision.reset_after = std::chrono::nanoseconds{empty_at(seen) - now};
        return decision;
    }

    /// ceil(previous * rest of the window / window). Rounded up it compares as the exact fraction does, because all
    /// else is whole: fraction + n <= limit if and only if ceil(fraction) + n <= limit.
    constexpr std::uint64_t weight(std::uint64_t previous, std::int64_t rest_ns) const noexcept {
        return previous == 0 ? 0 : weight_nonzero(previous, rest_ns);
    }
    [[gnu::noinline]] constexpr std::uint64_t weight_nonzero(std::uint64_t previous,
                                                             std::int64_t rest_ns) const noexcept {
        const std::uint64_t window = window_.length().value();
        const auto product = detail::uint128{previous} * std::min(static_cast<std::uint64_t>(rest_ns), window);
        if (product < static_cast<detail::uint128>(detail::int64_max) - window) [[likely]]
            return window_.length().divide_up(static_cast<std::uint64_t>(product));
        return static_cast<std::uint64_t>((product + window - 1) / window);
    }

    /// The first time at which `cost` (within the limit) fits, if nothing else comes: the weight of the previous
    /// window has fallen far enough, or later, as the previous one, that of the current window.
    constexpr std::int64_t fits_at(const State& seen, std::uint64_t cost) const noexcept {
        if (seen.current + cost <= limit_) {
            const auto rest = longest_rest(limit_ - seen.current - cost, seen.previous);
            if (rest > 0) return detail::add(seen.end_ns, -static_cast<std::int64_t>(rest));
        }
        if (seen.current == 0) return seen.end_ns;
        return end_of_next(seen.end_ns) - static_cast<std::int64_t>(longest_rest(limit_ - cost, seen.current));
    }

    /// The longest rest of a window with which `count` units weigh at most `room`: floor(room * window / count).
    constexpr std::uint64_t longest_rest(std::uint64_t room, std::uint64_t count) const noexcept {
        if (room >= count) return window_.length().value();
        return static_cast<std::uint64_t>(detail::uint128{room} * window_.length().value() / count);
    }

    constexpr std::int64_t empty_at(const State& seen) const noexcept {
        return seen.current == 0 ? seen.end_ns : end_of_next(seen.end_ns);
    }

    std::uint64_t limit_;
    detail::Window window_;
    int half_bits_;  // of a packed state's counts, for each of the two
    std::uint64_t half_mask_;
    bool exceeds_word_;  // stored negated: saves one instruction in the lookup
};

inline SlidingWindowCounter share_of(const SlidingWindowCounter& policy, std::uint32_t instances) noexcept {
    return {detail::share_of_limit(policy.limit(), instances), policy.window()};
}

}  // namespace sluice

#endif
