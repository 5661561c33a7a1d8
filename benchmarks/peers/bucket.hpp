// SPDX-License-Identifier: MIT
#ifndef SLUICE_BENCHMARKS_PEERS_BUCKET_HPP
#define SLUICE_BENCHMARKS_PEERS_BUCKET_HPP

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <string_view>

// What the peers share: a token bucket as one writes it by hand, in doubles and with steady_clock.
namespace peers {

using Clock = std::chrono::steady_clock;

struct Limit {
    double capacity;
    double per_second;
};

struct Decision {
    bool allowed;
    std::uint64_t limit;
    std::uint64_t remaining;
    std::chrono::nanoseconds retry_after;
    std::chrono::nanoseconds reset_after;
};

struct Bucket {
    double tokens;
    Clock::time_point last;
};

inline std::chrono::nanoseconds time_for(double tokens, const Limit& limit) {
    return std::chrono::nanoseconds{static_cast<std::int64_t>(std::ceil(tokens / limit.per_second * 1e9))};
}

inline Decision take_one(Bucket& bucket, const Limit& limit, Clock::time_point now) {
    if (now > bucket.last) {  // another thread may have read the clock later and come first
        const std::chrono::duration<double> passed = now - bucket.last;
        bucket.tokens = std::min(limit.capacity, bucket.tokens + passed.count() * limit.per_second);
        bucket.last = now;
    }
    Decision decision{};
    decision.limit = static_cast<std::uint64_t>(limit.capacity);
    decision.allowed = bucket.tokens >= 1;
    if (decision.allowed) {
        bucket.tokens -= 1;
    } else {
        decision.retry_after = time_for(1 - bucket.tokens, limit);
    }
    decision.remaining = static_cast<std::uint64_t>(bucket.tokens);
    decision.reset_after = time_for(limit.capacity - bucket.tokens, limit);
    return decision;
}

}  // namespace peers

#endif
