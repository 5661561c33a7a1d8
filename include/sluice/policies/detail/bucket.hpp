// SPDX-License-Identifier: MIT
#ifndef SLUICE_POLICIES_DETAIL_BUCKET_HPP
#define SLUICE_POLICIES_DETAIL_BUCKET_HPP

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <cstdint>

#include <sluice/decision.hpp>
#include <sluice/detail/checked.hpp>
#include <sluice/detail/saturate.hpp>
#include <sluice/detail/ticks.hpp>
#include <sluice/rate.hpp>

namespace sluice::detail {

/// The time from which a bucket is full again (a queue empty): all that has to be remembered of it.
struct BucketState {
    std::int64_t full_at_ns = int64_min;
};

/// What TokenBucket and LeakyBucket share: GCRA, the generic cell rate algorithm (ITU-T I.371, annex A), counting in
/// ticks. The debt is the time until the bucket is full; a request fits while debt + cost stays within the time that
/// the whole bucket takes to fill.
class Bucket {
public:
    using State = BucketState;

    template <Integer I>
    constexpr Bucket(const char* what, I capacity, const Rate& refill)
        : rate_(refill), capacity_(checked_units(what, capacity)), ticks_(refill), per_unit_(ticks_.per_unit()) {
        const uint128 fill_ns = (uint128{capacity_} * ticks_.period_ns() + refill.count() - 1) / refill.count();
        if (fill_ns > static_cast<uint128>(max_period_ns)) {
            throw_invalid(what,
                          std::to_string(capacity_) + " at " + std::to_string(refill.count()) + " per " +
                              std::to_string(ticks_.period_ns()) + " ns",
                          "small enough to fill within 100 years");
        }
        fill_ns_ = static_cast<std::int64_t>(fill_ns);
        full_ = capacity_ * per_unit_.value();
    }

    /// The same, counting on a coarser grid.
    constexpr Bucket at_resolution(std::chrono::nanoseconds resolution) const noexcept {
        Bucket coarser = *this;
        coarser.ticks_ = Ticks{rate_, resolution};
        coarser.per_unit_ = Divisor{coarser.ticks_.per_unit()};
        coarser.full_ = capacity_ * coarser.ticks_.per_unit();
        return coarser;
    }

    constexpr std::uint64_t capacity() const noexcept { return capacity_; }
    constexpr const Rate& rate() const noexcept { return rate_; }
    constexpr Quota quota() const noexcept { return {capacity_, std::chrono::nanoseconds{fill_ns_}}; }
    constexpr std::array<std::uint64_t, 3> parameters() const noexcept {
        return {capacity_, rate_.count(), static_cast<std::uint64_t>(rate_.period().count())};
    }

    /// `debt_before` receives the ticks until full as this request found them.
    [[gnu::always_inline]] Decision step(State& state, std::int64_t now, std::uint64_t cost,
                                         std::uint64_t& debt_before) const noexcept {
        const Outcome outcome =
            ticks_.are_nanoseconds() ? outcome_on(Nanoseconds{}, state, now, cost) : outcome_on_grid(state, now, cost);
        state = outcome.state;
        debt_before = outcome.debt_before;
        Decision decision;
        decision.allowed = outcome.allowed;
        decision.limit = capacity_;
        decision.remaining = per_unit_.divide(full_ - outcome.debt);
        decision.retry_after = std::chrono::nanoseconds{outcome.retry_after_ns};
        decision.reset_after = std::chrono::nanoseconds{outcome.reset_after_ns};
        return decision;
    }

    constexpr void refund(State& state, std::int64_t now, std::uint64_t units) const noexcept {
        const std::int64_t tick = ticks_.at(now);
        const std::uint64_t debt = std::min(debt_at(ticks_, state, now, tick), full_);
        if (debt == 0) return;
        const std::uint64_t given = units >= capacity_ ? full_ : units * per_unit_.value();
        state.full_at_ns = given >= debt ? now : ticks_.start_of(add(tick, static_cast<std::int64_t>(debt - given)));
    }

