// SPDX-License-Identifier: MIT
#include <sluice/sluice.hpp>

int main() {
    sluice::RateLimiter limiter{sluice::TokenBucket{1, sluice::per_hour(1)}};
    return limiter.try_consume("key") && !limiter.try_consume("key") ? 0 : 1;
}
