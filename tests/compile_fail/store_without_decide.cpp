// SPDX-License-Identifier: MIT
// expect: sluice: the second argument is no store that can run this policy
#include <sluice/sluice.hpp>

struct Store {
    template <sluice::Policy P>
#ifdef WRONG
    sluice::Decision decide(const sluice::Request<P>&) const;  // may throw
#else
    sluice::Decision decide(const sluice::Request<P>&) const noexcept;
#endif
};

using Limiter = sluice::RateLimiter<sluice::TokenBucket, Store>;
static_assert(sizeof(Limiter) > 0);
