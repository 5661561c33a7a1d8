// SPDX-License-Identifier: MIT
#ifndef SLUICE_MEMORY_DETAIL_TABLE_CHANGES_HPP
#define SLUICE_MEMORY_DETAIL_TABLE_CHANGES_HPP

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>

#include <sluice/detail/algorithm.hpp>
#include <sluice/memory/detail/pages.hpp>
#include <sluice/memory/detail/shard.hpp>
#include <sluice/memory/detail/table.hpp>

// How a Table gives slots to keys and takes them away, all under a shard's lock.
namespace sluice::detail {

template <class Form>
Placed Table<Form>::place(const Found& found, const HashedKey& key, const Words& words,
                          std::int64_t expired_before) noexcept {
    Shard& shard = shards_[found.shard];
    StateSlot slot = found.slot;
    if ((!slot || !StateSlot::is_owned(slot.owner())) && count_.now() >= count_.most())
        return Placed::full;  // without writing anything
    const ShardLock lock{shard, found.version};
    if (!lock.is_held()) return Placed::changed;
    const std::size_t slot_count = last_of(found.shard) + 1;
    const std::size_t most_used = slot_count == shard_slots_ ? slot_count / 16 * 15 : slot_count / 4 * 3;
    const bool takes_empty = !slot || slot.owner() == StateSlot::empty;
    if (shard.placed >= std::min(2 * slot_count, Shard::generation_length) ||
        (takes_empty && shard.used_now() >= most_used)) {
        // Without memory for the move, a shard that is not quite full goes on as it is.
        if (!rebuild(found.shard, expired_before) && !slot) return Placed::no_memory;
        slot = probe(found.shard, 0, key, expired_before).slot;
    }
    if (!slot) return Placed::full;
    const std::uint64_t owner = slot.owner();
    if (StateSlot::is_owned(owner)) {
        if (!take_expired(shard, slot, expired_before)) return Placed::changed;  // its key has come back
    } else {
        if (!count_.add_one()) return Placed::full;
        if (owner == StateSlot::empty) shard.count_used(shard.used_now() + 1);
    }
    give(slot, tag_of(key.hash), key.check, words);
    ++shard.placed;
    return Placed::done;
}

template <class Form>
void Table<Form>::forget(const HashedKey& key, std::int64_t now) noexcept {
    const std::size_t index = shard_index(key.hash);
    Shard& shard = shards_[index];
    const ShardLock lock{shard};
    const Found found = probe(index, 0, key, int64_min);
    if (!found.is_known) return shard.note_let_go(now, 0);
    // Its time may be later than this thread's, by now.
    const Words words = found.slot.take();
    let_go(shard, words, std::max(now, Form::expires_at(words.data())));
    found.slot.clear(StateSlot::removed);
    count_.remove(1);
}

template <class Form>
[[gnu::noinline]] bool Table<Form>::rebuild(std::size_t index, std::int64_t now) noexcept {
    Shard& shard = shards_[index];
    const std::int64_t began = shard.began();
    const std::unique_ptr<Entry[]> entries{new (std::nothrow) Entry[shard.used_now()]};
    if (!entries) return false;

    Census census;
    for_each_owned(index, [&](StateSlot slot) {
        Entry& entry = entries[census.all++];
        entry.tag = StateSlot::tag_of(slot.owner());
        if (has_checks_) entry.check = slot.check();
        entry.words = slot.take();
        entry.expiry = Form::expires_at(entry.words.data());
        census.live += entry.expiry > now ? 1 : 0;
        census.old += entry.expiry <= began ? 1 : 0;
    });
    const std::size_t old_slots = last_of(index) + 1;
    const Plan plan = shard.plan(census, old_slots, shard_slots_);

    if (plan.slot_count > old_slots) keep_page_batches_small();
    for (std::size_t i = 0; i != std::max(plan.slot_count, old_slots); ++i) slot_in(index, i).clear(StateSlot::empty);
    if (plan.slot_count < old_slots) {
        release_pages(slot_in(index, plan.slot_count).words(), (old_slots - plan.slot_count) * stride_ * sizeof(Word));
    }
    set_last(index, plan.slot_count - 1);

    std::size_t room = plan.room, states = 0;
    for (Entry* entry = entries.get(); entry != entries.get() + census.all; ++entry) {
        if (entry->expiry <= now) {
            const bool is_old = entry->expiry <= began;
            if (is_old == plan.ends || room == 0) {
                Form::destroy(entry->words.data());
                continue;
            }
            --room;
        }
        ++states;
        const int unused = has_version ? 64 - max_shard_bits : shift_;
        const std::size_t home = static_cast<std::size_t>(entry->tag >> unused) & (plan.slot_count - 1);
        std::size_t at = home;
        for (std::size_t step = 1; slot_in(index, at).owner() != StateSlot::empty; ++step) {
            const std::size_t first = (home & ~within_group) + (step & ~within_group);
            at = (first & (plan.slot_count - 1)) | ((home ^ step) & within_group);
        }
        give(slot_in(index, at), entry->tag, entry->check, entry->words);
    }
    if (states != census.all) shard.note_let_go(now, census.all - states);
    count_.remove(census.all - states);
    shard.note_rebuilt(plan, states, census, now);
    return true;
}

template <class Form>
bool Table<Form>::reclaim(std::int64_t expired_before) noexcept {
    // A flood of new keys must not buy more work than this.
    constexpr std::size_t slots_at_once = 64;
    std::size_t first = next_reclaimed_.load(std::memory_order_relaxed) % (shard_count_ * max_shard_slots);
    std::size_t index = first / max_shard_slots;
    if (first % max_shard_slots > last_of(index)) {
        index = (index + 1) % shard_count_;
        first = index * max_shard_slots;
    }
    const std::size_t last = std::min(first + slots_at_once, index * max_shard_slots + last_of(index) + 1);
    next_reclaimed_.store(first + slots_at_once, std::memory_order_relaxed);
    while (first != last && expiry_of(slot_at(first), slot_at(first).owner()) > expired_before) ++first;
    if (first == last) return false;
    const ShardLock lock{shards_[index]};
    bool is_found = false;
    for (; first != last; ++first) is_found = free_expired(shards_[index], slot_at(first), expired_before) || is_found;
    return is_found;
}

}  // namespace sluice::detail

#endif
