// SPDX-License-Identifier: MIT
#ifndef SLUICE_MEMORY_DETAIL_STATE_FORM_HPP
#define SLUICE_MEMORY_DETAIL_STATE_FORM_HPP

#include <array>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <tuple>
#include <type_traits>
#include <utility>

#include <sluice/detail/algorithm.hpp>
#include <sluice/detail/saturate.hpp>
#include <sluice/memory/detail/slot.hpp>
#include <sluice/policy.hpp>

namespace sluice {

/// A policy whose state fits one 64-bit word for most parameters (fits_word() tells), so that a store may swap it
/// atomically. unpack(pack(state)) must decide as `state` does. word_expires_at is static: a store has to know it
/// for a word that another policy of the kind packed, and may be up to one window later than expires_at.
///
/// Optional: step_word(word, now, cost) -> Decision, a step that gets by without unpacking the usual state. What is not
/// usual it may leave undone: the word as it was, and a denial with retry_after 0, which no finished step returns.
template <class P>
concept WordPolicy = Policy<P> && requires(const P& policy, const typename P::State& state, std::uint64_t word) {
    { policy.fits_word() }
    noexcept->std::same_as<bool>;
    { policy.pack(state) }
    noexcept->std::same_as<std::uint64_t>;
    { policy.unpack(word) }
    noexcept->std::same_as<typename P::State>;
    { P::word_expires_at(word) }
    noexcept->std::same_as<std::chrono::nanoseconds>;
};

}  // namespace sluice

// How the states of a policy are kept in the words of a slot. A form has
//   words                              how many
//   fits(policy)                       whether states of this policy take the form
//   load(policy, words, state), save(policy, state, words)
//   step(policy, words, now, cost)     PackedForm only: a policy's step on words, its own where it has one that does with less
//   expires_at(words)                  the policy need not be known; of the first expiry_words alone
//   destroy(words), owns_memory        what they own, if anything
//   give(policy, state, words), state_in(slot)   where they do
// A policy has one or two: PackedForm where it can be, PlainForm otherwise.
namespace sluice::detail {

inline constexpr std::size_t max_state_words = 6;

template <class Form, class P, std::size_t N>
Decision step_state(const P& policy, std::array<std::uint64_t, N>& words, std::chrono::nanoseconds now,
                    std::uint64_t cost) noexcept {
    typename P::State state;
    Form::load(policy, words.data(), state);
    const Decision decision = policy.step(state, now, cost);
    Form::save(policy, state, words.data());
    return decision;
}

/// One word for each policy of its own, where all of them are WordPolicies.
template <class P>
struct PackedForm {
    static constexpr std::size_t words = 0;  // there is none
    static constexpr bool always_fits = false;
    static bool fits(const P&) noexcept { return false; }
};

template <WordPolicy P>
struct PackedForm<P> {
    using State = typename P::State;
    static constexpr std::size_t words = 1, expiry_words = words;
    static constexpr bool always_fits = requires { requires std::bool_constant<P::fits_word()>::value; };
    static constexpr bool owns_memory = false;

    static bool fits(const P& policy) noexcept { return policy.fits_word(); }
    static void load(const P& policy, const std::uint64_t* from, State& state) noexcept {
        state = policy.unpack(*from);
    }
    static void save(const P& policy, const State& state, std::uint64_t* to) noexcept { *to = policy.pack(state); }
    [[gnu::always_inline]] static Decision step(const P& policy, std::array<std::uint64_t, 1>& packed,
                                                std::chrono::nanoseconds now, std::uint64_t cost) noexcept {
        if constexpr (requires { policy.step_word(packed[0], now, cost); }) {
            return policy.step_word(packed[0], now, cost);
        } else {
            return step_state<PackedForm>(policy, packed, now, cost);
        }
    }
    static std::int64_t expires_at(const std::uint64_t* word) noexcept { return P::word_expires_at(*word).count(); }
    static void destroy(const std::uint64_t*) noexcept {}
};

template <class... P>
struct PackedParts {
    static constexpr std::size_t words = sizeof...(P), expiry_words = words;
    static constexpr bool always_fits = (PackedForm<P>::always_fits && ...);
    static constexpr bool owns_memory = false;

