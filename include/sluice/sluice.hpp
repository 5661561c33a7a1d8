// SPDX-License-Identifier: MIT
#ifndef SLUICE_SLUICE_HPP
#define SLUICE_SLUICE_HPP

#include <sluice/detail/cpp20.hpp>

#include <sluice/any_limiter.hpp>
#include <sluice/async_calls.hpp>
#include <sluice/charge.hpp>
#include <sluice/clock.hpp>
#include <sluice/completion.hpp>
#include <sluice/decision.hpp>
#include <sluice/error.hpp>
#include <sluice/memory/memory_store.hpp>
#include <sluice/observer.hpp>
#include <sluice/policies/all_of.hpp>
#include <sluice/policies/fixed_window.hpp>
#include <sluice/policies/leaky_bucket.hpp>
#include <sluice/policies/sliding_window.hpp>
#include <sluice/policies/sliding_window_counter.hpp>
#include <sluice/policies/token_bucket.hpp>
#include <sluice/policy.hpp>
#include <sluice/rate.hpp>
#include <sluice/rate_limiter.hpp>
#include <sluice/reservation.hpp>
#include <sluice/store.hpp>
#include <sluice/units.hpp>
#include <sluice/version.hpp>
#include <sluice/waiting.hpp>

namespace sluice {

// Here, where both are known: the default store is memory.
template <Policy P>
RateLimiter(P) -> RateLimiter<P, MemoryStore<P>>;
template <Policy P>
RateLimiter(P, LimiterOptions) -> RateLimiter<P, MemoryStore<P>>;

/// The type of a limiter in memory, for members and parameters: struct Service { MemoryLimiter<TokenBucket> limiter; };
template <Policy P, Clock C = DefaultClock>
using MemoryLimiter = RateLimiter<P, MemoryStore<P, C>>;

}  // namespace sluice

#endif
