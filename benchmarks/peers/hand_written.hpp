// SPDX-License-Identifier: MIT
#ifndef SLUICE_BENCHMARKS_PEERS_HAND_WRITTEN_HPP
#define SLUICE_BENCHMARKS_PEERS_HAND_WRITTEN_HPP

#include <array>
#include <cstddef>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "peers/bucket.hpp"

namespace peers {

/// The standard library's map in 64 shards with a mutex each; known keys are found without making a string.
class HandWritten {
public:
    explicit HandWritten(const Limit& limit) : limit_(limit) {}

    Decision try_consume(std::string_view key) {
        const auto now = Clock::now();
        Shard& shard = shards_[std::hash<std::string_view>{}(key) % shards_.size()];
        const std::lock_guard lock{shard.mutex};
        auto found = shard.buckets.find(key);
        if (found == shard.buckets.end())
            found = shard.buckets.try_emplace(std::string{key}, Bucket{limit_.capacity, now}).first;
        return take_one(found->second, limit_, now);
    }

private:
    struct Hash {
        using is_transparent = void;
        // Not noexcept: libstdc++ keeps the hashes of keys only where hashing them anew might throw.
        std::size_t operator()(std::string_view key) const { return std::hash<std::string_view>{}(key); }
    };
    struct alignas(64) Shard {
        std::mutex mutex;
        std::unordered_map<std::string, Bucket, Hash, std::equal_to<>> buckets;
    };

    Limit limit_;
    std::array<Shard, 64> shards_;
};

}  // namespace peers

#endif
