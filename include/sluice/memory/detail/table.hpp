// SPDX-License-Identifier: MIT
#ifndef SLUICE_MEMORY_DETAIL_TABLE_HPP
#define SLUICE_MEMORY_DETAIL_TABLE_HPP

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>

#include <sluice/detail/algorithm.hpp>
#include <sluice/detail/saturate.hpp>
#include <sluice/memory/detail/pages.hpp>
#include <sluice/memory/detail/shard.hpp>

namespace sluice::detail {

/// A hash table in shards, each probed four slots by four slots from a key's home up to the first empty one. Known keys
/// are found without a lock, and so is that a key is unknown: by the shard's version. To give a slot to a new key, the
/// version is made odd, which locks the shard, if it is still what it was when the key was not found: so nothing has to
/// be looked for again. A slot whose state has expired is taken over in place; who looks for other keys does not notice.
///
/// All shards lie in one reservation of address space that is large enough for all keys; the system gives pages as shards
/// grow and takes them back. Addresses never change, so nothing has to outlive a reader, and a shard is rebuilt in place.
template <class Form>
class Table {  // table_changes.hpp has how slots are given and taken
public:
    using StateSlot = Slot<Form::words>;
    using Words = typename StateSlot::Words;
    using Word = typename StateSlot::Word;

    struct Found {
        std::size_t shard;
        std::uint64_t version;  // of the shard while it was searched
        StateSlot slot;         // the key's, or the one that it can have, if there is one
        bool is_known = false;
    };

    static constexpr std::size_t group = 4;  // slots; with one word: a cache line
    static constexpr int max_shard_bits = 11;
    static constexpr std::size_t max_shard_slots = 1U << max_shard_bits;  // rebuilt in some 100,000 instructions
    /// `has_checks`: keys are told apart by HashedKey::check, too.
    Table(KeyCount& count, bool has_checks)
        : count_(count), has_checks_(has_checks), stride_(1 + Form::words + (has_checks ? 1 : 0)),
          shard_slots_(std::min(max_shard_slots, slots_for(count.most()))),
          shard_count_(slots_for(count.most()) / shard_slots_), shard_bits_(std::countr_zero(shard_count_)),
          shift_(64 - shard_bits_ - max_shard_bits), shards_(std::make_unique<Shard[]>(shard_count_)),
          masks_(std::make_unique<std::atomic<std::int32_t>[]>(shard_count_)),
          words_(shard_count_ * shard_slots_ * stride_) {
        for (std::size_t i = 0; i != shard_count_; ++i) set_last(i, std::min(Shard::min_slots, shard_slots_) - 1);
    }
    ~Table() {
        for (std::size_t i = 0; Form::owns_memory && i != shard_count_; ++i) {  // or it would touch every shard's pages
            if (shards_[i].used_now() == 0) continue;
            for_each_owned(i,
                           [](StateSlot slot) { Form::destroy(slot.template peek<Form::words>(slot.owner()).data()); });
        }
    }

    /// What owns the slot of the key that has this hash: without the bits that all keys of a shard share, where room is short.
    [[gnu::always_inline]] std::uint64_t tag_of(std::uint64_t hash) const noexcept {
        return StateSlot::tag_of_hash(has_version ? hash << shard_bits_ : hash);
    }
    /// The slot where a probe begins: three in four keys are there while the table is half full at most.
    [[gnu::always_inline]] StateSlot home(std::uint64_t hash) const noexcept {
        const std::size_t index = position(hash);
        return slot_at(index & mask_of(index / max_shard_slots));
    }
    /// The slot that comes after so many others in a probe that begins at `home`, within a group of them.
    [[gnu::always_inline]] StateSlot beside(StateSlot home, std::uint64_t hash, std::size_t passed) const noexcept {
        const std::size_t at = position(hash) & within_group;
        return StateSlot{home.words() +
                         static_cast<std::ptrdiff_t>((at ^ passed) - at) * static_cast<std::ptrdiff_t>(stride_)};
    }
    /// The other slot of the home's group that has this tag; any if none has. Not inlined, so that what it needs stays out
    /// of the way of keys that are at home.
    [[gnu::noinline]] StateSlot in_group(StateSlot home, std::uint64_t hash, std::uint64_t tag) const noexcept {
        for (std::size_t passed = 1;; ++passed) {
            const StateSlot slot = beside(home, hash, passed);
            const std::uint64_t owner = slot.owner();
            if (StateSlot::tag_of(owner) == tag || owner == StateSlot::empty || passed == within_group) return slot;
        }
    }

