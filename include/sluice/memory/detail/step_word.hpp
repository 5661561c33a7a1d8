// SPDX-License-Identifier: MIT
#ifndef SLUICE_MEMORY_DETAIL_STEP_WORD_HPP
#define SLUICE_MEMORY_DETAIL_STEP_WORD_HPP

#include <cstdint>

#include <sluice/memory/detail/slot.hpp>
#include <sluice/policy.hpp>

namespace sluice::detail {

/// What became of a step on a word. Nothing is done but by the first.
/// overtaken: another thread has changed the word meanwhile.
/// back: the state would expire sooner. So the clock went back, or far more often this thread was held up after it
/// read the clock, while others went on with later times, which must not be undone: only a new reading tells.
/// unknown: the key is not found, or its slot is changing hands.
enum class Stepped { done, overtaken, back, unknown };

template <WordPolicy P>
bool expires_sooner(std::uint64_t word, std::uint64_t than) noexcept {
    // The first comparison settles it as a rule, and costs least.
    return static_cast<std::int64_t>(word) < static_cast<std::int64_t>(than) &&
           P::word_expires_at(word) < P::word_expires_at(than);
}

/// Runs `step(word)`, which makes a decision, on what a slot was seen to store for its owner, and swaps in the new
/// word. `goes_back(expiry)` tells whether the state may expire sooner than before.
template <WordPolicy P, class Step, class GoesBack>
[[gnu::always_inline]] inline Decision step_word(Slot& slot, std::uint64_t stored, std::uint64_t owner, Step step,
                                                 Stepped& stepped, GoesBack goes_back) noexcept {
    const std::uint64_t before = stored ^ owner;
    std::uint64_t word = before;
    const Decision decision = step(word);
    if (word == before) {
        stepped = Stepped::done;
    } else if (expires_sooner<P>(word, before) && !goes_back(P::word_expires_at(word).count())) [[unlikely]] {
        stepped = Stepped::back;
    } else {
        stepped = slot.swap(stored, owner, word) ? Stepped::done : Stepped::overtaken;
    }
    return decision;
}

}  // namespace sluice::detail

#endif
