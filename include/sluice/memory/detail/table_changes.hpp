// SPDX-License-Identifier: MIT
#ifndef SLUICE_MEMORY_DETAIL_TABLE_CHANGES_HPP
#define SLUICE_MEMORY_DETAIL_TABLE_CHANGES_HPP

#include <sluice/memory/detail/table.hpp>

// How slots of a Table change hands. All of it runs under a shard's mutex with the guard closed.
namespace sluice::detail {

/// Never counts more than there may be, not for a moment either: another thread would be refused for it.
template <class Words>
bool Table<Words>::add_key(std::uint64_t owner) noexcept {
    const std::size_t most = is_overflow(owner) ? overflow_keys_ : max_keys_;
    std::atomic<std::size_t>& count = count_of(owner);
    std::size_t keys = count.load(std::memory_order_relaxed);
    while (keys < most) {
        if (count.compare_exchange_weak(keys, keys + 1, std::memory_order_relaxed)) return true;
    }
    return false;
}

/// An expired state equals a fresh one: its slot is free, unless its key takes it up again right now.
template <class Words>
bool Table<Words>::free_if_expired(Slot& slot, std::int64_t now) noexcept {
    const std::uint64_t owner = slot.owner();
    const std::uint64_t stored = slot.stored();
    if (owner <= Slot::removed || Words::expires_at(owner, stored ^ owner) > now || !slot.freeze(stored)) return false;
    Words::destroy(owner, stored ^ owner);
    slot.vacate(Slot::removed);  // and not `empty`, which would end the probes of those behind it
    forget(owner);
    return true;
}

/// Frees the slots of the line of `slot` whose states have expired.
template <class Words>
void Table<Words>::free_line(const Slot* slot, std::int64_t now) noexcept {
    const auto at = static_cast<std::size_t>(slot - slots_);
    Slot* const first = slots_ + at / line_slots * line_slots;
    for (Slot* other = first; other != first + line_slots; ++other) free_if_expired(*other, now);
}

template <class Words>
auto Table<Words>::place(std::size_t index, std::uint64_t owner, std::uint64_t word, std::int64_t now) noexcept
    -> Placed {
    Shard& shard = shards_[index];
    // Without memory for the move, a shard that is not quite full goes on as it is.
    if (is_crowded(index) && !rebuild(index, now) && shard.used == slots_in(index)) return Placed::no_memory;
    const std::size_t slot_count = slots_in(index);
    const Closed closed{*this, index};
    for (std::size_t step = 0; step != slot_count; ++step) {
        Slot& slot = begin(index)[nth(home_of(owner), step, slot_count - 1)];
        if (slot.is_owned() && !free_if_expired(slot, now)) continue;
        if (!add_key(owner)) {
            free_line(&slot, now);
            if (!add_key(owner)) return Placed::full;
        }
        if (slot.owner() == Slot::empty) ++shard.used;
        slot.give(owner, word);
        ++shard.placed;
        note_expiry(shard, Words::expires_at(owner, word));
        return Placed::done;
    }
    return Placed::full;
}

/// Time to rebuild: to grow, or to get rid of what has expired and shortens probes no more. Each time after as many
/// placements as there are slots at most, so that it costs each of them little.
template <class Words>
bool Table<Words>::is_crowded(std::size_t index) const noexcept {
    const Shard& shard = shards_[index];
    const std::size_t slot_count = slots_in(index);
    const std::size_t crowded = slot_count == shard_slots_ ? slot_count - slot_count / 16 : slot_count / 4 * 3;
    return shard.used >= crowded || shard.placed >= slot_count;
}

/// Moves the live states into as many slots as they need, half full at most. False without memory for the move.
template <class Words>
bool Table<Words>::rebuild(std::size_t index, std::int64_t now) noexcept {
    Shard& shard = shards_[index];
    const std::unique_ptr<Entry[]> kept{new (std::nothrow) Entry[shard.used]};
    if (!kept) return false;
    const std::size_t old_slots = slots_in(index);
    Closed closed{*this, index};

    std::size_t live = 0;
    std::size_t expired[2] = {};  // keys, overflow states
    std::int64_t earliest = int64_max;
    for_each_owned(index, [&](Slot& slot) {
        const Entry entry{slot.owner(), slot.take()};
        const std::int64_t expiry = Words::expires_at(entry.owner, entry.word);
        if (expiry <= now) {
            Words::destroy(entry.owner, entry.word);
            ++expired[is_overflow(entry.owner) ? 1 : 0];
            return;
        }
        earliest = std::min(earliest, expiry);
        kept[live++] = entry;
    });
    forget(0, expired[0]);
    forget(Slot::overflow_bit, expired[1]);

    std::size_t slot_count = std::min(min_shard_slots, shard_slots_);
    while (slot_count < shard_slots_ && live + 1 > slot_count / 2) slot_count *= 2;
    if (slot_count > old_slots) keep_page_batches_small();
    Slot* const first = begin(index);
    for (std::size_t i = 0; i != std::max(slot_count, old_slots); ++i) {
        if (i >= shard.constructed) {
            new (&first[i]) Slot;
        } else {
            first[i].vacate(Slot::empty);
        }
    }
    shard.constructed = std::max(shard.constructed, slot_count);
    if (slot_count < old_slots) release_pages(first + slot_count, (old_slots - slot_count) * sizeof(Slot));

    for (std::size_t i = 0; i != live; ++i) {
        std::size_t step = 0;
        const auto slot = [&]() -> Slot& { return first[nth(home_of(kept[i].owner), step, slot_count - 1)]; };
        while (slot().owner() != Slot::empty) ++step;
        slot().give(kept[i].owner, kept[i].word);
    }
    shard.used = live;
    shard.placed = 0;
    shard.earliest.store(earliest, std::memory_order_relaxed);
    shard.next_swept = shard.next_tidied = 0;
    shard.swept_earliest = int64_max;
    closed.resize(slot_count);
    return true;
}

/// One step of a sweep that frees the slots of a shard whose states have expired. True if it freed some.
template <class Words>
bool Table<Words>::sweep(std::size_t index, std::int64_t now) noexcept {
    constexpr std::size_t slots_at_once = 64;
    Shard& shard = shards_[index];
    const std::size_t slot_count = slots_in(index);
    const std::size_t last = std::min(slot_count, shard.next_swept + slots_at_once);
    bool is_found = false;
    const Closed closed{*this, index};
    for (Slot* slot = begin(index) + shard.next_swept; slot != begin(index) + last; ++slot) {
        if (!slot->is_owned()) continue;
        if (free_if_expired(*slot, now)) {
            is_found = true;
        } else {
            shard.swept_earliest = std::min(shard.swept_earliest, Words::expires_at(slot->owner(), slot->word()));
        }
    }
    shard.next_swept = last;
    if (last == slot_count) {
        shard.earliest.store(shard.swept_earliest, std::memory_order_relaxed);
        shard.next_swept = 0;
        shard.swept_earliest = int64_max;
    }
    return is_found;
}

template <class Words>
bool Table<Words>::reclaim(std::int64_t now) noexcept {
    // A flood of new keys must not buy more work than one step of a sweep, nor a look at all shards.
    const std::size_t most_looks = std::min<std::size_t>(shard_count_, 8);
    for (std::size_t look = 0; look != most_looks; ++look) {
        const std::size_t index = next_sweep_.load(std::memory_order_relaxed) % shard_count_;
        const std::int64_t earliest = shards_[index].earliest.load(std::memory_order_relaxed);
        if (earliest <= now && earliest != int64_max) {  // a shard never used has nothing, not even at the end of time
            const std::lock_guard lock{shards_[index].mutex};
            const bool is_found = sweep(index, now);
            if (shards_[index].next_swept == 0) next_sweep_.store(index + 1, std::memory_order_relaxed);
            return is_found;
        }
        next_sweep_.store(index + 1, std::memory_order_relaxed);
    }
    return false;
}

}  // namespace sluice::detail

#endif
