// SPDX-License-Identifier: MIT
#ifndef SLUICE_MEMORY_DETAIL_SHARD_HPP
#define SLUICE_MEMORY_DETAIL_SHARD_HPP

#include <atomic>
#include <cstddef>
#include <cstdint>

#include <sluice/detail/algorithm.hpp>
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

/// What a shard held when it was about to be rebuilt, and what is to become of it.
struct Census {
    std::size_t all = 0, live = 0;
    std::size_t old = 0;  // had expired when the generation began
};
struct Plan {
    std::size_t slot_count;  // half full at most
    std::size_t room;        // for expired states
    bool ends;  // the generation: the old ones go, and those that expired since stay; else the other way round
};

/// A part of a table that is locked and rebuilt by itself.
///
/// States that have expired stay while there is room, so that a key which comes back finds its slot. Those that had expired
/// when a generation began stay until it ends and are not taken over, so that it is known exactly how many of them came
/// back. One in 32 is enough to make room for all; without, a shard is as small as its live states allow.
struct alignas(64) Shard {
    static constexpr std::size_t min_slots = 128;
    static constexpr std::size_t generation_length = 2048;  // in placements

    std::atomic<std::uint64_t> version{0};  // odd: locked
    // Who read the clock before, and does not find a state, may have missed it: reads again.
    std::atomic<std::int64_t> let_go_at{int64_min};
    std::atomic<std::uint64_t> reclaimed{0};
    std::atomic<std::size_t> next_tidied{0};
    // Written under the lock.
    std::atomic<std::int64_t> generation_began{int64_min};
    std::atomic<std::uint32_t> used{0};  // slots that are not empty
    std::uint32_t placed = 0;            // since it was last rebuilt
    std::uint32_t age = 0;               // of the generation then, in placements
    std::uint32_t kept = 0;              // expired states, when it began, less those that were freed since

    std::size_t used_now() const noexcept { return used.load(std::memory_order_relaxed); }
    void count_used(std::size_t count) noexcept {
        used.store(static_cast<std::uint32_t>(count), std::memory_order_relaxed);
    }
    std::int64_t began() const noexcept { return generation_began.load(std::memory_order_relaxed); }

    void note_let_go(std::int64_t at, std::size_t states) noexcept {
        if (at > let_go_at.load(std::memory_order_relaxed)) let_go_at.store(at, std::memory_order_relaxed);
        reclaimed.store(reclaimed.load(std::memory_order_relaxed) + states, std::memory_order_relaxed);
    }

    Plan plan(const Census& census, std::size_t old_count, std::size_t max_slots) noexcept {
        const std::size_t back = kept - std::min<std::size_t>(kept, census.old);
        const bool come_back = back != 0 && back * 32 >= kept;
        const bool ends = come_back || kept == 0 || age + placed >= generation_length;
        const std::size_t wanted = come_back ? (census.all - census.old) / 4 * 5
                                   : ends    ? census.live
                                             : std::max(census.live, old_count / 2 - 1);
        Plan plan{std::min(min_slots, max_slots), 0, ends};
        while (plan.slot_count < max_slots && wanted + 1 > plan.slot_count / 2) plan.slot_count *= 2;
        // Without any that came back, a few stay, to see whether they do.
        plan.room = std::min(plan.slot_count / 2 - std::min(plan.slot_count / 2, census.live),
                             !ends       ? census.old
                             : come_back ? census.all
                                         : plan.slot_count / 16);
        return plan;
    }
    void note_rebuilt(const Plan& plan, std::size_t states, const Census& census, std::int64_t now) noexcept {
        count_used(states);
        age = plan.ends ? 0 : age + placed;
        placed = 0;
        const auto expired = static_cast<std::uint32_t>(states - census.live);
        kept = plan.ends ? expired : kept - std::min(kept, static_cast<std::uint32_t>(census.old) - expired);
        if (plan.ends) generation_began.store(now, std::memory_order_relaxed);
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
