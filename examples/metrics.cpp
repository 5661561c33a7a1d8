// SPDX-License-Identifier: MIT
//
// Counters to watch, in Prometheus' text format.
#include <iostream>
#include <string>

#include <sluice/metrics/registry.hpp>
#include <sluice/sluice.hpp>

int main() {
    sluice::metrics::Registry registry;
    const sluice::RateLimiter limiter{sluice::TokenBucket{2, sluice::per_second(1)},
                                      {.name = "api", .observer = registry.limiter("api")}};
    registry.add_store("memory", limiter.store());

    for (int request = 0; request != 5; ++request)
        static_cast<void>(limiter.try_consume("user:" + std::to_string(request % 2)));
    std::cout << registry.prometheus();
}
