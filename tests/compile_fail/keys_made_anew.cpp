// SPDX-License-Identifier: MIT
// expect: sluice: this range makes each key anew
#include <cstddef>
#include <iterator>
#include <string>
#include <vector>

#include <sluice/sluice.hpp>

/// The keys of users, each made when it is looked at.
struct UserKeys {
    struct Iterator {
        using iterator_concept = std::forward_iterator_tag;
        using difference_type = std::ptrdiff_t;
        using value_type = std::string;
        int user = 0;
        std::string operator*() const { return "user:" + std::to_string(user); }
        Iterator& operator++() {
            ++user;
            return *this;
        }
        Iterator operator++(int) { return {user++}; }
        bool operator==(const Iterator&) const = default;
    };
    int users = 0;
    Iterator begin() const { return {0}; }
    Iterator end() const { return {users}; }
    std::size_t size() const { return static_cast<std::size_t>(users); }
};

void charge(const sluice::MemoryLimiter<sluice::TokenBucket>& limiter, const UserKeys& keys) {
    std::vector<sluice::Decision> decisions(keys.size());
#ifdef WRONG
    limiter.try_consume_many(keys, decisions);
#else
    std::vector<std::string> kept;
    for (const std::string& key : keys) kept.push_back(key);
    limiter.try_consume_many(kept, decisions);
#endif
}
