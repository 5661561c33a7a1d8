// SPDX-License-Identifier: MIT
#ifndef SLUICE_POLICIES_SLIDING_WINDOW_HPP
#define SLUICE_POLICIES_SLIDING_WINDOW_HPP

#include <array>
#include <chrono>
#include <cstdint>
#include <string_view>

#include <sluice/detail/algorithm.hpp>
#include <sluice/detail/saturate.hpp>
#include <sluice/detail/skew.hpp>
#include <sluice/detail/validate.hpp>
#include <sluice/policies/detail/share.hpp>
#include <sluice/policies/detail/time_log.hpp>
#include <sluice/policy.hpp>

namespace sluice {

/// At most `limit` units in every window of that length, exactly: the time of each admission is kept. For rare and
/// expensive operations (logins, payments, SMS); SlidingWindowCounter comes close with 8 bytes.
///
///     SlidingWindow{5, 15min}
///
/// Limit 1 .. 2^20, window 1 ns .. 100 years, else std::invalid_argument. State: a head of 48 bytes, and for each admission
/// after the first, whatever its cost, 12 bytes, allocated as it fills for eight and an eighth more each time. A decision costs
/// a binary search where times have left the window since the last admission. A reading of the clock that comes late is
/// decided as at the newest admission that was not given back; where the clock was set back by more than 5 s, the key is used
/// up from then on.
class SlidingWindow {
public:
    struct State {
        static constexpr bool is_trivially_relocatable = true;
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

    /// Makes room for the time of an admission, unless those that have left the window make it. They stay until the
    /// step: it may yet be denied, by another part of an AllOf.
    void reserve(State& state, std::chrono::nanoseconds now, std::uint64_t cost) const {
        detail::TimeLog& log = state.log;
        log.prefetch();
        if (log.size() < log.capacity() && !log.is_mostly_unused()) return;
        const std::size_t gone = log.count_before(visible_from(time_of(state, now.count())));
        if (cost == 0 || cost > limit_ - (log.units() - log.units_before(gone))) return;
        if (gone == 0 || log.is_mostly_unused()) log.reserve(log.size() + 1, limit_);
    }

    /// The usual admission, for which nothing has to be searched or allocated. What is not usual it leaves undone: the state
    /// as it was, and a denial with retry_after 0.
    [[gnu::always_inline]] Decision step_at_once(State& state, std::chrono::nanoseconds now,
                                                 std::uint64_t cost) const noexcept {
        detail::TimeLog& log = state.log;
        const std::int64_t time = now.count();
        const std::uint64_t room = limit_ - log.units();
        Decision decision;
        if (!log.has_room() || cost == 0 || cost > room || log.newest() > time || log.oldest() < visible_from(time))
            return decision;
        log.append(time, cost);
        decision.allowed = true;
        decision.limit = limit_;
        decision.remaining = room - cost;
        decision.reset_after = detail::wait(time, leaves_at(time));
        return decision;
    }

    /// Times that have left the window are let go of by an admission alone, whose own time is then the newest: whoever is
    /// late is decided as at that time, at which nothing is missing.
    Decision step(State& state, std::chrono::nanoseconds now, std::uint64_t cost) const noexcept {
        std::size_t gone = 0;
        Decision decision = look(state, now, cost, gone);
        if (cost == 0) return decision;
        if (decision.allowed) {
            const std::int64_t time = time_of(state, now.count());
            state.log.drop_oldest(gone);
            state.log.append(time, cost);
            decision.remaining -= cost;
            decision.reset_after = detail::wait(now.count(), leaves_at(time));
        } else {
            bring_back(state, now.count());
        }
        return decision;
    }

    Decision peek(const State& state, std::chrono::nanoseconds now, std::uint64_t cost) const noexcept {
        std::size_t gone = 0;
        return look(state, now, cost, gone);
    }