    /// Looks for the key, and for a slot that it can have.
    Found find(const HashedKey& key, std::int64_t expired_before) const noexcept {
        const std::size_t shard = shard_index(key.hash);
        for (Backoff backoff;; backoff.wait()) {
            const std::uint64_t version = shards_[shard].version.load(std::memory_order_acquire);
            const Found found = probe(shard, version, key, expired_before);
            if (found.is_known) return found;  // whatever the version
            // Relaxed will do after acquiring loads.
            if (version % 2 == 0 && shards_[shard].version.load(std::memory_order_relaxed) == version) return found;
        }
    }
    bool is_of(StateSlot slot, const HashedKey& key) const noexcept {
        return StateSlot::tag_of(slot.owner()) == tag_of(key.hash) && (!has_checks_ || slot.check() == key.check);
    }

    /// Whether states were let go of later than this, so that who read the clock then may have missed one.
    bool has_let_go(const Found& found, std::int64_t after) const noexcept {
        return after < shards_[found.shard].let_go_at.load(std::memory_order_relaxed);
    }
    /// Gives a slot to a key that was not found.
    Placed place(const Found& found, const HashedKey& key, const Words& words, std::int64_t expired_before) noexcept;

    /// Lets go of the key's state, if it has one, expired or not. Those who did not find the key either and are about to
    /// place it look at everything anew.
    void forget(const HashedKey& key, std::int64_t now) noexcept;

    /// Looks at 64 slots, where the last call left off, for states that have expired, and frees them.
    bool reclaim(std::int64_t expired_before) noexcept;

    /// Visits a few slots of the shard; the next call goes on from there.
    template <class Visit>
    void tidy(std::uint64_t hash, Visit visit) noexcept {
        constexpr std::size_t slots_at_once = 8;
        const std::size_t shard = shard_index(hash);
        const std::size_t first = shards_[shard].next_tidied.fetch_add(slots_at_once, std::memory_order_relaxed);
        for (std::size_t i = 0; i != slots_at_once; ++i) {
            const StateSlot slot = slot_in(shard, (first + i) & last_of(shard));
            if (StateSlot::is_owned(slot.owner())) visit(slot);
        }
    }

    std::uint64_t reclaimed() const noexcept {
        std::uint64_t sum = 0;
        for (std::size_t i = 0; i != shard_count_; ++i) sum += shards_[i].reclaimed.load(std::memory_order_relaxed);
        return sum;
    }

private:
    static constexpr std::size_t within_group = group - 1;
    static constexpr bool has_version = StateSlot::version_bits != 0;

    struct Entry {
        std::uint64_t tag, check;
        std::int64_t expiry;
        Words words;
    };

    static std::size_t slots_for(std::size_t max_keys) noexcept {
        return std::max(group, std::bit_ceil(max_keys + max_keys / 2));
    }
    StateSlot slot_at(std::size_t index) const noexcept { return StateSlot{words_ + index * stride_}; }
    StateSlot slot_in(std::size_t shard, std::size_t index) const noexcept {
        return slot_at(shard * max_shard_slots + index);
    }
    std::size_t position(std::uint64_t hash) const noexcept { return static_cast<std::size_t>(hash >> shift_); }
    std::size_t shard_index(std::uint64_t hash) const noexcept { return position(hash) / max_shard_slots; }
    // A mask keeps the number of the shard and what its size allows for of the position within: it extends its sign.
    std::size_t mask_of(std::size_t shard) const noexcept {
        return static_cast<std::size_t>(masks_[shard].load(std::memory_order_relaxed));
    }
    std::size_t last_of(std::size_t shard) const noexcept { return mask_of(shard) & (max_shard_slots - 1); }
    void set_last(std::size_t shard, std::size_t last) noexcept {
        masks_[shard].store(static_cast<std::int32_t>(last) | ~static_cast<std::int32_t>(max_shard_slots - 1),
                            std::memory_order_relaxed);
    }
    static std::int64_t expiry_of(StateSlot slot, std::uint64_t owner) noexcept {
        if (!StateSlot::is_owned(owner)) return int64_max;
        return Form::expires_at(slot.template peek<Form::expiry_words>(owner).data());
    }

