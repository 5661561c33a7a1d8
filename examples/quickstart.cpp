// SPDX-License-Identifier: MIT
#include <chrono>
#include <iostream>
#include <sluice/sluice.hpp>

int main() {
    sluice::RateLimiter limiter{sluice::TokenBucket{3, sluice::per_second(1)}};  // 3 at once, then 1 per second

    for (int request = 1; request <= 5; ++request) {
        if (const sluice::Decision decision = limiter.try_consume("user:42")) {
            std::cout << "request " << request << ": allowed, " << decision.remaining << " left\n";
        } else {
            const auto wait = std::chrono::ceil<std::chrono::milliseconds>(decision.retry_after);
            std::cout << "request " << request << ": denied, again in " << wait.count() << " ms\n";
        }
    }
}
