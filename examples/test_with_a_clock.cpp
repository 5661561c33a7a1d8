// SPDX-License-Identifier: MIT
//
// A test that does not wait: the clock is the test's.
#include <chrono>
#include <iostream>

#include <sluice/sluice.hpp>

int main() {
    using namespace std::chrono_literals;
    const sluice::ManualClock clock;  // copies share one time
    const sluice::MemoryStore<sluice::TokenBucket, sluice::ManualClock> store{{}, clock};
    const sluice::RateLimiter limiter{sluice::TokenBucket{1, sluice::Rate{1, 3s}}, store};

    bool ok = limiter.try_consume("key").allowed;
    const sluice::Decision denied = limiter.try_consume("key");
    ok = ok && !denied && denied.retry_after == 3s;

    clock.advance(denied.retry_after - 1ns);
    ok = ok && !limiter.try_consume("key");  // a nanosecond too early
    clock.advance(1ns);
    ok = ok && limiter.try_consume("key");  // exactly when it was announced

    std::cout << (ok ? "as announced, to the nanosecond\n" : "wrong\n");
    return ok ? 0 : 1;
}
