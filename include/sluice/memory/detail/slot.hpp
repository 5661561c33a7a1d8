// SPDX-License-Identifier: MIT
#ifndef SLUICE_MEMORY_DETAIL_SLOT_HPP
#define SLUICE_MEMORY_DETAIL_SLOT_HPP

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace sluice::detail {

/// One key of the table: whose it is, and a 64-bit word of state.
///
/// The word is kept XORed with the fingerprint and changes by compare-and-swap alone. Words of different keys thus
/// differ even where their states are equal, and a swap that was prepared for one key fails when the slot has
/// meanwhile become another's (but for a chance of 2^-61, as if the two keys had one fingerprint).
class Slot {
public:
    // An owner: 61 bits of a key's hash, and in the lowest bits what it is.
    static constexpr std::uint64_t node_bit = 1;      // the word is the address of a Node
    static constexpr std::uint64_t overflow_bit = 2;  // a state that new keys share while the store is full
    static constexpr std::uint64_t owned_bit = 4;     // which tells every owner from the next two
    static constexpr std::uint64_t hash_bits = ~std::uint64_t{7};
    static constexpr std::uint64_t empty = 0;    // never used since the shard was last rebuilt: ends every probe
    static constexpr std::uint64_t removed = 1;  // may be used again; probes go on
    static constexpr std::uint64_t frozen = 0;   // in place of the word, while the slot changes hands

    // A reader that sees a new owner or word must see all that was done before: acquire here, release in the writers.
    std::uint64_t owner() const noexcept { return owner_.load(std::memory_order_acquire); }
    std::uint64_t stored() const noexcept { return word_.load(std::memory_order_acquire); }
    bool is_owned() const noexcept { return owner() > removed; }
    std::uint64_t word() const noexcept { return stored() ^ owner(); }

    /// Replaces what stored() returned. Relaxed on failure: the caller starts again with a new load.
    bool swap(std::uint64_t& stored, std::uint64_t owner, std::uint64_t word) noexcept {
        return word_.compare_exchange_strong(stored, word ^ owner, std::memory_order_acq_rel,
                                             std::memory_order_relaxed);
    }

    // The rest is for those who hold the shard's mutex and have closed its guard.
    bool freeze(std::uint64_t stored) noexcept {
        return word_.compare_exchange_strong(stored, frozen, std::memory_order_acq_rel, std::memory_order_relaxed);
    }
    std::uint64_t take() noexcept { return word_.exchange(frozen, std::memory_order_acq_rel) ^ owner(); }
    void give(std::uint64_t owner, std::uint64_t word) noexcept {
        owner_.store(owner, std::memory_order_release);
        word_.store(word ^ owner, std::memory_order_release);
    }
    void vacate(std::uint64_t mark) noexcept {
        word_.store(frozen, std::memory_order_release);
        owner_.store(mark, std::memory_order_release);
    }

private:
    std::atomic<std::uint64_t> word_{frozen};  // first, since most is done with it
    std::atomic<std::uint64_t> owner_{empty};
};

constexpr bool is_overflow(std::uint64_t owner) noexcept { return (owner & Slot::overflow_bit) != 0; }

inline constexpr std::size_t line_slots = 64 / sizeof(Slot);  // what one access to memory brings along

/// A shard's size and version in one word, so that a lookup can tell that no slot changed hands while it read:
/// `is_closed` or a changed value means that it must take the mutex instead.
struct Guard {
    const std::atomic<std::uint64_t>* word;
    std::uint64_t value;

    static constexpr std::uint64_t last_bits = 0xffff;  // where the shard's last slot begins, in bytes
    static constexpr std::uint64_t closed_bit = 0x1'0000;
    static constexpr std::uint64_t version_step = 0x2'0000;

    bool is_closed() const noexcept { return (value & closed_bit) != 0; }
    /// No key has ever had a slot in the shard.
    bool is_unused() const noexcept { return value == closed_bit; }
    /// Relaxed will do after the acquiring loads of slots.
    bool is_unchanged() const noexcept { return word->load(std::memory_order_relaxed) == value; }
    std::size_t slot_count() const noexcept { return static_cast<std::size_t>(value & last_bits) / sizeof(Slot) + 1; }
    /// A position in a table whose shards are as large as can be, brought into a smaller shard.
    std::size_t fit(std::size_t position) const noexcept {
        return position & static_cast<std::size_t>(value | ~last_bits);
    }
};

}  // namespace sluice::detail

#endif
