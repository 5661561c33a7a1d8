// SPDX-License-Identifier: MIT
// expect: sluice: this policy cannot be leased
#include <chrono>

#include <sluice/layers/lease.hpp>
#include <sluice/sluice.hpp>

#ifdef WRONG
using Policy = sluice::SlidingWindow;
#else
using Policy = sluice::SlidingWindowCounter;
#endif

sluice::Decision decide(const sluice::RateLimiter<Policy, sluice::Lease<sluice::MemoryStore<Policy>>>& limiter) {
    return limiter.try_consume("key");
}
