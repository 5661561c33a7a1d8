// SPDX-License-Identifier: MIT
//
// Limiters that are chosen at run time, of different policies, in one container.
#include <chrono>
#include <iostream>
#include <map>
#include <string>

#include <sluice/sluice.hpp>

int main() {
    using namespace std::chrono_literals;
    std::map<std::string, sluice::AnyLimiter> by_route;
    by_route.emplace("/login", sluice::RateLimiter{sluice::SlidingWindow{2, 15min}, {.name = "login"}});
    by_route.emplace("/api", sluice::RateLimiter{sluice::TokenBucket{3, sluice::per_second(1)}, {.name = "api"}});

    for (const auto& [route, limiter] : by_route) {
        const sluice::Quota quota = limiter.quota();
        std::cout << route << ", " << quota.limit << " in "
                  << std::chrono::duration_cast<std::chrono::seconds>(quota.window).count() << " s:\n";
        for (int request = 0; request != 4; ++request) std::cout << "    " << limiter.try_consume("192.0.2.1") << '\n';
    }
}
