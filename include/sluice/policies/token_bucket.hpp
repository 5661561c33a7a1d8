// SPDX-License-Identifier: MIT
#ifndef SLUICE_POLICIES_TOKEN_BUCKET_HPP
#define SLUICE_POLICIES_TOKEN_BUCKET_HPP

#include <array>
#include <chrono>
#include <cstdint>
#include <string_view>

#include <sluice/policies/detail/bucket.hpp>
#include <sluice/policies/detail/share.hpp>
#include <sluice/policy.hpp>

namespace sluice {

/// Allows bursts of `capacity` units and `refill` units over time: a key starts with `capacity` tokens, a request of
/// cost n takes n of them, and they come back continuously. The usual choice.
///
///     TokenBucket{10, per_second(1)}     // ten at once, then one a second
///
/// Over any time t at most capacity + refill * t is admitted, exactly (integer arithmetic on a grid of at most two
/// nanoseconds; fractional rates such as 3 per second do not drift). Capacity 1 .. 2^53-1, filled within 100 years,
/// else std::invalid_argument. State: 8 bytes. A reading of the clock that comes late is denied where the bucket is used up
/// by then; where the clock was set back by more than 5 s, the key is used up at most.
class TokenBucket {
public:
    using State = detail::BucketState;
    static constexpr std::string_view kind = "token_bucket";

    template <detail::Integer I>
    constexpr TokenBucket(I capacity, const Rate& refill) : bucket_("capacity", capacity, refill) {}

    constexpr std::uint64_t capacity() const noexcept { return bucket_.capacity(); }
    constexpr const Rate& refill() const noexcept { return bucket_.rate(); }
    constexpr Quota quota() const noexcept { return bucket_.quota(); }
    constexpr auto parameters() const noexcept { return bucket_.parameters(); }

    /// The same policy, counting time on a coarser grid, for stores that keep time so.
    constexpr TokenBucket at_resolution(std::chrono::nanoseconds resolution) const noexcept {
        TokenBucket coarser = *this;
        coarser.bucket_ = bucket_.at_resolution(resolution);
        return coarser;
    }

    [[gnu::always_inline]] Decision step(State& state, std::chrono::nanoseconds now,
                                         std::uint64_t cost) const noexcept {
        std::uint64_t debt_before = 0;
        return bucket_.step(state, now.count(), cost, debt_before);
    }
    /// A bucket that is ahead is left to step().
    [[gnu::always_inline]] Decision step_word(std::uint64_t& word, std::chrono::nanoseconds now,
                                              std::uint64_t cost) const noexcept {
        State state = unpack(word);
        std::uint64_t debt_before = 0;
        const Decision decision = bucket_.step<detail::Bucket::Ahead::leave>(state, now.count(), cost, debt_before);
        word = pack(state);
        return decision;
    }

    /// Whether the bucket is full later than a request at `now` could make it.
    constexpr bool is_ahead(const State& state, std::chrono::nanoseconds now) const noexcept {
        return bucket_.is_ahead(state, now.count());
    }
    constexpr void refund(State& state, std::chrono::nanoseconds now, std::uint64_t units) const noexcept {
        bucket_.refund(state, now.count(), units);
    }
    /// Up to the capacity, whenever they were taken: a bucket has filled up meanwhile as if they were not there.
    constexpr void give_back(State& state, std::chrono::nanoseconds now, std::chrono::nanoseconds,
                             std::uint64_t units) const noexcept {
        bucket_.refund(state, now.count(), units);
    }

    /// Never: tokens that were taken may be spent at any time.
    static constexpr std::chrono::nanoseconds lease_end(std::chrono::nanoseconds) noexcept {
        return std::chrono::nanoseconds::max();
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
    detail::Bucket bucket_;
};

inline TokenBucket share_of(const TokenBucket& policy, std::uint32_t instances) noexcept {
    return {detail::share_of_limit(policy.capacity(), instances), share_of(policy.refill(), instances)};
}

}  // namespace sluice

#endif
