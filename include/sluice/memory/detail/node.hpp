// SPDX-License-Identifier: MIT
#ifndef SLUICE_MEMORY_DETAIL_NODE_HPP
#define SLUICE_MEMORY_DETAIL_NODE_HPP

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include <sluice/memory/detail/slot.hpp>
#include <sluice/policy.hpp>

namespace sluice::detail {

/// A state that does not fit a word: the slot's word is its address. Used under the shard's mutex alone.
template <class State>
struct Node {
    State state{};
    std::int64_t expires_at_ns = 0;
    std::unique_ptr<const std::string> key{};  // only where whole keys are compared

    std::uint64_t word() noexcept { return reinterpret_cast<std::uintptr_t>(this); }
    static Node* of(std::uint64_t word) noexcept {
        return reinterpret_cast<Node*>(static_cast<std::uintptr_t>(word));  // NOLINT(performance-no-int-to-ptr)
    }
};

constexpr bool is_node(std::uint64_t owner) noexcept { return (owner & Slot::node_bit) != 0; }

template <Policy P>
constexpr bool fits_word(const P& policy) noexcept {
    if constexpr (WordPolicy<P>) return policy.fits_word();
    return false;
}

/// What the words of a table mean whose states are those of policy P.
template <Policy P>
struct Words {
    using StateNode = Node<typename P::State>;

    static std::int64_t expires_at(std::uint64_t owner, std::uint64_t word) noexcept {
        if constexpr (WordPolicy<P>) {
            if (!is_node(owner)) return P::word_expires_at(word).count();
        }
        static_cast<void>(owner);
        return StateNode::of(word)->expires_at_ns;
    }
    static void destroy(std::uint64_t owner, std::uint64_t word) noexcept {
        if (is_node(owner)) delete StateNode::of(word);
    }
};

}  // namespace sluice::detail

#endif
