// SPDX-License-Identifier: MIT
//
// Tiers: who pays more may do more. A tier is another policy of the limiter's type, passed with the call.
#include <iostream>
#include <string>

#include <sluice/sluice.hpp>

int main() {
    const sluice::TokenBucket free_plan{2, sluice::per_minute(2)};
    const sluice::TokenBucket gold_plan{5, sluice::per_second(5)};
    const sluice::RateLimiter api{free_plan, {.name = "api"}};

    const auto requests_that_pass = [&](const std::string& user, const sluice::TokenBucket& plan) {
        int passed = 0;
        for (int request = 0; request != 10; ++request) passed += api.try_consume(user, 1, plan) ? 1 : 0;
        return passed;
    };
    std::cout << "free: " << requests_that_pass("user:42", free_plan) << " of 10\n";
    std::cout << "gold: " << requests_that_pass("user:7", gold_plan) << " of 10\n";
    std::cout << "user 42 upgrades, and starts with a full bucket: " << requests_that_pass("user:42", gold_plan)
              << " of 10\n";
}
