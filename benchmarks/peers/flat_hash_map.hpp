// SPDX-License-Identifier: MIT
#ifndef SLUICE_BENCHMARKS_PEERS_FLAT_HASH_MAP_HPP
#define SLUICE_BENCHMARKS_PEERS_FLAT_HASH_MAP_HPP

#include <array>
#include <cstddef>
#include <mutex>
#include <string>
#include <string_view>

#include <absl/container/flat_hash_map.h>

#include "peers/bucket.hpp"

namespace peers {

/// absl::flat_hash_map in 64 shards with a mutex each.
class FlatHashMap {
public:
    explicit FlatHashMap(const Limit& limit) : limit_(limit) {}

    Decision try_consume(std::string_view key) {
        const auto now = Clock::now();
        const absl::string_view text{key.data(), key.size()};  // not the standard one in every build of Abseil
        const std::size_t hash = Map::hasher{}(text);
        Shard& shard = shards_[hash >> (sizeof hash * 8 - 6)];  // the map itself uses the low bits
        const std::lock_guard lock{shard.mutex};
        auto found = shard.buckets.find(text, hash);
        if (found == shard.buckets.end()) found = shard.buckets.try_emplace(text, Bucket{limit_.capacity, now}).first;
        return take_one(found->second, limit_, now);
    }

private:
    using Map = absl::flat_hash_map<std::string, Bucket>;
    struct alignas(64) Shard {
        std::mutex mutex;
        Map buckets;
    };

    Limit limit_;
    std::array<Shard, 64> shards_;
};

}  // namespace peers

#endif