    /// Through the home's group first, then the next one, each from the home's place in it.
    Found probe(std::size_t index, std::uint64_t version, const HashedKey& key,
                std::int64_t expired_before) const noexcept {
        const std::size_t last = last_of(index);
        const std::size_t home = position(key.hash) & last;
        const std::uint64_t tag = tag_of(key.hash);
        const bool is_full =
            count_.now() >= count_.most();  // then it has to be an expired state's slot, of whatever age
        const bool prefers_empty = !is_full && shards_[index].used_now() <= last / 2;
        const std::int64_t kept_until = is_full ? int64_min : shards_[index].began();
        Found found{index, version, {}};
        for (std::size_t passed = 0; passed <= last; passed += group) {
            Word* const first = slot_in(index, ((home & ~within_group) + passed) & last).words();
            for (std::size_t i = 0; i != group; ++i) {
                const StateSlot slot{first + ((home & within_group) ^ i) * stride_};
                const std::uint64_t owner = slot.owner();
                if (StateSlot::tag_of(owner) == tag && (!has_checks_ || slot.check() == key.check)) {
                    found.slot = slot;
                    found.is_known = true;
                    return found;
                }
                if (owner == StateSlot::empty) {
                    if (!found.slot) found.slot = slot;
                    return found;
                }
                if (found.slot) continue;
                if (owner == StateSlot::removed && !is_full) {
                    found.slot = slot;
                } else if (!prefers_empty) {
                    const std::int64_t expiry = expiry_of(slot, owner);
                    if (expiry <= expired_before && expiry > kept_until) found.slot = slot;
                }
            }
        }
        return found;
    }

    template <class Visit>
    void for_each_owned(std::size_t shard, Visit visit) noexcept {
        const std::size_t last = last_of(shard);
        for (std::size_t i = 0; i <= last; ++i) {
            const StateSlot slot = slot_in(shard, i);
            if (StateSlot::is_owned(slot.owner())) visit(slot);
        }
    }

    void give(StateSlot slot, std::uint64_t tag, std::uint64_t check, const Words& words) const noexcept {
        if (has_checks_) slot.set_check(check);  // before the owner
        slot.assign(tag, words);
    }
    /// Takes the slot from its key if its state has expired. Under the lock, as all that follows.
    bool take_expired(Shard& shard, StateSlot slot, std::int64_t expired_before) noexcept {
        Words words;
        const auto has_expired = [&](const auto& its) { return Form::expires_at(its.data()) <= expired_before; };
        if (!slot.template take_if<Form::expiry_words>(has_expired, words)) return false;
        let_go(shard, words, expired_before);
        return true;
    }
    static void let_go(Shard& shard, const Words& words, std::int64_t at) noexcept {
        shard.note_let_go(at, 1);
        if (shard.kept != 0 && Form::expires_at(words.data()) <= shard.began()) --shard.kept;
        Form::destroy(words.data());
    }
    bool free_expired(Shard& shard, StateSlot slot, std::int64_t expired_before) noexcept {
        if (!StateSlot::is_owned(slot.owner()) || !take_expired(shard, slot, expired_before)) return false;
        slot.clear(StateSlot::removed);  // and not `empty`, which would end the probes of those behind it
        count_.remove(1);
        return true;
    }

    /// Moves the live states and some that have expired, see Shard, into as many slots as they need, half full at most.
    /// False without memory for the move.
    bool rebuild(std::size_t index, std::int64_t now) noexcept;

    KeyCount& count_;
    bool has_checks_;
    std::size_t stride_;  // words of a slot
    std::size_t shard_slots_;
    std::size_t shard_count_;  // like shard_slots_ a power of two
    int shard_bits_;           // of a hash, the highest; then those of the position within
    int shift_;
    std::unique_ptr<Shard[]> shards_;
    // Apart from the shards, which new keys write to, so that those of a million keys fit the first-level cache.
    std::unique_ptr<std::atomic<std::int32_t>[]> masks_;
    ZeroedWords words_;
    alignas(64) std::atomic<std::size_t> next_reclaimed_{0};
};

}  // namespace sluice::detail

#endif
