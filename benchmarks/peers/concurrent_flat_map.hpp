// SPDX-License-Identifier: MIT
#ifndef SLUICE_BENCHMARKS_PEERS_CONCURRENT_FLAT_MAP_HPP
#define SLUICE_BENCHMARKS_PEERS_CONCURRENT_FLAT_MAP_HPP

// Part of Boost since 1.83.
#if __has_include(<boost/unordered/concurrent_flat_map.hpp>)

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

#include <boost/unordered/concurrent_flat_map.hpp>

#include "peers/bucket.hpp"

namespace peers {

/// boost::concurrent_flat_map, which visits a value under its own lock.
class ConcurrentFlatMap {
public:
    explicit ConcurrentFlatMap(const Limit& limit) : limit_(limit) {}

    Decision try_consume(std::string_view key) {
        const auto now = Clock::now();
        Decision decision{};
        const auto take = [&](auto& found) { decision = take_one(found.second, limit_, now); };
        if (buckets_.visit(key, take) == 0) {
            // Whoever came first has put in a full bucket: visit it either way.
            buckets_.try_emplace(std::string{key}, Bucket{limit_.capacity, now});
            buckets_.visit(key, take);
        }
        return decision;
    }

private:
    struct Hash {
        using is_transparent = void;
        std::size_t operator()(std::string_view key) const { return boost::hash<std::string_view>{}(key); }
    };

    Limit limit_;
    boost::concurrent_flat_map<std::string, Bucket, Hash, std::equal_to<>> buckets_;
};

}  // namespace peers

#endif
#endif
