// SPDX-License-Identifier: MIT
#ifndef SLUICE_BENCHMARKS_PEERS_CONCURRENT_HASH_MAP_HPP
#define SLUICE_BENCHMARKS_PEERS_CONCURRENT_HASH_MAP_HPP

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

#include <oneapi/tbb/concurrent_hash_map.h>

#include "peers/bucket.hpp"

namespace peers {

/// oneTBB's concurrent_hash_map, whose accessor locks one key.
class ConcurrentHashMap {
public:
    explicit ConcurrentHashMap(const Limit& limit) : limit_(limit) {}

    Decision try_consume(std::string_view key) {
        const auto now = Clock::now();
        Map::accessor found;
        if (!buckets_.find(found, key)) buckets_.emplace(found, std::string{key}, Bucket{limit_.capacity, now});
        return take_one(found->second, limit_, now);
    }

private:
    struct HashCompare {
        using is_transparent = void;
        std::size_t hash(std::string_view key) const { return std::hash<std::string_view>{}(key); }
        bool equal(std::string_view a, std::string_view b) const { return a == b; }
    };
    using Map = oneapi::tbb::concurrent_hash_map<std::string, Bucket, HashCompare>;

    Limit limit_;
    Map buckets_;
};

}  // namespace peers

#endif
