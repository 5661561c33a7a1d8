// SPDX-License-Identifier: MIT
#ifndef SLUICE_DETAIL_SHARDED_COUNTERS_HPP
#define SLUICE_DETAIL_SHARDED_COUNTERS_HPP

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include <sluice/detail/cpp20.hpp>

namespace sluice::detail {

/// N counters that many threads may increase at once without waiting for each other's cache lines: each thread adds
/// to one of 16 copies, and a reader sums them. Adding is one relaxed atomic addition. A sum read while others add
/// misses at most what they add meanwhile, and never falls.
template <std::size_t N>
class ShardedCounters {
public:
    void add(std::size_t counter, std::uint64_t amount = 1) noexcept {
        shards_[own_shard()].values[counter].fetch_add(amount, std::memory_order_relaxed);
    }

    std::uint64_t sum(std::size_t counter) const noexcept {
        std::uint64_t total = 0;
        for (const auto& shard : shards_) total += shard.values[counter].load(std::memory_order_relaxed);
        return total;
    }

private:
    // Two lines: processors fetch them in pairs.
    struct alignas(128) Shard {
        std::array<std::atomic<std::uint64_t>, N> values{};
    };
    static constexpr std::size_t shard_count = 16;

    static std::size_t own_shard() noexcept {
        static std::atomic<std::size_t> threads{0};
        thread_local const std::size_t own = threads.fetch_add(1, std::memory_order_relaxed) % shard_count;
        return own;
    }

    std::array<Shard, shard_count> shards_{};
};

}  // namespace sluice::detail

#endif
