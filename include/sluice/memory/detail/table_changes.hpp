// SPDX-License-Identifier: MIT
#ifndef SLUICE_MEMORY_DETAIL_TABLE_CHANGES_HPP
#define SLUICE_MEMORY_DETAIL_TABLE_CHANGES_HPP

#include <sluice/memory/detail/table.hpp>

// How slots of a Table change hands. All of it runs under a shard's mutex with the guard closed.
namespace sluice::detail {

template <class Words>
bool Table<Words>::add_key(bool spare) noexcept {
    const std::size_t most = max_keys_ + (spare ? spare_keys_ : 0);
    if (keys_.fetch_add(1, std::memory_order_relaxed) < most) return true;
    keys_.fetch_sub(1, std::memory_order_relaxed);
    return false;
}

/// Frees a slot whose state has expired in the line of `slot`, for a new key to be counted in its stead.
template <class Words>
bool Table<Words>::free_in_line(const Slot* slot, std::int64_t now) noexcept {
    const auto at = static_cast<std::size_t>(slot - slots_);
    for (Slot* other = slots_ + at / line_slots * line_slots; other != slots_ + (at / line_slots + 1) * line_slots;
         ++other) {
        const std::uint64_t owner = other->owner();
        const std::uint64_t stored = other->stored();
        if (owner <= Slot::removed || Words::expires_at(owner, stored ^ owner) > now || !other->freeze(stored))
            continue;
        Words::destroy(owner, stored ^ owner);
        other->vacate(Slot::removed);
        reclaimed_.fetch_add(1, std::memory_order_relaxed);
        return true;
    }
    return false;
}

template <class Words>
auto Table<Words>::place(std::size_t index, std::uint64_t owner, std::uint64_t word, std::int64_t now,
                         bool spare) noexcept -> Placed {
    Shard& shard = shards_[index];
    // Without memory for the move, a shard that is not quite full goes on as it is.
    if (is_crowded(index) && !rebuild(index, now) && shard.used == slots_in(index)) return Placed::no_memory;
    const std::size_t slots = slots_in(index);
    const Closed closed{*this, index};
    for (std::size_t step = 0; step != slots; ++step) {
        Slot& slot = begin(index)[nth(home_of(owner), step, slots - 1)];
        const std::uint64_t seen = slot.owner();
        if (seen <= Slot::removed) {
            if (!add_key(spare) && !free_in_line(&slot, now)) return Placed::full;
            if (seen == Slot::empty) ++shard.used;
        } else {
            // An expired state equals a fresh one: its slot is free, unless its key takes it up again right now.
            const std::uint64_t stored = slot.stored();
            if (Words::expires_at(seen, stored ^ seen) > now || !slot.freeze(stored)) continue;
            Words::destroy(seen, stored ^ seen);
            reclaimed_.fetch_add(1, std::memory_order_relaxed);
        }
        slot.give(owner, word);
        ++shard.placed;
        expires(shard, Words::expires_at(owner, word));
        return Placed::done;
    }
    return Placed::full;
}

/// Time to rebuild: to grow, or to get rid of what has expired and shortens probes no more. Each time after as many
/// placements as there are slots at most, so that it costs each of them little.
template <class Words>
bool Table<Words>::is_crowded(std::size_t index) const noexcept {
    const Shard& shard = shards_[index];
    const std::size_t slots = slots_in(index);
    const std::size_t crowded = slots == shard_slots_ ? slots - slots / 16 : slots / 4 * 3;
    return shard.used >= crowded || shard.placed >= slots;
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
    std::size_t expired = 0;
    std::int64_t earliest = int64_max;
    for_each_owned(index, [&](Slot& slot) {
        const Entry entry{slot.owner(), slot.take()};
        const std::int64_t expiry = Words::expires_at(entry.owner, entry.word);
        if (expiry <= now) {
            Words::destroy(entry.owner, entry.word);
            ++expired;
            return;
        }
        earliest = std::min(earliest, expiry);
        kept[live++] = entry;
    });
    forget(expired);

    std::size_t slots = std::min(min_shard_slots, shard_slots_);
    while (slots < shard_slots_ && live + 1 > slots / 2) slots *= 2;
    if (slots > old_slots) keep_page_batches_small();
    Slot* const first = begin(index);
    for (std::size_t i = 0; i != std::max(slots, old_slots); ++i) {
        if (i >= shard.constructed) {
            new (&first[i]) Slot;
        } else {
            first[i].vacate(Slot::empty);
        }
    }
    shard.constructed = std::max(shard.constructed, slots);
    if (slots < old_slots) release_pages(first + slots, (old_slots - slots) * sizeof(Slot));

    for (std::size_t i = 0; i != live; ++i) {
        std::size_t step = 0;
        const auto slot = [&]() -> Slot& { return first[nth(home_of(kept[i].owner), step, slots - 1)]; };
        while (slot().owner() != Slot::empty) ++step;
        slot().give(kept[i].owner, kept[i].word);
    }
    shard.used = live;
    shard.placed = 0;
    shard.earliest.store(earliest, std::memory_order_relaxed);
    closed.resize(slots);
    return true;
}

/// Frees the slots of a shard whose states have expired. Slots become `removed` and not `empty`, which would end the
/// probes of those behind them.
template <class Words>
std::size_t Table<Words>::sweep(std::size_t index, std::int64_t now) noexcept {
    const Closed closed{*this, index};
    std::size_t expired = 0;
    std::int64_t earliest = int64_max;
    for_each_owned(index, [&](Slot& slot) {
        const std::uint64_t owner = slot.owner();
        const std::uint64_t stored = slot.stored();
        const std::int64_t expiry = Words::expires_at(owner, stored ^ owner);
        if (expiry <= now && slot.freeze(stored)) {
            Words::destroy(owner, stored ^ owner);
            slot.vacate(Slot::removed);
            ++expired;
        } else {
            earliest = std::min(earliest, expiry);
        }
    });
    shards_[index].earliest.store(earliest, std::memory_order_relaxed);
    forget(expired);
    return expired;
}

template <class Words>
bool Table<Words>::reclaim(std::int64_t now) noexcept {
    // Some 5 us a sweep: a flood of new keys must not buy more work than that, nor a look at all shards.
    constexpr int most_sweeps = 4;
    const std::size_t most_looks = std::min<std::size_t>(shard_count_, 64);
    int sweeps = 0;
    for (std::size_t look = 0; look != most_looks && sweeps != most_sweeps; ++look) {
        const std::size_t index = next_sweep_.load(std::memory_order_relaxed) % shard_count_;
        if (shards_[index].earliest.load(std::memory_order_relaxed) <= now) {
            ++sweeps;
            const std::lock_guard lock{shards_[index].mutex};
            if (sweep(index, now) != 0) return true;
        }
        next_sweep_.store(index + 1, std::memory_order_relaxed);
    }
    return false;
}

}  // namespace sluice::detail

#endif
