// SPDX-License-Identifier: MIT
//
// A policy of one's own (cooldown.hpp) in Redis, shared by all processes:  custom_policy_redis URL
// Redis does not know the policy: its state is read, stepped here, and put back if nobody else was faster.
#include <chrono>
#include <iostream>

#include <sluice/redis.hpp>
#include <sluice/sluice.hpp>

#include "cooldown.hpp"

using namespace std::chrono_literals;

int main(int argc, char* argv[]) {
    if (argc != 2) {
        std::cerr << "Usage: custom_policy_redis URL\n";
        return 2;
    }
    const sluice::RedisStore redis{argv[1]};
    const sluice::RateLimiter limiter{Cooldown{30s}, redis, {.name = "password reset"}};

    const auto first = limiter.try_consume("user:42");
    const auto second = limiter.try_consume("user:42");
    if (first.error || second.error) {
        std::cerr << (first.error ? first.error : second.error).message() << '\n';
        return 1;
    }
    std::cout << "first: " << first << "\nsecond: " << second << '\n';
    return first.allowed && !second.allowed ? 0 : 1;
}
