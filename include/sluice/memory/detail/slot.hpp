// SPDX-License-Identifier: MIT
#ifndef SLUICE_MEMORY_DETAIL_SLOT_HPP
#define SLUICE_MEMORY_DETAIL_SLOT_HPP

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include <time.h>

#include <sluice/decision.hpp>

namespace sluice::detail {

/// Does nothing for some 10 to 150 cycles.
[[gnu::always_inline]] inline void pause() noexcept {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("isb" ::: "memory");  // a yield would take no time
#endif
}

/// For who was overtaken in a slot: leaves it to the other thread for a while (0.1 to 0.7 us), which makes dozens of
/// decisions then. If both went on at once, they would wait for the slot's memory, which goes to and fro, for each.
[[gnu::noinline, gnu::cold]] inline void leave_to_others() noexcept {
    for (int i = 0; i != 16; ++i) pause();
}

/// For who waits for another thread that is a few instructions from being done, unless it was preempted there: spins,
/// then sleeps, so that the other one gets a processor even where this thread has the higher priority.
class Backoff {
public:
    void wait() noexcept {
        constexpr int spins = 100;
        if (++turns_ > spins) {
            const timespec fifty_us{0, 50'000};
            ::nanosleep(&fifty_us, nullptr);
            return;
        }
        pause();
    }

private:
    int turns_ = 0;
};

/// A slot of the table: the tag of the key that owns it, and N words of its state. A handle: copies are the same slot.
///
/// One word is kept XORed with the tag and changes by compare-and-swap. Words of different keys thus differ even where
/// their states are equal, and a swap that was prepared for one key fails when the slot has meanwhile become another's
/// (but for a chance of 2^-62, as if the two keys had one tag).
///
/// Several words change under the slot's own lock, the lowest bit of the owner, after they were found to be as they were
/// read; unlocking counts on the owner's version. Nobody writes who changes nothing: a denial or peek reads the owner, the
/// words, the first word and the owner again.
///
/// Only who holds the shard's lock gives a slot to a key or takes it away. docs/internals/memory.md has the proof.
template <std::size_t N>
class Slot {
public:
    using Word = std::atomic<std::uint64_t>;
    using Words = std::array<std::uint64_t, N>;

    // An owner: bits of a key's hash, for several words a version, and two bits beside.
    static constexpr std::uint64_t locked_bit = 1;
    static constexpr std::uint64_t owned_bit = 2;  // tells every owner from the next two
    static constexpr std::uint64_t empty = 0;      // never used since the shard was last rebuilt: ends every probe
    static constexpr std::uint64_t removed = 1;    // may be used again; probes go on
    static constexpr int version_size = N == 1 ? 0 : 10;
    static constexpr std::uint64_t version_step = 4;
    static constexpr std::uint64_t version_bits = (version_step << version_size) - version_step;
    static constexpr std::uint64_t hash_bits = ~(version_bits | owned_bit | locked_bit);

    /// What read() saw.
    struct Seen {
        std::uint64_t mark;  // the stored word, or the owner
        Words words;
    };

    Slot() = default;
    explicit Slot(Word* at) noexcept : at_(at) {}
    explicit operator bool() const noexcept { return at_ != nullptr; }
    Word* words() const noexcept { return at_; }

    // Whoever sees an owner or word sees what was done before it was stored: acquire here, release in the writers.
    std::uint64_t owner() const noexcept { return at_[0].load(std::memory_order_acquire); }
    static std::uint64_t tag_of(std::uint64_t owner) noexcept { return owner & (hash_bits | owned_bit); }
    static std::uint64_t tag_of_hash(std::uint64_t hash) noexcept { return (hash & hash_bits) | owned_bit; }
    static bool is_owned(std::uint64_t owner) noexcept { return owner > removed; }
    /// The second half of a wide fingerprint; a table may do without.
    std::uint64_t check() const noexcept { return at_[N + 1].load(std::memory_order_acquire); }

    /// The state of the key that owns the slot; false if that is another now, or it is being changed.
    [[gnu::always_inline]] bool read(std::uint64_t tag, Seen& seen) const noexcept {
        if constexpr (N == 1) {
            seen.mark = at_[1].load(std::memory_order_acquire);
            seen.words[0] = seen.mark ^ tag;
            return owner() == tag;
        } else {
            seen.mark = owner();
            seen.words = load();
            return (seen.mark & ~version_bits) == tag;
        }
    }
    /// Whether the slot holds what was seen. Relaxed will do: the loads before were acquiring ones.
    [[gnu::always_inline]] bool is_unchanged(const Seen& seen) const noexcept {
        if constexpr (N == 1) {
            return at_[1].load(std::memory_order_relaxed) == seen.mark;
        } else {
            return at_[1].load(std::memory_order_acquire) == seen.words[0] &&
                   at_[0].load(std::memory_order_relaxed) == seen.mark;
        }
    }
    /// Replaces what was seen, if it is still so.
    [[gnu::always_inline]] bool replace(const Seen& seen, std::uint64_t tag, const Words& words) const noexcept {
        if constexpr (N == 1) {
            std::uint64_t expected = seen.mark;  // a copy, whose address may be taken: so `seen` stays in registers
            if (at_[1].compare_exchange_strong(expected, words[0] ^ tag, std::memory_order_acq_rel,
                                               std::memory_order_relaxed)) [[likely]]
                return true;
            leave_to_others();
            return false;
        } else {
            if (!try_lock(seen.mark)) return false;
            const bool is_same = is_equal(load(), seen.words);
            if (is_same) store(words);
            at_[0].store(is_same ? next_version(seen.mark) : seen.mark, std::memory_order_release);
            return is_same;
        }
    }

