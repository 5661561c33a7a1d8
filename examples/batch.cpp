// SPDX-License-Identifier: MIT
//
// Many keys at once: one pass in memory, one round trip to a server.
#include <cstddef>
#include <iostream>
#include <string>
#include <vector>

#include <sluice/sluice.hpp>

int main() {
    const sluice::RateLimiter limiter{sluice::TokenBucket{2, sluice::per_second(1)}};

    const std::vector<std::string> keys{"a", "b", "a", "a", "b"};  // a key that occurs twice is decided twice, in order
    std::vector<sluice::Decision> decisions(keys.size());
    limiter.try_consume_many(keys, decisions);

    for (std::size_t i = 0; i != keys.size(); ++i) std::cout << keys[i] << ": " << decisions[i] << '\n';
}
