// SPDX-License-Identifier: MIT
#ifndef SLUICE_LAYERS_DETAIL_KEY_WORDS_HPP
#define SLUICE_LAYERS_DETAIL_KEY_WORDS_HPP

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

#include <sluice/clock.hpp>
#include <sluice/decision.hpp>
#include <sluice/detail/saturate.hpp>
#include <sluice/memory/memory_store.hpp>
#include <sluice/store.hpp>

namespace sluice::detail::layers {

/// What a layer knows of a key in one word: a time until which it is worth keeping, in steps of 2^30 ns (about a second),
/// and 30 bits of the layer's own. A policy for MemoryStore's sake: its step() is whatever the layer wants done with the
/// word. "Allowed" means changed: a key is given a slot only then.
struct KeyWord {
    struct State {
        std::uint64_t word = 0;  ///< 0: nothing is known
    };
    struct Seen {
        std::uint64_t word = 0;
        std::int64_t now_ns = int64_min;  ///< when
    };
    static constexpr std::string_view kind = "key_word";
    static constexpr std::uint64_t own_bits = (std::uint64_t{1} << 30) - 1;

    /// `own` is less than 2^30; the time is rounded up, and must not be negative.
    static std::uint64_t make(std::int64_t until_ns, std::uint64_t own) noexcept {
        return (static_cast<std::uint64_t>(add(until_ns, static_cast<std::int64_t>(own_bits))) & ~own_bits) | own;
    }
    static std::int64_t until(std::uint64_t word) noexcept { return static_cast<std::int64_t>(word & ~own_bits); }

    Decision step(State& state, std::chrono::nanoseconds now, std::uint64_t) const noexcept {
        Decision decision;
        if (seen != nullptr) {
            *seen = {state.word, now.count()};
        } else {
            const std::uint64_t before = std::exchange(state.word, edit(context, state.word, now.count()));
            decision.allowed = state.word != before;
        }
        decision.retry_after = Decision::never;  // a denial that is no reason to look at the clock again
        return decision;
    }
    static constexpr std::array<std::uint64_t, 0> parameters() noexcept { return {}; }
    static constexpr Quota quota() noexcept { return {}; }
    static std::chrono::nanoseconds expires_at(const State& state) noexcept { return word_expires_at(state.word); }
    static constexpr bool fits_word() noexcept { return true; }
    static constexpr std::uint64_t pack(const State& state) noexcept { return state.word; }
    static constexpr State unpack(std::uint64_t word) noexcept { return {word}; }
    static std::chrono::nanoseconds word_expires_at(std::uint64_t word) noexcept {
        return std::chrono::nanoseconds{until(word)};
    }

    std::uint64_t (*edit)(void* context, std::uint64_t word, std::int64_t now_ns) noexcept = nullptr;
    void* context = nullptr;
    Seen* seen = nullptr;  ///< instead of an edit: the word is only to be seen
};

/// The words of at most so many keys. Full, it forgets nothing and takes no more.
template <Clock C>
class KeyWords {
public:
    KeyWords(std::size_t max_keys, C clock)
        : store_({.max_keys = max_keys, .on_full = OnFull::allow}, std::move(clock)) {}

    /// Replaces a key's word by edit(word, now in ns), atomically; the last of its calls counts. Takes no lock where the
    /// word stays as it is or the key has a slot. `now` is the caller's time, or nothing: then the clock's.
    template <class Edit, class... Now>
    [[gnu::always_inline]] void edit(std::uint64_t scope_id, std::string_view key, Edit edit,
                                     Now... now) const noexcept {
        const KeyWord word{[](void* context, std::uint64_t before, std::int64_t now_ns) noexcept {
                               return (*static_cast<Edit*>(context))(before, now_ns);
                           },
                           &edit};
        ask({{{}, word, scope_id}, key}, now...);
    }

    /// A key's word, and the time by which it was looked up. Takes no lock where the key has a slot.
    template <class... Now>
    [[gnu::always_inline]] KeyWord::Seen look(std::uint64_t scope_id, std::string_view key, Now... now) const noexcept {
        KeyWord::Seen seen;
        const KeyWord word{nullptr, nullptr, &seen};
        ask({{{}, word, scope_id}, key}, now...);
        return seen;
    }

    /// Under the lock under which new keys are given slots: an edit() that is under way is done before, or sees all that
    /// the caller did before.
    void erase(std::uint64_t scope_id, std::string_view key) const noexcept {
        const KeyWord none{};
        static_cast<void>(store_.decide({{{}, none, scope_id}, key, 0, Operation::reset}));
    }

    const C& clock() const noexcept { return store_.clock(); }

private:
    template <class... Now>
    [[gnu::always_inline]] void ask(const Request<KeyWord>& request, Now... now) const noexcept {
        if constexpr (sizeof...(Now) == 0) {
            static_cast<void>(store_.decide(request));
        } else {
            static_cast<void>(store_.decide_at(request, now...));
        }
    }

    MemoryStore<KeyWord, C> store_;
};

}  // namespace sluice::detail::layers

#endif
