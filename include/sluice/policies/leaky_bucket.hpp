// SPDX-License-Identifier: MIT
#ifndef SLUICE_POLICIES_LEAKY_BUCKET_HPP
#define SLUICE_POLICIES_LEAKY_BUCKET_HPP

#include <chrono>
#include <cstdint>
#include <string_view>

#include <sluice/policies/detail/bucket.hpp>
#include <sluice/policies/detail/share.hpp>
#include <sluice/policy.hpp>

namespace sluice {

/// Shapes traffic: a queue of `queue` units that drains at `drain`. A request that fits is allowed, and
/// Decision::delay says how long to hold it so that requests leave evenly; one that would overflow is denied.
///
///     LeakyBucket{20, per_second(5)}     // serve one every 200 ms, let at most twenty wait
///
/// Decides as TokenBucket{queue, drain} (the same arithmetic, ranges and exactness); `delay` is the time that the
/// units before this request take to drain, rounded up. Nothing blocks: holding the request is the caller's part.
class LeakyBucket {
public:
    using State = detail::BucketState;
    static constexpr std::string_view kind = "leaky_bucket";

    template <detail::Integer I>
    constexpr LeakyBucket(I queue, const Rate& drain) : bucket_("queue", queue, drain) {}

    constexpr std::uint64_t queue() const noexcept { return bucket_.capacity(); }
    constexpr const Rate& drain() const noexcept { return bucket_.rate(); }
    constexpr Quota quota() const noexcept { return bucket_.quota(); }
    constexpr auto parameters() const noexcept { return bucket_.parameters(); }

    /// The same policy, counting time on a coarser grid, for stores that keep time so.
    constexpr LeakyBucket at_resolution(std::chrono::nanoseconds resolution) const noexcept {
        LeakyBucket coarser = *this;
        coarser.bucket_ = bucket_.at_resolution(resolution);
        return coarser;
    }

    [[gnu::always_inline]] Decision step(State& state, std::chrono::nanoseconds now,
                                         std::uint64_t cost) const noexcept {
        std::uint64_t debt_before = 0;
        Decision decision = bucket_.step(state, now.count(), cost, debt_before);
        if (decision.allowed) decision.delay = bucket_.duration_of(debt_before);
        return decision;
    }
    /// A queue that is ahead is left to step().
    [[gnu::always_inline]] Decision step_word(std::uint64_t& word, std::chrono::nanoseconds now,
                                              std::uint64_t cost) const noexcept {
        State state = unpack(word);
        std::uint64_t debt_before = 0;
        Decision decision = bucket_.step<detail::Bucket::Ahead::leave>(state, now.count(), cost, debt_before);
        if (decision.allowed) decision.delay = bucket_.duration_of(debt_before);
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

    constexpr std::chrono::nanoseconds expires_at(const State& state) const noexcept {
        return detail::Bucket::expires_at(state);
    }
    static constexpr bool fits_word() noexcept { return true; }
    static constexpr std::uint64_t pack(const State& state) noexcept { return detail::Bucket::pack(state); }
    static constexpr State unpack(std::uint64_t word) noexcept { return detail::Bucket::unpack(word); }
    static constexpr std::chrono::nanoseconds word_expires_at(std::uint64_t word) noexcept {
        return detail::Bucket::expires_at(unpack(word));
    }

private:
    detail::Bucket bucket_;
};

inline LeakyBucket share_of(const LeakyBucket& policy, std::uint32_t instances) noexcept {
    return {detail::share_of_limit(policy.queue(), instances), share_of(policy.drain(), instances)};
}

}  // namespace sluice

#endif
