// SPDX-License-Identifier: MIT
// expect: sluice: this range makes each key anew
#include <ranges>
#include <string>
#include <vector>

#include <sluice/sluice.hpp>

void charge(const sluice::MemoryLimiter<sluice::TokenBucket>& limiter, const std::vector<int>& users) {
    std::vector<sluice::Decision> decisions(users.size());
    const auto key_of = [](int user) { return "user:" + std::to_string(user); };
#ifdef WRONG
    limiter.try_consume_many(users | std::views::transform(key_of), decisions);
#else
    std::vector<std::string> keys;
    for (const int user : users) keys.push_back(key_of(user));
    limiter.try_consume_many(keys, decisions);
#endif
}
