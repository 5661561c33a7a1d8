// SPDX-License-Identifier: MIT
#ifndef SLUICE_MEMORY_DETAIL_STEP_WORD_HPP
#define SLUICE_MEMORY_DETAIL_STEP_WORD_HPP

#include <chrono>
#include <cstdint>

#include <sluice/memory/detail/slot.hpp>
#include <sluice/policy.hpp>

namespace sluice::detail {

/// Result of one attempt to step a key's state without the shard's mutex. Only `committed` decided, and may have changed
/// the state.
/// contended: another thread changed the word meanwhile; try again.
/// needs_lock: the key has no slot, or it is changing hands, or its state would expire earlier than before.
enum class StepResult { committed, contended, needs_lock };

/// A policy's step on a word: its own, where it has one that gets by with less than to unpack the state.
template <WordPolicy P>
[[gnu::always_inline]] inline Decision step_word(const P& policy, std::uint64_t& word, std::chrono::nanoseconds now,
                                                 std::uint64_t cost) noexcept {
    if constexpr (requires { policy.step_word(word, now, cost); }) {
        return policy.step_word(word, now, cost);
    } else {
        auto state = policy.unpack(word);
        const Decision decision = policy.step(state, now, cost);
        word = policy.pack(state);
        return decision;
    }
}

/// Runs `step(word)`, which makes a decision, on what a slot was seen to store for its owner, and swaps in the new word.
template <class Step>
[[gnu::always_inline]] inline Decision step_slot(Slot& slot, std::uint64_t stored, std::uint64_t owner, Step step,
                                                 StepResult& result) noexcept {
    const std::uint64_t before = stored ^ owner;
    std::uint64_t word = before;
    const Decision decision = step(word);
    if (word == before) {
        result = StepResult::committed;
    } else if (!decision.allowed) [[unlikely]] {
        result = StepResult::needs_lock;  // only a clock that was set back makes a denial write, and time go back
    } else {
        result = slot.swap(stored, owner, word) ? StepResult::committed : StepResult::contended;
    }
    return decision;
}

}  // namespace sluice::detail

#endif
