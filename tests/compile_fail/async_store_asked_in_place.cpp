// SPDX-License-Identifier: MIT
// expect: sluice: this limiter's store answers event loops and does not wait
#include <sluice/sluice.hpp>

struct AsyncStore {
    template <sluice::Policy P, sluice::Completion F>
    void decide_async(const sluice::Request<P>&, F) const noexcept {}
};

void ask(const sluice::RateLimiter<sluice::TokenBucket, AsyncStore>& limiter) {
#ifdef WRONG
    static_cast<void>(limiter.try_consume("key"));
#else
    limiter.async_try_consume("key", 1, [](sluice::Decision) {});
#endif
}
