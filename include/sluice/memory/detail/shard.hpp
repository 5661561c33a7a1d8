// SPDX-License-Identifier: MIT
#ifndef SLUICE_MEMORY_DETAIL_SHARD_HPP
#define SLUICE_MEMORY_DETAIL_SHARD_HPP

#include <atomic>
#include <cstddef>
#include <cstdint>

#include <sluice/detail/saturate.hpp>
#include <sluice/memory/detail/slot.hpp>

namespace sluice::detail {

/// How many keys there are and may be, in all tables of a store. Never more, not for a moment: another thread would be
/// refused for it.
class KeyCount {
public:
    explicit KeyCount(std::size_t most) noexcept : most_(most) {}
    std::size_t most() const noexcept { return most_; }
    std::size_t now() const noexcept { return now_.load(std::memory_order_relaxed); }
    bool add_one() noexcept {
        std::size_t keys = now();
        while (keys < most_) {
            if (now_.compare_exchange_weak(keys, keys + 1, std::memory_order_relaxed)) return true;
        }
        return false;
    }
    void remove(std::size_t keys) noexcept { now_.fetch_sub(keys, std::memory_order_relaxed); }

private:
    std::size_t most_;
    alignas(64) std::atomic<std::size_t> now_{0};
};

/// What a key is known by: a hash, and a second one where MemoryOptions::wide_fingerprints are asked for.
struct HashedKey {
    std::uint64_t hash;
    std::uint64_t check;
};

enum class Placed { done, changed, full, no_memory };

/// A part of a table that is locked and rebuilt by itself.
struct alignas(64) Shard {
    std::atomic<std::uint64_t> version{0};  // odd: locked
    // Who read the clock before and does not find a state may have missed it: reads again.
    std::atomic<std::int64_t> let_go_at{int64_min};
    std::atomic<std::uint64_t> reclaimed{0};
    std::atomic<std::size_t> next_tidied{0};
    // Written under the lock. States that had expired when the generation began, and have not been asked for since, go when
    // it ends; until then they are not taken over, so that it is known exactly how many of them came back.
    std::atomic<std::int64_t> generation_began{int64_min};
    std::atomic<std::uint32_t> used{0};  // slots that are not empty
    std::uint32_t placed = 0;            // since it was last rebuilt
    std::uint32_t age = 0;               // of the generation then, in placements
    std::uint32_t kept = 0;              // that had expired when it began, less those that were freed since

    void note_let_go(std::int64_t at, std::size_t states) noexcept {
        if (at > let_go_at.load(std::memory_order_relaxed)) let_go_at.store(at, std::memory_order_relaxed);
        reclaimed.store(reclaimed.load(std::memory_order_relaxed) + states, std::memory_order_relaxed);
    }
    bool is_crowded(std::size_t slot_count, bool can_grow) const noexcept {
        return used.load(std::memory_order_relaxed) >= (can_grow ? slot_count / 4 * 3 : slot_count - slot_count / 16);
    }
};

/// Locks a shard.
class ShardLock {
public:
    /// If the version is still this one; see `is_held`.
    ShardLock(Shard& shard, std::uint64_t version) noexcept : version_(shard.version) {
        is_held_ = version_.compare_exchange_strong(version, version + 1, std::memory_order_acquire,
                                                    std::memory_order_relaxed);
    }
    explicit ShardLock(Shard& shard) noexcept : version_(shard.version) {
        for (Backoff backoff;; backoff.wait()) {
            std::uint64_t version = version_.load(std::memory_order_relaxed);
            is_held_ =
                version % 2 == 0 && version_.compare_exchange_weak(version, version + 1, std::memory_order_acquire,
                                                                   std::memory_order_relaxed);
            if (is_held_) return;
        }
    }
    ShardLock(const ShardLock&) = delete;
    ~ShardLock() {
        if (is_held_) version_.store(version_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
    }
    bool is_held() const noexcept { return is_held_; }

private:
    std::atomic<std::uint64_t>& version_;
    bool is_held_ = false;
};

}  // namespace sluice::detail

#endif
