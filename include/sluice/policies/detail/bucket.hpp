// SPDX-License-Identifier: MIT
#ifndef SLUICE_POLICIES_DETAIL_BUCKET_HPP
#define SLUICE_POLICIES_DETAIL_BUCKET_HPP

#include <array>
#include <chrono>
#include <cstdint>

#include <sluice/decision.hpp>
#include <sluice/detail/algorithm.hpp>
#include <sluice/detail/saturate.hpp>
#include <sluice/detail/skew.hpp>
#include <sluice/detail/ticks.hpp>
#include <sluice/detail/validate.hpp>
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
        update_limits();
    }

    /// The same, counting on a coarser grid.
    constexpr Bucket at_resolution(std::chrono::nanoseconds resolution) const noexcept {
        Bucket coarser = *this;
        coarser.ticks_ = Ticks{rate_, resolution};
        coarser.per_unit_ = Divisor{coarser.ticks_.per_unit()};
        coarser.update_limits();
        return coarser;
    }

    constexpr std::uint64_t capacity() const noexcept { return capacity_; }
    constexpr const Rate& rate() const noexcept { return rate_; }
    constexpr Quota quota() const noexcept { return {capacity_, std::chrono::nanoseconds{fill_ns_}}; }
    constexpr std::array<std::uint64_t, 3> parameters() const noexcept {
        return {capacity_, rate_.count(), static_cast<std::uint64_t>(rate_.period().count())};
    }

    /// What step() does with a state that lies ahead of `now`; a store that can read its clock again wants to do so first.
    enum class Ahead { decide, leave };

    /// `debt_before` receives the ticks until full as this request found them. A state that is left is not changed, and the
    /// denial has no retry_after.
    template <Ahead ahead = Ahead::decide>
    [[gnu::always_inline]] Decision step(State& state, std::int64_t now, std::uint64_t cost,
                                         std::uint64_t& debt_before) const noexcept {
        if (static_cast<std::uint64_t>(now) < no_overflow_before_) [[likely]]
            return step_on<ahead>(Nanoseconds{}, state, now, cost, debt_before);
        const Step step = step_coarse<ahead>(state, now, cost);
        state = step.state;
        debt_before = step.debt_before;
        return step.decision;
    }

    /// Whether the state lies further ahead than a step at `now` puts one.
    constexpr bool is_ahead(const State& state, std::int64_t now) const noexcept {
        return state.full_at_ns > add(now, fill_ns_);
    }

    constexpr void refund(State& state, std::int64_t now, std::uint64_t units) const noexcept {
        const std::int64_t tick = ticks_.at(now);
        std::uint64_t debt = debt_on(ticks_, state, now, tick);
        if (debt == 0 || units == 0) return;
        if (was_clock_set_back(state, now)) debt = full_;
        const std::uint64_t given = units >= capacity_ ? full_ : units * per_unit_.value();
        state.full_at_ns = given >= debt ? now : ticks_.start_of(clamp_to_int64(int128{tick} + (debt - given)));
    }

    /// Nanoseconds from `now` until the ticks until full are at most `most`; 0 if they are.
    constexpr std::chrono::nanoseconds wait_for_debt(const State& state, std::int64_t now,
                                                     std::uint64_t most) const noexcept {
        const AnyTicks grid{ticks_};
        const std::int64_t tick = grid.at(now);
        std::uint64_t debt = debt_on(grid, state, now, tick);
        if (was_clock_set_back(state, now)) debt = full_;
        return std::chrono::nanoseconds{debt <= most ? 0 : grid.until(now, tick, debt - most)};
    }

    /// How many whole ticks a duration has, which is not negative.
    constexpr std::uint64_t ticks_in(std::chrono::nanoseconds duration) const noexcept {
        return static_cast<std::uint64_t>(ticks_.at(duration.count()));
    }
    /// Ticks that so many units take, at most the capacity.
    constexpr std::uint64_t ticks_of(std::uint64_t units) const noexcept { return units * per_unit_.value(); }

    /// Ticks as a duration, rounded up to a nanosecond.
    constexpr std::chrono::nanoseconds duration_of(std::uint64_t ticks) const noexcept {
        return std::chrono::nanoseconds{ticks_.start_of(static_cast<std::int64_t>(ticks))};
    }

    static constexpr std::uint64_t pack(State state) noexcept { return static_cast<std::uint64_t>(state.full_at_ns); }
    static constexpr State unpack(std::uint64_t word) noexcept { return {static_cast<std::int64_t>(word)}; }
    static constexpr std::chrono::nanoseconds expires_at(State state) noexcept {
        return std::chrono::nanoseconds{state.full_at_ns};
    }

