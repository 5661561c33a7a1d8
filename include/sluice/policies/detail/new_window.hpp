// SPDX-License-Identifier: MIT
#ifndef SLUICE_POLICIES_DETAIL_NEW_WINDOW_HPP
#define SLUICE_POLICIES_DETAIL_NEW_WINDOW_HPP

#include <chrono>
#include <cstdint>
#include <utility>

#include <sluice/decision.hpp>

// What step_word() of a policy of windows does where its word belongs to another window than `now`: unpacks it. One ahead of
// `now` is left undone.
namespace sluice::detail {

/// Kept out of the way of what is usual; the word by value, so that that stays in a register.
template <class P>
[[gnu::noinline]] std::pair<Decision, std::uint64_t> stepped_in_new_window(const P& policy, std::uint64_t word,
                                                                           std::chrono::nanoseconds now,
                                                                           std::uint64_t cost) noexcept {
    auto state = policy.unpack(word);
    if (policy.is_ahead(state, now)) return {Decision{}, word};
    const Decision decision = policy.step(state, now, cost);
    return {decision, policy.pack(state)};
}

/// Makes the Decision that is returned, in its place: a copy would wait for the stores of its members.
template <class P>
[[gnu::always_inline]] inline Decision step_in_new_window(const P& policy, std::uint64_t& word,
                                                          std::chrono::nanoseconds now, std::uint64_t cost) noexcept {
    const auto [decision, after] = stepped_in_new_window(policy, word, now, cost);
    word = after;
    return decision;
}

}  // namespace sluice::detail

#endif
