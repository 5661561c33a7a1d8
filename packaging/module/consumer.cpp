// SPDX-License-Identifier: MIT
#include <chrono>  // of the standard library, what the program's own code needs and this

import sluice;

int main() {
    const sluice::RateLimiter limiter{sluice::TokenBucket{1, sluice::per_hour(1)}};
    const bool first = limiter.try_consume("key").allowed;
    const bool second = limiter.try_consume("key").allowed;
    return first && !second ? 0 : 1;
}