private:
    /// Ticks where they are nanoseconds, at times after the epoch and not too near the end of time.
    struct Nanoseconds {
        static constexpr std::int64_t at(std::int64_t ns) noexcept { return ns; }
        static constexpr std::int64_t after(std::int64_t now, std::uint64_t ticks) noexcept {
            return now + static_cast<std::int64_t>(ticks);
        }
        static constexpr std::int64_t until(std::int64_t, std::int64_t, std::uint64_t ticks) noexcept {
            return static_cast<std::int64_t>(ticks);
        }
    };
    struct AnyTicks : Ticks {
        /// The first nanosecond of the tick that comes so many after another.
        constexpr std::int64_t after(std::int64_t tick, std::uint64_t ticks) const noexcept {
            return start_of(clamp_to_int64(int128{tick} + ticks));
        }
        /// Nanoseconds from `now`, which lies in a tick, until the one that comes so many after it.
        constexpr std::int64_t until(std::int64_t now, std::int64_t tick, std::uint64_t ticks) const noexcept {
            return std::max<std::int64_t>(0, clamp_to_int64(int128{after(tick, ticks)} - now));
        }
    };

    struct Step {
        Decision decision;
        State state;
        std::uint64_t debt_before;
    };
    /// Out of line, so that the common case (ticks are nanoseconds) stays small; takes the state by value, so that it
    /// never needs an address.
    template <Ahead ahead>
    [[gnu::noinline]] Step step_coarse(State state, std::int64_t now, std::uint64_t cost) const noexcept {
        Step step;
        step.state = state;
        step.decision = step_on<ahead>(AnyTicks{ticks_}, step.state, now, cost, step.debt_before);
        return step;
    }

    /// On a cache miss the processor stalls on `state`: what depends on it is kept short, so that the next request can
    /// start meanwhile.
    template <Ahead ahead, class Grid>
    [[gnu::always_inline]] Decision step_on(const Grid& grid, State& state, std::int64_t now, std::uint64_t cost,
                                            std::uint64_t& debt_before) const noexcept {
        using std::chrono::nanoseconds;
        const std::int64_t tick = grid.at(now);
        std::uint64_t debt = debt_on(grid, state, now, tick);
        std::uint64_t price = 0;
        const bool overflows = __builtin_mul_overflow(cost, per_unit_.value(), &price);
        // One unit always does, which spares the usual request the comparisons.
        const bool fits_ever = cost == 1 || (!overflows && price <= full_);
        const std::uint64_t most_before = cost == 1 ? max_debt_for_one_ : full_ - price;
        if (fits_ever && debt <= most_before) {
            debt_before = debt;
            debt += price;
            if (cost != 0) state.full_at_ns = grid.after(tick, debt);
            return {true, capacity_, per_unit_.divide(full_ - debt), nanoseconds{0},
                    nanoseconds{grid.until(now, tick, debt)}};
        }
        if (debt > full_) [[unlikely]] {
            debt_before = debt;
            if constexpr (ahead == Ahead::leave) return Decision{};
            const Step step = deny_ahead(grid, state, now, cost, debt, fits_ever ? most_before : no_debt_fits);
            state = step.state;
            debt_before = step.debt_before;
            return step.decision;
        }
        debt_before = debt;
        const std::int64_t retry_after =
            fits_ever ? grid.until(now, tick, debt - most_before) : Decision::never.count();
        return {false, capacity_, per_unit_.divide(full_ - debt), nanoseconds{retry_after},
                nanoseconds{grid.until(now, tick, debt)}};
    }

    static constexpr std::uint64_t no_debt_fits = ~std::uint64_t{0};

    /// The debt is more than a step at `now` leaves. As at the state's own time there is nothing left; or the clock was
    /// set back, and the bucket is used up from now on. Cost 0 is allowed and writes nothing even so.
    template <class Grid>
    [[gnu::noinline]] Step deny_ahead(const Grid& grid, State state, std::int64_t now, std::uint64_t cost,
                                      std::uint64_t debt, std::uint64_t most_before) const noexcept {
        using std::chrono::nanoseconds;
        const std::int64_t tick = grid.at(now);
        if (was_clock_set_back(state, now)) {
            debt = full_;
            if (cost != 0) state.full_at_ns = grid.after(tick, debt);
        }
        const std::int64_t retry_after = cost == 0                     ? 0
                                         : most_before == no_debt_fits ? Decision::never.count()
                                                                       : grid.until(now, tick, debt - most_before);
        const nanoseconds reset_after{grid.until(now, tick, debt)};
        return {{cost == 0, capacity_, 0, nanoseconds{retry_after}, reset_after}, state, debt};
    }

    constexpr bool was_clock_set_back(const State& state, std::int64_t now) const noexcept {
        return state.full_at_ns > add(add(now, fill_ns_), tolerated_skew.count());
    }

    /// Ticks from now until the bucket is full.
    template <class Grid>
    static constexpr std::uint64_t debt_on(const Grid& grid, const State& state, std::int64_t now,
                                           std::int64_t tick) noexcept {
        if (state.full_at_ns <= now) return 0;
        return static_cast<std::uint64_t>(grid.at(state.full_at_ns)) - static_cast<std::uint64_t>(tick);
    }

    constexpr void update_limits() noexcept {
        full_ = capacity_ * per_unit_.value();
        max_debt_for_one_ = full_ - per_unit_.value();
        no_overflow_before_ = ticks_.are_nanoseconds() ? static_cast<std::uint64_t>(int64_max) - full_ : 0;
    }

    Rate rate_;
    std::uint64_t capacity_;
    Ticks ticks_;
    Divisor per_unit_;                      // ticks that one unit takes
    std::uint64_t full_ = 0;                // ticks that all units take: below 2^62
    std::uint64_t no_overflow_before_ = 0;  // from the epoch: the times at which sums of nanoseconds cannot overflow
    std::uint64_t max_debt_for_one_ = 0;    // the debt with which one unit still fits
    std::int64_t fill_ns_ = 0;
};

}  // namespace sluice::detail

#endif
