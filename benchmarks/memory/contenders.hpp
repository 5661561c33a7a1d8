// SPDX-License-Identifier: MIT
#ifndef SLUICE_BENCHMARKS_MEMORY_CONTENDERS_HPP
#define SLUICE_BENCHMARKS_MEMORY_CONTENDERS_HPP

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <sluice/sluice.hpp>

#include "peers/concurrent_flat_map.hpp"
#include "peers/concurrent_hash_map.hpp"
#include "peers/flat_hash_map.hpp"
#include "peers/hand_written.hpp"

namespace memory {

inline constexpr const char* hand_written = "hand-written";
inline constexpr const char* sluice_default = "sluice";
inline constexpr const char* sluice_all_of = "sluice, AllOf with two policies";

/// A token bucket as a workload asks for it, and for how many keys.
struct Bucket {
    std::uint64_t capacity;
    std::uint64_t per_second;
    std::size_t keys = sluice::MemoryOptions{}.max_keys;
};

template <class P, class Clock = sluice::DefaultClock>
auto make_limiter(const P& policy, sluice::MemoryOptions options = {}) {
    using Store = sluice::MemoryStore<P, Clock>;
    return std::make_shared<const sluice::RateLimiter<P, Store>>(policy, Store{std::move(options)});
}

template <class Peer>
struct PeerKind {
    const char* name;
    auto operator()(const Bucket& b) const {
        return std::make_shared<Peer>(peers::Limit{static_cast<double>(b.capacity), static_cast<double>(b.per_second)});
    }
};

template <class Clock>
struct SluiceKind {
    const char* name;
    bool wide_fingerprints = false;
    auto operator()(const Bucket& b) const {
        return make_limiter<sluice::TokenBucket, Clock>({b.capacity, sluice::per_second(b.per_second)},
                                                        {.max_keys = b.keys, .wide_fingerprints = wide_fingerprints});
    }
};

/// Calls visit(kind) for every contender; kind.name names it and kind(bucket) makes one.
template <class Visit>
void for_each_peer(Visit visit) {
    visit(PeerKind<peers::HandWritten>{hand_written});
    visit(PeerKind<peers::FlatHashMap>{"absl::flat_hash_map"});
    visit(PeerKind<peers::ConcurrentHashMap>{"tbb::concurrent_hash_map"});
#if __has_include(<boost/unordered/concurrent_flat_map.hpp>)
    visit(PeerKind<peers::ConcurrentFlatMap>{"boost::concurrent_flat_map"});
#endif
}
template <class Visit>
void for_each_contender(Visit visit) {
    for_each_peer(visit);
    visit(SluiceKind<sluice::TscClock>{sluice_default});
    visit(SluiceKind<sluice::SteadyClock>{"sluice, SteadyClock"});
    visit(SluiceKind<sluice::TscClock>{"sluice, wide_fingerprints", true});
}

}  // namespace memory

#endif
