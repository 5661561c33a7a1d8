// SPDX-License-Identifier: MIT
#ifndef SLUICE_POLICIES_FIXED_WINDOW_HPP
#define SLUICE_POLICIES_FIXED_WINDOW_HPP

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <cstdint>
#include <string_view>

#include <sluice/policies/detail/window.hpp>
#include <sluice/policy.hpp>

namespace sluice {

/// At most `limit` units in each window, windows aligned to the Unix epoch: for quotas that people read ("1000 a day,
/// anew at midnight UTC"). Around a window's edge up to 2 * limit may pass within one window's length; where that
/// hurts, take SlidingWindowCounter or SlidingWindow.
///
///     FixedWindow{1000, 24h}
///
/// Limit 1 .. 2^53-1, window 1 ns .. 100 years, else std::invalid_argument. State: 16 bytes, or one word where the
/// limit stays below 2^(floor(log2 window_ns) - 6), 8 million a second or 500 million a minute, and the window below 36
/// years. A clock that goes back takes the count along into the window it finds itself in.
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
        } else if (state.end_ns > seen.end_ns) {
            state = seen;  // takes a count along that a clock gone back would leave in the future
        }
        return decision;
    }

    /// In a window that goes on, as is usual, a word is counted up as it is.
    [[gnu::always_inline]] Decision step_packed(std::uint64_t& word, std::chrono::nanoseconds now,
                                                std::uint64_t cost) const noexcept {
        const std::int64_t end = window_.end_after(now.count());
        if (!window_.is_end(window_.time(word), end)) [[unlikely]] {
            const auto [decision, after] = detail::step_unpacked(*this, word, now, cost);
            word = after;
            return decision;
        }
        const Decision decision = decide(window_.counts(word), end - now.count(), cost);
        if (decision.allowed) word = detail::Window::counted(word, cost);
        return decision;
    }

    constexpr void refund(State& state, std::chrono::nanoseconds now, std::uint64_t units) const noexcept {
        const State current = at(state, now.count());
        if (current.used != 0) state = {current.end_ns, current.used - std::min(units, current.used)};
    }

    constexpr std::chrono::nanoseconds expires_at(const State& state) const noexcept {
        return std::chrono::nanoseconds{state.end_ns};
    }
    constexpr bool fits_word() const noexcept { return !exceeds_word_; }
    constexpr std::uint64_t pack(const State& state) const noexcept { return window_.pack(state.end_ns, state.used); }
    constexpr State unpack(std::uint64_t word) const noexcept { return {window_.time(word), window_.counts(word)}; }
    static constexpr std::chrono::nanoseconds word_expires_at(std::uint64_t word) noexcept {
        return std::chrono::nanoseconds{detail::Window::time_in(word)};
    }

private:
    constexpr State at(const State& state, std::int64_t now) const noexcept {
        const std::int64_t end = window_.current_end(now, state.end_ns);
        return {end, state.end_ns < end ? 0 : state.used};
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
    bool exceeds_word_;  // and not its opposite, which a lookup would have to turn round
};

}  // namespace sluice

#endif