    /// Ticks as a duration, rounded up to a nanosecond.
    constexpr std::chrono::nanoseconds duration_of(std::uint64_t ticks) const noexcept {
        return std::chrono::nanoseconds{ticks_.start_of(static_cast<std::int64_t>(ticks))};
    }

    static constexpr std::uint64_t pack(State state) noexcept { return std::bit_cast<std::uint64_t>(state); }
    static constexpr State unpack(std::uint64_t word) noexcept { return std::bit_cast<State>(word); }
    static constexpr std::chrono::nanoseconds expires_at(State state) noexcept {
        return std::chrono::nanoseconds{state.full_at_ns};
    }

private:
    /// Ticks where they are nanoseconds.
    struct Nanoseconds {
        static constexpr std::int64_t at(std::int64_t ns) noexcept { return ns; }
        static constexpr std::int64_t start_of(std::int64_t tick) noexcept { return tick; }
        /// Nanoseconds from `now`, which lies in `tick`, until so many ticks later.
        static constexpr std::int64_t until(std::int64_t, std::int64_t, std::uint64_t ticks) noexcept {
            return static_cast<std::int64_t>(ticks);
        }
    };
    struct Grid : Ticks {
        constexpr std::int64_t until(std::int64_t now, std::int64_t tick, std::uint64_t ticks) const noexcept {
            return ticks == 0 ? 0 : start_of(add(tick, static_cast<std::int64_t>(ticks))) - now;
        }
    };

    /// Of a step, in ticks where nothing else is said.
    struct Outcome {
        bool allowed;
        State state;
        std::uint64_t debt_before;
        std::uint64_t debt;
        std::int64_t retry_after_ns;
        std::int64_t reset_after_ns;
    };
    /// Kept out of the way of rates that count in nanoseconds, as most do; by value, so that theirs stay in registers.
    [[gnu::noinline]] Outcome outcome_on_grid(State state, std::int64_t now, std::uint64_t cost) const noexcept {
        return outcome_on(Grid{ticks_}, state, now, cost);
    }

    template <class Grid>
    [[gnu::always_inline]] Outcome outcome_on(const Grid& grid, State state, std::int64_t now,
                                              std::uint64_t cost) const noexcept {
        const std::int64_t tick = grid.at(now);
        std::uint64_t debt = debt_at(grid, state, now, tick);
        const auto full_after = [&] { return grid.start_of(add(tick, static_cast<std::int64_t>(debt))); };
        if (debt > full_) [[unlikely]] {  // the clock went back: used up at most, and from now on
            debt = full_;
            if (cost != 0) state.full_at_ns = full_after();
        }
        const std::uint64_t debt_before = debt;
        std::uint64_t price = 0;
        const bool overflows = __builtin_mul_overflow(cost, per_unit_.value(), &price);
        if (!overflows && price <= full_ - debt) {
            debt += price;
            if (cost != 0) state.full_at_ns = full_after();
            return {true, state, debt_before, debt, 0, grid.until(now, tick, debt)};
        }
        const bool fits_never = overflows || price > full_;
        return {false,
                state,
                debt_before,
                debt,
                fits_never ? Decision::never.count() : grid.until(now, tick, debt + price - full_),
                grid.until(now, tick, debt)};
    }

    /// Ticks from now until the bucket is full.
    template <class Grid>
    static constexpr std::uint64_t debt_at(const Grid& grid, const State& state, std::int64_t now,
                                           std::int64_t tick) noexcept {
        if (state.full_at_ns <= now) return 0;
        return static_cast<std::uint64_t>(grid.at(state.full_at_ns)) - static_cast<std::uint64_t>(tick);
    }

    Rate rate_;
    std::uint64_t capacity_;
    Ticks ticks_;
    Divisor per_unit_;        // ticks that one unit takes
    std::uint64_t full_ = 0;  // ticks that all units take: below 2^62
    std::int64_t fill_ns_ = 0;
};

}  // namespace sluice::detail

#endif