    void refund(State& state, std::chrono::nanoseconds now, std::uint64_t units) const noexcept {
        if (units == 0) return;
        bring_back(state, now.count());
        const detail::TimeLog& log = state.log;
        const std::uint64_t gone = log.units_before(log.count_before(visible_from(time_of(state, now.count()))));
        state.log.drop_newest_units(std::min(units, log.units() - gone));
    }

    /// Only what was admitted at exactly that time, if it has not left. Costs the admissions that came later.
    void give_back(State& state, std::chrono::nanoseconds, std::chrono::nanoseconds consumed_at,
                   std::uint64_t units) const noexcept {
        state.log.drop_units_at(consumed_at.count(), units);
    }

    /// Whether the newest admission lies after `now`.
    bool is_ahead(const State& state, std::chrono::nanoseconds now) const noexcept {
        return state.log.size() != 0 && state.log.newest() > now.count();
    }

    std::chrono::nanoseconds expires_at(const State& state) const noexcept {
        return std::chrono::nanoseconds{state.log.size() == 0 ? detail::int64_min : leaves_at(state.log.newest())};
    }

private:
    std::int64_t leaves_at(std::int64_t time) const noexcept { return detail::add(time, window_ns_); }
    std::int64_t visible_from(std::int64_t time) const noexcept { return detail::add(time, 1 - window_ns_); }

    /// The decision, and how many of the oldest times have left the window.
    Decision look(const State& state, std::chrono::nanoseconds now, std::uint64_t cost,
                  std::size_t& gone) const noexcept {
        if (was_clock_set_back(state, now.count())) return used_up(cost);
        const detail::TimeLog& log = state.log;
        gone = log.count_before(visible_from(time_of(state, now.count())));
        const std::uint64_t units_gone = log.units_before(gone);
        const std::uint64_t used = log.units() - units_gone;
        Decision decision;
        decision.limit = limit_;
        decision.allowed = cost <= limit_ - used;
        decision.remaining = limit_ - used;
        if (!decision.allowed) {
            decision.retry_after = Decision::never;
            if (cost <= limit_) {  // so many of the oldest have to leave first
                const std::int64_t last = log.time_of_unit(units_gone + used + cost - limit_ - 1);
                decision.retry_after = detail::wait(now.count(), leaves_at(last));
            }
        }
        if (used != 0) decision.reset_after = detail::wait(now.count(), leaves_at(log.newest()));
        return decision;
    }

    /// A clock that was set back finds the key used up from now on.
    void bring_back(State& state, std::int64_t now) const noexcept {
        if (!was_clock_set_back(state, now)) return;
        state.log.drop_oldest(state.log.size());
        state.log.append(now, limit_);
    }

    /// When a request of `now` is decided: at the newest admission, if that lies ahead no further than threads are held up.
    static std::int64_t time_of(const State& state, std::int64_t now) noexcept {
        const bool is_late = state.log.size() != 0 && detail::is_within_skew(state.log.newest(), now);
        return is_late ? state.log.newest() : now;
    }
    static bool was_clock_set_back(const State& state, std::int64_t now) noexcept {
        return state.log.size() != 0 && state.log.newest() > now && !detail::is_within_skew(state.log.newest(), now);
    }
    /// As if all units had come now.
    Decision used_up(std::uint64_t cost) const noexcept {
        const std::chrono::nanoseconds wait = std::min(window(), Decision::never - std::chrono::nanoseconds{1});
        Decision decision;
        decision.limit = limit_;
        decision.allowed = cost == 0;
        if (!decision.allowed) decision.retry_after = cost > limit_ ? Decision::never : wait;
        decision.reset_after = wait;
        return decision;
    }

    std::uint64_t limit_;
    std::int64_t window_ns_;
};

inline SlidingWindow share_of(const SlidingWindow& policy, std::uint32_t instances) noexcept {
    return {detail::share_of_limit(policy.limit(), instances), policy.window()};
}

}  // namespace sluice

#endif
