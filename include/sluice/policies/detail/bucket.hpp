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
        set_full();
    }

    /// The same, counting on a coarser grid.
    constexpr Bucket at_resolution(std::chrono::nanoseconds resolution) const noexcept {
        Bucket coarser = *this;
        coarser.ticks_ = Ticks{rate_, resolution};
        coarser.per_unit_ = Divisor{coarser.ticks_.per_unit()};
        coarser.set_full();
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
        const bool is_plain = static_cast<std::uint64_t>(now) < plain_until_;
        const Outcome outcome = is_plain ? outcome_on(Nanoseconds{}, state, now, cost) : any_outcome(state, now, cost);
        state = outcome.state;
        debt_before = outcome.debt_before;
        Decision decision;
        decision.allowed = outcome.allowed;
        decision.limit = capacity_;
        decision.remaining = per_unit_.divide(outcome.room);
        decision.retry_after = std::chrono::nanoseconds{outcome.retry_after_ns};
        decision.reset_after = std::chrono::nanoseconds{outcome.reset_after_ns};
        return decision;
    }

    constexpr void refund(State& state, std::int64_t now, std::uint64_t units) const noexcept {
        const std::int64_t tick = ticks_.at(now);
        const std::uint64_t debt = std::min(debt_at(state, now, tick), full_);
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
    /// Ticks where they are nanoseconds, at times after the epoch and not too near the end of time.
    struct Nanoseconds {
        using Wide = std::int64_t;  // for ticks and their sums

        static constexpr std::int64_t at(std::int64_t ns) noexcept { return ns; }
        static constexpr std::int64_t start_of(std::int64_t tick) noexcept { return tick; }
        static constexpr std::int64_t until(std::int64_t now, std::int64_t tick) noexcept { return tick - now; }
    };
    struct AnyTicks : Ticks {
        using Wide = int128;

        constexpr std::int64_t start_of(int128 tick) const noexcept { return Ticks::start_of(clamp_to_int64(tick)); }
        /// Nanoseconds until a tick that is not over yet.
        constexpr std::int64_t until(std::int64_t now, int128 tick) const noexcept {
            return std::max<std::int64_t>(0, clamp_to_int64(int128{start_of(tick)} - now));
        }
    };

    /// Of a step, in ticks where nothing else is said.
    struct Outcome {
        bool allowed;
        State state;
        std::uint64_t debt_before;
        std::uint64_t room;  // what is left of the bucket
        std::int64_t retry_after_ns;
        std::int64_t reset_after_ns;
    };
    /// Kept out of the way of rates that count in nanoseconds, as most do; by value, so that theirs stay in registers.
    [[gnu::noinline]] Outcome any_outcome(State state, std::int64_t now, std::uint64_t cost) const noexcept {
        return outcome_on(AnyTicks{ticks_}, state, now, cost);
    }

    /// Little depends on the state: a processor that waits for it from memory can hold only so much that does, and goes
    /// on to the next request while it holds.
    template <class Grid>
    [[gnu::always_inline]] Outcome outcome_on(const Grid& grid, State state, std::int64_t now,
                                              std::uint64_t cost) const noexcept {
        using Wide = typename Grid::Wide;
        const Wide tick = grid.at(now);
        const Wide last = tick + static_cast<Wide>(full_);  // when a bucket used up now is full
        Wide full = state.full_at_ns <= now ? tick : Wide{grid.at(state.full_at_ns)};
        std::uint64_t price = 0;
        const bool overflows = __builtin_mul_overflow(cost, per_unit_.value(), &price);
        // One unit always does, which spares the usual request the comparisons.
        const bool fits_ever = cost == 1 || (!overflows && price <= full_);
        if (fits_ever && static_cast<Wide>(price) <= last - full) {
            const auto debt_before = static_cast<std::uint64_t>(full - tick);
            full += static_cast<Wide>(price);
            if (cost != 0) state.full_at_ns = grid.start_of(full);
            return {true, state, debt_before, static_cast<std::uint64_t>(last - full), 0, grid.until(now, full)};
        }
        if (full > last) [[unlikely]] {  // the clock went back: used up at most, and from now on
            full = last;
            if (cost != 0) state.full_at_ns = grid.start_of(full);
        }
        return {cost == 0,
                state,
                static_cast<std::uint64_t>(full - tick),
                static_cast<std::uint64_t>(last - full),
                cost == 0   ? 0
                : fits_ever ? grid.until(now, full - static_cast<Wide>(full_ - price))
                            : Decision::never.count(),
                grid.until(now, full)};
    }

    /// Ticks from now until the bucket is full.
    constexpr std::uint64_t debt_at(const State& state, std::int64_t now, std::int64_t tick) const noexcept {
        if (state.full_at_ns <= now) return 0;
        return static_cast<std::uint64_t>(ticks_.at(state.full_at_ns)) - static_cast<std::uint64_t>(tick);
    }

    constexpr void set_full() noexcept {
        full_ = capacity_ * per_unit_.value();
        plain_until_ = ticks_.are_nanoseconds() ? static_cast<std::uint64_t>(int64_max) - full_ : 0;
    }

    Rate rate_;
    std::uint64_t capacity_;
    Ticks ticks_;
    Divisor per_unit_;               // ticks that one unit takes
    std::uint64_t full_ = 0;         // ticks that all units take: below 2^62
    std::uint64_t plain_until_ = 0;  // from the epoch: the times at which sums of nanoseconds cannot overflow
    std::int64_t fill_ns_ = 0;
};

}  // namespace sluice::detail

#endif
