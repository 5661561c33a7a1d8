// SPDX-License-Identifier: MIT
#ifndef SLUICE_MEMORY_DETAIL_TABLE_HPP
#define SLUICE_MEMORY_DETAIL_TABLE_HPP

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <new>

#include <sluice/detail/algorithm.hpp>
#include <sluice/detail/int128.hpp>
#include <sluice/detail/saturate.hpp>
#include <sluice/memory/detail/pages.hpp>
#include <sluice/memory/detail/slot.hpp>

namespace sluice::detail {

/// A hash table in shards, each probed cache line by cache line from a key's home up to the first empty slot. Lookups
/// take no lock; whatever lets slots change hands (a new key, reclaiming, growing) runs under the shard's mutex with
/// its guard closed.
///
/// All shards lie in one reservation of address space that is large enough for `max_keys`; the system gives pages as
/// shards grow and takes them back when they shrink. Addresses never change, so nothing has to outlive a reader, and
/// a shard is rebuilt in place: never more than `max_shard_slots` at a time, whatever the size of the table.
///
/// `Words` knows what words mean: expires_at(owner, word), and destroy(owner, word) of what a word refers to.
template <class Words>
class Table {
public:
    enum class Placed { done, full, no_memory };

    struct Shard {
        std::mutex mutex;
        // All guarded by the mutex, but `earliest` may be read without it.
        std::size_t used = 0;                           // slots that are not empty
        std::size_t placed = 0;                         // since the last rebuild
        std::size_t constructed = 0;                    // slots that have ever been in use
        std::atomic<std::int64_t> earliest{int64_max};  // no state expires before, in ns
        std::size_t next_swept = 0;                     // where the sweep that is under way goes on
        std::int64_t swept_earliest = int64_max;        // of the states that it has left, and of those that came since
        std::size_t next_tidied = 0;                    // see tidy()
    };

    static constexpr std::size_t max_shard_slots = 4096;  // 64 KiB: rebuilt in some 20 us
    static constexpr std::size_t max_shard_bytes = max_shard_slots * sizeof(Slot);
    static_assert(max_shard_bytes == Guard::last_bits + 1);
    static constexpr std::size_t min_shard_slots = 4096 / sizeof(Slot);

    explicit Table(std::size_t max_keys)
        : max_keys_(max_keys), overflow_keys_(std::min<std::size_t>(std::max<std::size_t>(max_keys / 64, 1), 64)),
          shard_slots_(std::min(max_shard_slots, slots_for(max_keys, overflow_keys_))),
          shard_count_(slots_for(max_keys, overflow_keys_) / shard_slots_), max_bytes_(shard_count_ * max_shard_bytes),
          shards_(std::make_unique<Shard[]>(shard_count_)),
          guards_(std::make_unique<std::atomic<std::uint64_t>[]>(shard_count_)),
          slots_(static_cast<Slot*>(::operator new(shard_count_* shard_slots_ * sizeof(Slot), alignment))) {
        for (std::size_t i = 0; i != shard_count_; ++i) guards_[i].store(Guard::closed_bit, std::memory_order_relaxed);
    }
    Table(const Table&) = delete;
    Table& operator=(const Table&) = delete;
    ~Table() {
        for (std::size_t i = 0; i != shard_count_; ++i) {
            for_each_owned(i, [](Slot& slot) { Words::destroy(slot.owner(), slot.word()); });
        }
        ::operator delete(slots_, alignment);
    }

    /// Where the probe of an owner begins, in bytes from the first slot of all, were all shards as large as can be.
    std::size_t position_of(std::uint64_t owner) const noexcept {
        return static_cast<std::size_t>((uint128{owner} * max_bytes_) >> 64);
    }
    static std::size_t shard_of(std::size_t position) noexcept { return position / max_shard_bytes; }
    Shard& shard(std::size_t index) noexcept { return shards_[index]; }
    Guard guard(std::size_t index) const noexcept {
        return {&guards_[index], guards_[index].load(std::memory_order_acquire)};
    }

    /// The slot where a probe begins: three in four keys are there while the table is half full at most.
    Slot* home(std::size_t position, Guard guard) const noexcept { return slots_ + guard.fit(position) / sizeof(Slot); }

    /// The slot of `owner`, or null. Without the mutex the answer holds only while the guard does.
    Slot* find(std::size_t index, Guard guard, std::uint64_t owner) const noexcept {
        return find_if(index, guard, owner, [](const Slot&) { return true; });
    }
    /// The slot of `owner` that `matches`, or null.
    template <class Matches>
    [[gnu::noinline]] Slot* find_if(std::size_t index, Guard guard, std::uint64_t owner,
                                    Matches matches) const noexcept {
        for (std::size_t step = 0; step != guard.slot_count(); ++step) {
            Slot& slot = begin(index)[nth(home_of(owner), step, guard.slot_count() - 1)];
            const std::uint64_t seen = slot.owner();
            if (seen == owner && matches(slot)) return &slot;
            if (seen == Slot::empty) return nullptr;
        }
        return nullptr;
    }

    /// Gives a slot to `owner`, which has none. Needs the shard's mutex.
    Placed place(std::size_t index, std::uint64_t owner, std::uint64_t word, std::int64_t now) noexcept;

    /// Frees a slot if its state has expired, as a reset one has. Needs the shard's mutex.
    void remove(std::size_t index, Slot& slot, std::int64_t now) noexcept {
        const Closed closed{*this, index};
        free_if_expired(slot, now);
    }

