// SPDX-License-Identifier: MIT
#ifndef SLUICE_POLICIES_FIXED_WINDOW_HPP
#define SLUICE_POLICIES_FIXED_WINDOW_HPP

#include <array>
#include <bit>
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

/// At most `limit` units in each window, windows aligned to the Unix epoch: for quotas that people read ("1000 a day,
/// resets at midnight UTC"). Around a window's edge up to 2 * limit may pass within one window's length; where that
/// hurts, take SlidingWindowCounter or SlidingWindow.
///
///     FixedWindow{1000, 24h}
///
/// Limit 1 .. 2^53-1, window 1 ns .. 100 years, else std::invalid_argument. State: 16 bytes, or one word where the
/// limit stays below 2^(floor(log2 window_ns) - 6), 8 million a second or 500 million a minute, and the window below 36
/// years. A reading of the clock that comes late is counted into the state's window; where the clock was set back by more
/// than 5 s, the window that it finds itself in is used up.
class FixedWindow {
public:
    struct State {
        std::int64_t end_ns = detail::int64_min;  ///< of the window that `used` belongs to, exact or as packed
        std::uint64_t used = 0;
    };
    static constexpr std::string_view kind = "fixed_window";

    template <detail::Integer I, class Rep, class Period>
    constexpr FixedWindow(I limit, std::chrono::duration<Rep, Period> window)
        : limit_(detail::checked_units("limit", limit)), window_(detail::checked_period("window", window)),
          exceeds_word_(static_cast<int>(std::bit_width(limit_)) > window_.count_bits()) {}

    constexpr std::uint64_t limit() const noexcept { return limit_; }
    constexpr std::chrono::nanoseconds window() const noexcept { return std::chrono::nanoseconds{window_.length_ns()}; }
    constexpr Quota quota() const noexcept { return {limit_, window()}; }
    constexpr std::array<std::uint64_t, 2> parameters() const noexcept { return {limit_, window_.length().value()}; }

    Decision step(State& state, std::chrono::nanoseconds now, std::uint64_t cost) const noexcept {
        const State seen = at(state, now.count());
        const Decision decision = decide(seen.used, seen.end_ns - now.count(), cost);
        if (decision.allowed) {
            if (cost != 0) state = {seen.end_ns, seen.used + cost};
        } else if (was_clock_set_back(state, seen)) {
            state = seen;  // or its window, still to come, would block the key until then
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
        if (!window_.is_end(window_.time(word), end)) [[unlikely]]
            return detail::step_in_new_window(*this, word, now, cost);
        return step_in_window(word, end - now.count(), cost);
    }

    constexpr void refund(State& state, std::chrono::nanoseconds now, std::uint64_t units) const noexcept {
        const State current = at(state, now.count());
        if (current.used != 0 && units != 0) state = {current.end_ns, current.used - std::min(units, current.used)};
    }

    /// Only in the window in which they were consumed.
    constexpr void give_back(State& state, std::chrono::nanoseconds, std::chrono::nanoseconds consumed_at,
                             std::uint64_t units) const noexcept {
        if (window_.is_end(state.end_ns, window_.end_after(consumed_at.count()))) {
            state.used -= std::min(units, state.used);
        }
    }

    /// The end of the window.
    constexpr std::chrono::nanoseconds lease_end(std::chrono::nanoseconds at) const noexcept {
        return std::chrono::nanoseconds{window_.end_after(at.count())};
    }

    constexpr std::chrono::nanoseconds expires_at(const State& state) const noexcept {
        return std::chrono::nanoseconds{state.end_ns};
    }
    static constexpr std::array<std::int64_t, 2> encode(const State& state) noexcept {
        return {state.end_ns, static_cast<std::int64_t>(state.used)};
    }
    constexpr State decode(const std::array<std::int64_t, 2>& integers) const noexcept {
        return {integers[0], detail::count_within(limit_, integers[1])};
    }
    constexpr bool fits_word() const noexcept { return !exceeds_word_; }
    constexpr std::uint64_t pack(const State& state) const noexcept { return window_.pack(state.end_ns, state.used); }
    constexpr State unpack(std::uint64_t word) const noexcept { return {window_.time(word), window_.counts(word)}; }
    static constexpr std::chrono::nanoseconds word_expires_at(std::uint64_t word) noexcept {
        return std::chrono::nanoseconds{detail::Window::time_in(word)};
    }

private:
    // Makes the Decision that is returned, in its place: a copy would wait for the stores of its members.
    [[gnu::always_inline]] Decision step_in_window(std::uint64_t& word, std::int64_t rest_ns,
                                                   std::uint64_t cost) const noexcept {
        const Decision decision = decide(window_.counts(word), rest_ns, cost);
        if (decision.allowed) word = detail::Window::counted(word, cost);
        return decision;
    }

    /// The state as it counts at `now`: of a window that is over, nothing does; one that is too far ahead means that the
    /// clock was set back to a window that may have been used up.
    constexpr State at(const State& state, std::int64_t now) const noexcept {
        const std::int64_t end = window_.current_end(now, state.end_ns);
        return {end, state.end_ns < end ? 0 : window_.is_end(state.end_ns, end) ? state.used : limit_};
    }
    constexpr bool was_clock_set_back(const State& state, const State& seen) const noexcept {
        return state.end_ns > seen.end_ns && !window_.is_end(state.end_ns, seen.end_ns);
    }

    [[gnu::always_inline]] Decision decide(std::uint64_t used, std::int64_t rest_ns,
                                           std::uint64_t cost) const noexcept {
        using std::chrono::nanoseconds;
        const nanoseconds rest{rest_ns};
        if (cost <= limit_ - used) {
            const bool is_used = cost != 0 || used != 0;
            return {true, limit_, limit_ - used - cost, nanoseconds{0}, is_used ? rest : nanoseconds{0}};
        }
        return {false, limit_, limit_ - used, cost > limit_ ? Decision::never : rest,
                used != 0 ? rest : nanoseconds{0}};
    }

    std::uint64_t limit_;
    detail::Window window_;
    bool exceeds_word_;  // stored negated: saves one instruction in the lookup
};

inline FixedWindow share_of(const FixedWindow& policy, std::uint32_t instances) noexcept {
    return {detail::share_of_limit(policy.limit(), instances), policy.window()};
}

}  // namespace sluice

#endif
