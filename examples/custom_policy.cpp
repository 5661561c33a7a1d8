// SPDX-License-Identifier: MIT
//
// A policy of one's own (cooldown.hpp), in memory, with a clock that stands still unless it is moved.
#include <chrono>
#include <iostream>

#include <sluice/sluice.hpp>

#include "cooldown.hpp"

using namespace std::chrono_literals;

int main() {
    const sluice::ManualClock clock;
    const sluice::MemoryStore<Cooldown, sluice::ManualClock> store{{}, clock};
    sluice::RateLimiter limiter{Cooldown{30s}, store};

    for (const auto pause : {0s, 10s, 20s}) {
        clock.advance(pause);
        const auto decision = limiter.try_consume("password reset for user:42");
        std::cout << (decision ? "allowed" : "denied") << ", the next in "
                  << std::chrono::duration_cast<std::chrono::seconds>(decision.reset_after).count() << " s\n";
    }
}
