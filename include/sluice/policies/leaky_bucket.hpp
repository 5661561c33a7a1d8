// SPDX-License-Identifier: MIT
#ifndef SLUICE_POLICIES_LEAKY_BUCKET_HPP
#define SLUICE_POLICIES_LEAKY_BUCKET_HPP

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include <sluice/detail/algorithm.hpp>
#include <sluice/policies/detail/bucket.hpp>
#include <sluice/policies/detail/share.hpp>
#include <sluice/policy.hpp>

namespace sluice {

/// Shapes traffic: a queue of `queue` units that drains at `drain`. A request that fits is allowed, and
/// Decision::delay says how long to hold it so that requests leave evenly; one that would overflow is denied.
///
///     LeakyBucket{20, per_second(5)}       // serve one every 200 ms, let at most twenty wait
///     LeakyBucket{20, per_second(5), 5}    // the same, but five of an idle key leave at once
///
/// Decides as TokenBucket{queue, drain} (the same arithmetic, ranges and exactness); `delay` is the time that the units
/// before this request, less burst - 1 of them, take to drain, rounded up. With burst = queue nothing is ever delayed. As
/// nginx has it: limit_req burst = queue - 1, delay = burst - 1. Nothing blocks: holding the request is the caller's part,
/// or RateLimiter::acquire's. Burst 1 .. queue, 1 by default.
class LeakyBucket {
public:
    using State = detail::BucketState;
    static constexpr std::string_view kind = "leaky_bucket";
    static constexpr bool is_queue = true;  ///< see QueuePolicy

    /// Three numbers or four.
    struct Parameters {
        std::array<std::uint64_t, 4> numbers;
        std::size_t count;
        constexpr const std::uint64_t* begin() const noexcept { return numbers.data(); }
        constexpr const std::uint64_t* end() const noexcept { return numbers.data() + count; }
    };

    template <detail::Integer I, detail::Integer J = int>
    constexpr LeakyBucket(I queue, const Rate& drain, J burst = 1)
        : bucket_("queue", queue, drain), burst_(detail::checked_units("burst", burst, bucket_.capacity())),
          undelayed_(bucket_.ticks_of(burst_ - 1)) {}

    constexpr std::uint64_t queue() const noexcept { return bucket_.capacity(); }
    constexpr const Rate& drain() const noexcept { return bucket_.rate(); }
    constexpr Quota quota() const noexcept { return bucket_.quota(); }
    constexpr std::uint64_t burst() const noexcept { return burst_; }  ///< units of an idle key that leave at once
    /// `burst` is the last, and only where it is not 1, so that states from before there was one keep their identity.
    constexpr Parameters parameters() const noexcept {
        const auto [queue, count, period] = bucket_.parameters();
        return {{queue, count, period, burst_}, burst_ == 1 ? std::size_t{3} : std::size_t{4}};
    }

    /// The same policy, counting time on a coarser grid, for stores that keep time so.
    constexpr LeakyBucket at_resolution(std::chrono::nanoseconds resolution) const noexcept {
        LeakyBucket coarser = *this;
        coarser.bucket_ = bucket_.at_resolution(resolution);
        coarser.undelayed_ = coarser.bucket_.ticks_of(burst_ - 1);
        return coarser;
    }

    [[gnu::always_inline]] Decision step(State& state, std::chrono::nanoseconds now,
                                         std::uint64_t cost) const noexcept {
        std::uint64_t debt_before = 0;
        Decision decision = bucket_.step(state, now.count(), cost, debt_before);
        if (decision.allowed) decision.delay = delay_of(debt_before);
        return decision;
    }
    /// A queue that is ahead is left to step().
    [[gnu::always_inline]] Decision step_word(std::uint64_t& word, std::chrono::nanoseconds now,
                                              std::uint64_t cost) const noexcept {
        State state = unpack(word);
        std::uint64_t debt_before = 0;
        Decision decision = bucket_.step<detail::Bucket::Ahead::leave>(state, now.count(), cost, debt_before);
        if (decision.allowed) decision.delay = delay_of(debt_before);
        word = pack(state);
        return decision;
    }

    /// Whether the queue is empty later than a request at `now` could make it.
    constexpr bool is_ahead(const State& state, std::chrono::nanoseconds now) const noexcept {
        return bucket_.is_ahead(state, now.count());
    }
    constexpr void refund(State& state, std::chrono::nanoseconds now, std::uint64_t units) const noexcept {
        bucket_.refund(state, now.count(), units);
    }
    /// Up to the whole queue: those behind the units that go are not told, and wait no shorter.
    constexpr void give_back(State& state, std::chrono::nanoseconds now, std::chrono::nanoseconds,
                             std::uint64_t units) const noexcept {
        bucket_.refund(state, now.count(), units);
    }
    constexpr std::chrono::nanoseconds wait_for_delay(const State& state, std::chrono::nanoseconds now,
                                                      std::chrono::nanoseconds max_delay) const noexcept {
        return bucket_.wait_for_debt(state, now.count(), undelayed_ + bucket_.ticks_in(max_delay));
    }

    constexpr std::chrono::nanoseconds expires_at(const State& state) const noexcept {
        return detail::Bucket::expires_at(state);
    }
    static constexpr std::array<std::int64_t, 1> encode(const State& state) noexcept { return {state.full_at_ns}; }
    static constexpr State decode(const std::array<std::int64_t, 1>& integers) noexcept { return {integers[0]}; }
    static constexpr bool fits_word() noexcept { return true; }
    static constexpr std::uint64_t pack(const State& state) noexcept { return detail::Bucket::pack(state); }
    static constexpr State unpack(std::uint64_t word) noexcept { return detail::Bucket::unpack(word); }
    static constexpr std::chrono::nanoseconds word_expires_at(std::uint64_t word) noexcept {
        return detail::Bucket::expires_at(unpack(word));
    }

private:
    /// Of a request that found so many ticks until the queue is empty.
    [[gnu::always_inline]] constexpr std::chrono::nanoseconds delay_of(std::uint64_t debt_before) const noexcept {
        return bucket_.duration_of(debt_before - std::min(debt_before, undelayed_));
    }

    detail::Bucket bucket_;
    std::uint64_t burst_;
    std::uint64_t undelayed_;  // ticks of the queue that do not delay
};

inline LeakyBucket share_of(const LeakyBucket& policy, std::uint32_t instances) noexcept {
    return {detail::share_of_limit(policy.queue(), instances), share_of(policy.drain(), instances),
            detail::share_of_limit(policy.burst(), instances)};
}

}  // namespace sluice

#endif
