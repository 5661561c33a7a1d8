// SPDX-License-Identifier: MIT
//
// What happens when a store fails: without a second one the failure mode answers, with one the limit goes on. Nothing
// listens where this Redis should be.
#include <iostream>

#include <sluice/layers/fallback.hpp>
#include <sluice/layers/share.hpp>
#include <sluice/redis.hpp>
#include <sluice/sluice.hpp>

int main() {
    const sluice::RedisStore redis{"redis://127.0.0.1:1"};
    const sluice::TokenBucket policy{4, sluice::per_second(1)};

    const sluice::RateLimiter open{policy, redis};
    const sluice::RateLimiter closed{policy, redis, {.on_failure = sluice::FailureMode::deny}};
    // Two instances: when Redis fails, each enforces half of the limit in its own memory.
    const sluice::RateLimiter safe{
        policy, sluice::Fallback{redis, sluice::Share{sluice::MemoryStore<sluice::TokenBucket>{}, 2}}};

    std::cout << "allow:    " << open.try_consume("key") << '\n';
    std::cout << "deny:     " << closed.try_consume("key") << '\n';
    for (int request = 0; request != 3; ++request) std::cout << "fallback: " << safe.try_consume("key") << '\n';
}