    template <class Combined>
    static bool fits(const Combined& policy) noexcept {
        return std::apply([](const P&... part) { return (part.fits_word() && ...); }, policy.policies());
    }
    template <class Combined, class State>
    static void load(const Combined& policy, const std::uint64_t* from, State& state) noexcept {
        for_each(policy.policies(), state,
                 [&](const auto& part, auto& its, std::size_t i) { its = part.unpack(from[i]); });
    }
    template <class Combined, class State>
    static void save(const Combined& policy, const State& state, std::uint64_t* to) noexcept {
        for_each(policy.policies(), state,
                 [&](const auto& part, const auto& its, std::size_t i) { to[i] = part.pack(its); });
    }
    template <class Combined>
    [[gnu::always_inline]] static Decision step(const Combined& policy, std::array<std::uint64_t, words>& packed,
                                                std::chrono::nanoseconds now, std::uint64_t cost) noexcept {
        if constexpr (requires { policy.step_words(packed, now, cost); }) {
            return policy.step_words(packed, now, cost);
        } else {
            return step_state<PackedParts>(policy, packed, now, cost);
        }
    }
    static std::int64_t expires_at(const std::uint64_t* from) noexcept {
        std::int64_t latest = int64_min;
        ((latest = std::max<std::int64_t>(latest, P::word_expires_at(*from++).count())), ...);
        return latest;
    }
    static void destroy(const std::uint64_t*) noexcept {}

private:
    template <class Policies, class State, class Visit>
    static void for_each(const Policies& policies, State& state, Visit visit) noexcept {
        [&]<std::size_t... I>(std::index_sequence<I...>) { (visit(std::get<I>(policies), std::get<I>(state), I), ...); }
        (std::index_sequence_for<P...>{});
    }
};

template <class Policies>
struct PackedTuple {
    static constexpr std::size_t words = 0;
};
template <WordPolicy... P>
requires(sizeof...(P) <= max_state_words) struct PackedTuple<std::tuple<P...>> : PackedParts<P...> {
};

/// A policy of several, as AllOf is: its state is the tuple of theirs.
template <class P>
using PoliciesOf = std::remove_cvref_t<decltype(std::declval<const P&>().policies())>;

template <class P>
requires(PackedTuple<PoliciesOf<P>>::words != 0) struct PackedForm<P> : PackedTuple<PoliciesOf<P>> {
};

/// The bytes of trivially copyable objects, or tuples of them, in words.
template <class T>
struct Bytes {
    static constexpr bool can_copy = std::is_trivially_copyable_v<T>;
    static constexpr std::size_t words = (sizeof(T) + 7) / 8;
    static void load(const std::uint64_t* from, T& to) noexcept {
        std::memcpy(static_cast<void*>(&to), from, sizeof to);
    }
    static void save(const T& from, std::uint64_t* to) noexcept {
        to[words - 1] = 0;  // so that equal states have equal words
        std::memcpy(to, static_cast<const void*>(&from), sizeof from);
    }
};
template <class... T>
struct Bytes<std::tuple<T...>> {
    static constexpr bool can_copy = (Bytes<T>::can_copy && ...);
    static constexpr std::size_t words = (Bytes<T>::words + ...);
    static void load(const std::uint64_t* from, std::tuple<T...>& to) noexcept {
        std::apply([&](T&... part) { (Bytes<T>::load(std::exchange(from, from + Bytes<T>::words), part), ...); }, to);
    }
    static void save(const std::tuple<T...>& from, std::uint64_t* to) noexcept {
        std::apply([&](const T&... part) { (Bytes<T>::save(part, std::exchange(to, to + Bytes<T>::words)), ...); },
                   from);
    }
};

/// Whether an object that owns memory is one wherever its bytes are, if it is forgotten where they were.
template <class T>
concept TriviallyRelocatable = requires {
    requires T::is_trivially_relocatable;
}
&&alignof(T) <= 8;

/// When the state expires, and the state as it is; or its address, where it is large, or owns memory and cannot be moved as
/// bytes. A state that owns memory is only looked at under the slot's lock, and changes where it is. Its policy may have a
/// step_at_once(state, now, cost) noexcept -> Decision for the usual admission, without reserve() before. For what is not
/// usual it changes nothing and denies; then reserve() and step() follow.
template <Policy P>
struct PlainForm {
    using State = typename P::State;
    static constexpr bool is_boxed =
        !(Bytes<State>::can_copy || TriviallyRelocatable<State>) || Bytes<State>::words > max_state_words;
    static constexpr std::size_t words = 1 + (is_boxed ? 1 : Bytes<State>::words);
    static constexpr std::size_t expiry_words = 1;
    static constexpr bool always_fits = true;
    static constexpr bool owns_memory = is_boxed || !Bytes<State>::can_copy;

    static bool fits(const P&) noexcept { return true; }
    static void load(const P&, const std::uint64_t* from, State& state) noexcept {
        Bytes<State>::load(from + 1, state);
    }
    static void save(const P& policy, const State& state, std::uint64_t* to) noexcept {
        to[0] = static_cast<std::uint64_t>(policy.expires_at(state).count());
        Bytes<State>::save(state, to + 1);
    }
    static std::int64_t expires_at(const std::uint64_t* from) noexcept { return static_cast<std::int64_t>(from[0]); }

    /// Moves `state` into words, which own it then. False without memory.
    static bool give(const P& policy, State& state, std::uint64_t* to) noexcept requires(owns_memory) {
        if constexpr (is_boxed) {
            to[0] = static_cast<std::uint64_t>(policy.expires_at(state).count());
            State* const box = new (std::nothrow) State(std::move(state));
            to[1] = reinterpret_cast<std::uintptr_t>(box);
            return box != nullptr;
        } else {
            save(policy, state, to);
            std::construct_at(&state);  // over what is the words' now
            return true;
        }
    }
    /// The state that a locked slot owns.
    static State& state_in(Slot<words> slot) noexcept requires(owns_memory) {
        if constexpr (is_boxed) return *box(slot.second_word().load(std::memory_order_relaxed));
        return *std::launder(reinterpret_cast<State*>(&slot.second_word()));
    }
    static void destroy(const std::uint64_t* from) noexcept {
        if constexpr (is_boxed) {
            delete box(from[1]);
        } else if constexpr (owns_memory) {
            State state;
            Bytes<State>::load(from + 1, state);
        }
    }

private:
    static State* box(std::uint64_t address) noexcept {
        return reinterpret_cast<State*>(static_cast<std::uintptr_t>(address));  // NOLINT(performance-no-int-to-ptr)
    }
};

}  // namespace sluice::detail

#endif