    /// Looks for slots whose state has expired and frees them: 64 slots at most, in a shard where there may be some; the
    /// next call goes on from there. Needs that the caller holds no shard's mutex. False if none was found.
    bool reclaim(std::int64_t now) noexcept;

    /// Visits a few slots of the shard, under its mutex; the next call goes on from there.
    template <class Visit>
    void tidy(std::size_t index, Visit visit) noexcept {
        constexpr std::size_t slots_at_once = 8;
        const std::size_t slot_count = slots_in(index);
        std::size_t& next = shards_[index].next_tidied;
        for (std::size_t i = 0; i != std::min(slot_count, slots_at_once); ++i, ++next) {
            if (next >= slot_count) next = 0;
            Slot& slot = begin(index)[next];
            if (slot.is_owned()) visit(slot);
        }
    }

    /// To be told of every expiry that comes sooner than before, under the shard's mutex.
    void note_expiry(Shard& shard, std::int64_t at) noexcept {
        if (at < shard.earliest.load(std::memory_order_relaxed)) shard.earliest.store(at, std::memory_order_relaxed);
        shard.swept_earliest = std::min(shard.swept_earliest, at);
    }

    std::size_t max_keys() const noexcept { return max_keys_; }
    std::size_t overflow_keys() const noexcept { return overflow_keys_; }
    std::size_t keys() const noexcept {
        return key_count_.load(std::memory_order_relaxed) + overflow_count_.load(std::memory_order_relaxed);
    }
    std::uint64_t reclaimed() const noexcept { return reclaimed_.load(std::memory_order_relaxed); }

private:
    struct Entry {
        std::uint64_t owner, word;
    };

    /// Keeps lookups out while slots of a shard change hands. The stores to slots that follow release, so whoever
    /// sees one of them sees the closed guard too.
    class Closed {
    public:
        Closed(Table& table, std::size_t index) noexcept : guard_(table.guards_[index]) {
            value_ = guard_.load(std::memory_order_relaxed) | Guard::closed_bit;
            guard_.store(value_, std::memory_order_relaxed);
        }
        Closed(const Closed&) = delete;
        ~Closed() { guard_.store((value_ & ~Guard::closed_bit) + Guard::version_step, std::memory_order_release); }
        void resize(std::size_t slot_count) noexcept {
            value_ = (value_ & ~Guard::last_bits) | (slot_count - 1) * sizeof(Slot);
        }

    private:
        std::atomic<std::uint64_t>& guard_;
        std::uint64_t value_;
    };

    static constexpr std::align_val_t alignment{4096};
    static std::size_t slots_for(std::size_t max_keys, std::size_t spare) noexcept {
        return std::max(line_slots, std::bit_ceil(max_keys + max_keys / 2 + 2 * spare));
    }
    std::size_t home_of(std::uint64_t owner) const noexcept { return position_of(owner) / sizeof(Slot); }
    /// Where the probe from `home` comes after so many steps: through home's pair and line first, then the next line.
    static std::size_t nth(std::size_t home, std::size_t step, std::size_t mask) noexcept {
        constexpr std::size_t within = line_slots - 1;
        return (((home & ~within) + step) & mask & ~within) | ((home ^ step) & within);
    }
    // Shards are smaller only where there is but one.
    Slot* begin(std::size_t index) const noexcept { return slots_ + index * max_shard_slots; }
    std::size_t slots_in(std::size_t index) const noexcept {
        return shards_[index].constructed == 0 ? 0 : guard(index).slot_count();
    }

    template <class Visit>
    void for_each_owned(std::size_t index, Visit visit) noexcept {
        const std::size_t slot_count = slots_in(index);
        for (Slot* slot = begin(index); slot != begin(index) + slot_count; ++slot) {
            if (slot->is_owned()) visit(*slot);
        }
    }

    /// How many there are, and may be, of an owner's kind: keys, or overflow states on top.
    std::atomic<std::size_t>& count_of(std::uint64_t owner) noexcept {
        return is_overflow(owner) ? overflow_count_ : key_count_;
    }
    bool add_key(std::uint64_t owner) noexcept;
    void forget(std::uint64_t owner, std::size_t such = 1) noexcept {
        count_of(owner).fetch_sub(such, std::memory_order_relaxed);
        reclaimed_.fetch_add(such, std::memory_order_relaxed);
    }
    void free_line(const Slot* slot, std::int64_t now) noexcept;
    bool free_if_expired(Slot& slot, std::int64_t now) noexcept;
    bool is_crowded(std::size_t index) const noexcept;
    bool rebuild(std::size_t index, std::int64_t now) noexcept;
    bool sweep(std::size_t index, std::int64_t now) noexcept;

    std::size_t max_keys_;
    std::size_t overflow_keys_;
    std::size_t shard_slots_;
    std::size_t shard_count_;  // like shard_slots_ a power of two
    std::uint64_t max_bytes_;  // of the shards, were all as large as can be: a power of two too
    std::unique_ptr<Shard[]> shards_;
    // Apart from the shards, so that the guards of a million keys fit the first-level cache.
    std::unique_ptr<std::atomic<std::uint64_t>[]> guards_;
    Slot* slots_;
    alignas(64) std::atomic<std::size_t> key_count_{0};
    std::atomic<std::size_t> overflow_count_{0};
    std::atomic<std::uint64_t> reclaimed_{0};
    std::atomic<std::size_t> next_sweep_{0};
};

}  // namespace sluice::detail

#include <sluice/memory/detail/table_changes.hpp>

#endif