    [[gnu::always_inline]] static bool is_equal(const Words& a, const Words& b) noexcept {  // == would call memcmp
        std::uint64_t difference = 0;
        for (std::size_t i = 0; i != N; ++i) difference |= a[i] ^ b[i];
        return difference == 0;
    }

    /// For a state that owns memory: all words but the first are the caller's alone until unlock(). False as of read().
    bool lock(std::uint64_t tag, std::uint64_t& mark) const noexcept {
        mark = at_[0].load(std::memory_order_relaxed);
        return (mark & ~version_bits) == tag && try_lock(mark);
    }
    Word& first_word() const noexcept { return at_[1]; }
    Word& second_word() const noexcept { return at_[2]; }
    void unlock(std::uint64_t mark) const noexcept { at_[0].store(next_version(mark), std::memory_order_release); }

    // The rest is for those who hold the shard's lock: the owner does not change but for its two lowest bits.

    /// So many of the words as they are at the moment, of an owner that was seen.
    template <std::size_t count>
    std::array<std::uint64_t, count> peek(std::uint64_t owner) const noexcept {
        if constexpr (N == 1) return {at_[1].load(std::memory_order_acquire) ^ tag_of(owner)};
        return load<count>();
    }
    /// Takes the slot from its key if `may_take` so many of the words; false also where the key is at it. assign() or
    /// clear() follows.
    template <std::size_t count, class MayTake>
    bool take_if(MayTake may_take, Words& words) const noexcept {
        std::uint64_t mark = at_[0].load(std::memory_order_relaxed);
        if constexpr (N == 1) {
            std::uint64_t stored = at_[1].load(std::memory_order_acquire);
            words = {stored ^ mark};
            if (!may_take(words)) return false;
            // First, so that whoever sees the word gone sees the owner gone, too.
            at_[0].store(mark | locked_bit, std::memory_order_relaxed);
            if (at_[1].compare_exchange_strong(stored, 0, std::memory_order_acq_rel, std::memory_order_relaxed))
                return true;
        } else {
            if ((mark & locked_bit) != 0 || !may_take(load<count>()) || !try_lock(mark)) return false;
            words = load();
            if (may_take(words)) return true;
        }
        at_[0].store(mark, std::memory_order_release);
        return false;
    }
    /// Takes the slot from its key, waiting until that is not at it.
    Words take() const noexcept {
        std::uint64_t mark = at_[0].load(std::memory_order_relaxed);
        if constexpr (N == 1) {
            at_[0].store(mark | locked_bit, std::memory_order_relaxed);
            return {at_[1].exchange(0, std::memory_order_acq_rel) ^ mark};
        } else {
            for (Backoff backoff; !try_lock(mark); mark = at_[0].load(std::memory_order_relaxed)) backoff.wait();
            return load();
        }
    }
    void assign(std::uint64_t tag, const Words& words) const noexcept {
        if constexpr (N == 1) {
            at_[1].store(words[0] ^ tag, std::memory_order_release);
        } else {
            store(words);
        }
        at_[0].store(tag, std::memory_order_release);
    }
    void set_check(std::uint64_t check) const noexcept { at_[N + 1].store(check, std::memory_order_release); }
    void clear(std::uint64_t mark) const noexcept {
        at_[1].store(0, std::memory_order_release);
        at_[0].store(mark, std::memory_order_release);
    }

private:
    static std::uint64_t next_version(std::uint64_t owner) noexcept {
        return (owner & ~version_bits) | ((owner + version_step) & version_bits);
    }
    [[gnu::always_inline]] bool try_lock(std::uint64_t mark) const noexcept {
        return (mark & locked_bit) == 0 &&
               at_[0].compare_exchange_strong(mark, mark | locked_bit, std::memory_order_acquire,
                                              std::memory_order_relaxed);
    }
    template <std::size_t count = N>
    [[gnu::always_inline]] std::array<std::uint64_t, count> load() const noexcept {
        std::array<std::uint64_t, count> words;
        for (std::size_t i = 0; i != count; ++i) words[i] = at_[i + 1].load(std::memory_order_acquire);
        return words;
    }
    [[gnu::always_inline]] void store(const Words& words) const noexcept {
        for (std::size_t i = 0; i != N; ++i) at_[i + 1].store(words[i], std::memory_order_release);
    }

    Word* at_ = nullptr;
};

/// Runs `step(words)`, which decides, on what a slot was seen to hold, and puts the new words in place. False if the slot
/// is not what it was any more: then nothing happened.
template <std::size_t N, class Step>
[[gnu::always_inline]] inline Decision step_slot(Slot<N> slot, std::uint64_t tag, typename Slot<N>::Seen& seen,
                                                 Step step, bool& is_decided) noexcept {
    auto words = seen.words;
    const Decision decision = step(words);
    is_decided = Slot<N>::is_equal(words, seen.words) ? slot.is_unchanged(seen) : slot.replace(seen, tag, words);
    return decision;
}

}  // namespace sluice::detail

#endif
