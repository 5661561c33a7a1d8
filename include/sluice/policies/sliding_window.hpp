// SPDX-License-Identifier: MIT
#ifndef SLUICE_POLICIES_SLIDING_WINDOW_HPP
#define SLUICE_POLICIES_SLIDING_WINDOW_HPP

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <string_view>

#include <sluice/detail/validate.hpp>
#include <sluice/detail/saturate.hpp>
#include <sluice/policies/detail/time_log.hpp>
#include <sluice/policies/detail/window.hpp>
#include <sluice/policy.hpp>

namespace sluice {

/// At most `limit` units in every window of that length, exactly: the time of each admitted unit is kept. For few and
/// dear things (logins, payments, SMS); SlidingWindowCounter comes close with 8 bytes.
///
///     SlidingWindow{5, 15min}
///
/// Limit 1 .. 2^20, window 1 ns .. 100 years, else std::invalid_argument. State: 8 bytes per admitted unit, allocated as
/// it fills (9 at times, 8 once at the limit), and a head of 32 bytes. A decision costs a binary search, and an
/// admission of cost n writes n times. A clock that goes back (by more than the millisecond by which threads may
/// disagree) turns the later times into now.
class SlidingWindow {
public:
    struct State {
        detail::TimeLog log;
    };
    static constexpr std::string_view kind = "sliding_window";
    static constexpr std::uint64_t max_limit = std::uint64_t{1} << 20;

    template <detail::Integer I, class Rep, class Period>
    constexpr SlidingWindow(I limit, std::chrono::duration<Rep, Period> window)
        : limit_(detail::checked_units("limit", limit, max_limit)),
          window_ns_(detail::checked_period("window", window)) {}

    constexpr std::uint64_t limit() const noexcept { return limit_; }
    constexpr std::chrono::nanoseconds window() const noexcept { return std::chrono::nanoseconds{window_ns_}; }
    constexpr Quota quota() const noexcept { return {limit_, window()}; }
    constexpr std::array<std::uint64_t, 2> parameters() const noexcept {
        return {limit_, static_cast<std::uint64_t>(window_ns_)};
    }

    /// Makes room for the times of an admission, and lets go of those that have left the window.
    void reserve(State& state, std::chrono::nanoseconds now, std::uint64_t cost) const {
        forget(state, now.count());
        if (cost <= limit_ - state.log.size()) state.log.reserve(state.log.size() + cost, limit_);
    }

    Decision step(State& state, std::chrono::nanoseconds now, std::uint64_t cost) const noexcept {
        if (cost == 0) return peek(state, now, 0);
        forget(state, now.count());
        if (is_ahead(state, now.count())) state.log.clamp(now.count());
        Decision decision = peek(state, now, cost);
        if (decision.allowed) {
            const std::int64_t newest = state.log.size() != 0 ? state.log.newest() : now.count();
            state.log.append(std::max<std::int64_t>(now.count(), newest), cost);
            decision.remaining = limit_ - state.log.size();
            decision.reset_after = detail::wait(now.count(), leaves_at(state.log.newest()));
        }
        return decision;
    }

    Decision peek(const State& state, std::chrono::nanoseconds now, std::uint64_t cost) const noexcept {
        const detail::TimeLog& log = state.log;
        const std::size_t gone = log.count_before(visible_from(now.count()));
        const std::uint64_t used = log.size() - gone;
        const std::int64_t latest = is_ahead(state, now.count()) ? now.count() : detail::int64_max;
        const auto leaves = [&](std::size_t index) { return leaves_at(std::min(log[index], latest)); };
        Decision decision;
        decision.limit = limit_;
        decision.allowed = cost <= limit_ - used;
        decision.remaining = limit_ - used;
        if (!decision.allowed) {
            decision.retry_after = Decision::never;
            if (cost <= limit_) {  // so many of the oldest have to leave first
                decision.retry_after = detail::wait(now.count(), leaves(gone + used + cost - limit_ - 1));
            }
        }
        if (used != 0) decision.reset_after = detail::wait(now.count(), leaves(log.size() - 1));
        return decision;
    }

    void refund(State& state, std::chrono::nanoseconds now, std::uint64_t units) const noexcept {
        forget(state, now.count());
        state.log.drop_newest(static_cast<std::size_t>(std::min<std::uint64_t>(units, state.log.size())));
    }

    std::chrono::nanoseconds expires_at(const State& state) const noexcept {
        return std::chrono::nanoseconds{state.log.size() == 0 ? detail::int64_min : leaves_at(state.log.newest())};
    }

private:
    std::int64_t leaves_at(std::int64_t time) const noexcept { return detail::add(time, window_ns_); }
    std::int64_t visible_from(std::int64_t now) const noexcept { return detail::add(now, 1 - window_ns_); }
    void forget(State& state, std::int64_t now) const noexcept {
        state.log.drop_oldest(state.log.count_before(visible_from(now)));
    }
    static bool is_ahead(const State& state, std::int64_t now) noexcept {
        return state.log.size() != 0 && state.log.newest() > detail::add(now, detail::tolerated_skew_ns);
    }

    std::uint64_t limit_;
    std::int64_t window_ns_;
};

}  // namespace sluice

#endif
