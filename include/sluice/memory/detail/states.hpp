// SPDX-License-Identifier: MIT
#ifndef SLUICE_MEMORY_DETAIL_STATES_HPP
#define SLUICE_MEMORY_DETAIL_STATES_HPP

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include <sluice/error.hpp>
#include <sluice/memory/detail/key_hash.hpp>
#include <sluice/memory/detail/node.hpp>
#include <sluice/memory/detail/step_word.hpp>
#include <sluice/memory/detail/table.hpp>
#include <sluice/memory/memory_options.hpp>
#include <sluice/policy.hpp>
#include <sluice/store.hpp>

namespace sluice::detail {

/// The states of a MemoryStore: finds the one that a request means and runs the policy's step on it, in the slot's word
/// by compare-and-swap, or in a Node under the shard's mutex.
template <Policy P, class C>
class States {
public:
    using State = typename P::State;

    struct Place {
        std::uint64_t owner;  // 62 bits of hash, Slot::owned_bit, and in the lowest whether the word is a Node
        std::size_t shard;
        Guard guard;  // as found; if slots change hands later, the lookup starts anew under the mutex
        Slot* home;   // where the probe begins
        bool spare;   // an overflow state
    };

    explicit States(const MemoryOptions& options)
        : options_(options), owner_marks_(Slot::owned_bit | (options.full_keys ? 1 : 0)), table_(options.max_keys) {}

    const auto& table() const noexcept { return table_; }
    std::uint64_t overflowed() const noexcept { return overflowed_.load(std::memory_order_relaxed); }

    [[gnu::always_inline]] Place locate(const Request<P>& request) const noexcept {
        return place_of(hash_(request.scope.id, request.key), request.scope.policy, false);
    }

    /// `clock` told `now`, and can tell it again; null where the caller gave the time.
    [[gnu::always_inline]] Decision decide(const Request<P>& request, const Place& place, std::chrono::nanoseconds now,
                                           const C* clock) noexcept {
        const P& policy = request.scope.policy;
        auto stepped = Stepped::unknown;
        Decision decision = decide_at_once(request, place, now, stepped);
        if (stepped == Stepped::done) [[likely]]
            return decision;
        decide_slowly(decision, policy, request.scope.id, request.key, request.units, request.operation, now, clock);
        return decision;
    }

private:
    using StateNode = Node<State>;
    using StateTable = Table<Words<P>>;
    using Placed = typename StateTable::Placed;

    /// The time of a decision, and the clock that told it; null where the caller gave the time.
    struct Moment {
        std::chrono::nanoseconds now;
        const C* clock;

        bool read_again() noexcept {
            if (clock == nullptr) return false;
            now = std::exchange(clock, nullptr)->now();
            return true;
        }
    };

    [[gnu::always_inline]] Place place_of(std::uint64_t hash, const P& policy, bool spare) const noexcept {
        Place place;  // member by member: else a batch's copy of it waits for the stores (no store forwarding)
        place.owner = (hash & ~std::uint64_t{3}) | owner_marks_ | (fits_word(policy) ? 0 : 1);
        const std::size_t position = table_.position_of(place.owner);
        place.shard = table_.shard_of(position);
        place.spare = spare;
        place.guard = table_.guard(place.shard);
        place.home = table_.home(position, place.guard);
        return place;
    }

    [[gnu::always_inline]] Decision decide_at_once(const Request<P>& request, const Place& place,
                                                   std::chrono::nanoseconds now, Stepped& stepped) noexcept {
        const P& policy = request.scope.policy;
        if constexpr (WordPolicy<P>) {
            if (request.operation == Operation::consume && !is_node(place.owner)) [[likely]] {
                return step_unlocked(
                    place,
                    [&](std::uint64_t & word)
                        __attribute__((always_inline)) { return step_packed(policy, word, now, request.units); },
                    stepped);
            }
        }
        return Decision{};
    }

    /// All but an attempt to consume from a known key's word. Looks the key up anew, which spares the fast path to keep
    /// what it knows. Takes the decision by reference, whereby the one made by the fast path has to be in memory before
    /// the swap: else it waits in registers there, and half of what the step needs has to be spilled.
    [[gnu::noinline]] void decide_slowly(Decision& decision, const P& policy, std::uint64_t scope_id,
                                         std::string_view key, std::uint64_t units, Operation operation,
                                         std::chrono::nanoseconds now, const C* clock) noexcept {
        const Request<P> request{{{}, policy, scope_id}, key, units, operation};  // no use for the name
        decision = decide_slowly(request, locate(request), Moment{now, clock});
    }
    Decision decide_slowly(const Request<P>& request, const Place& place, Moment moment) noexcept {
        using std::chrono::nanoseconds;
        const P& policy = request.scope.policy;
        switch (request.operation) {
            case Operation::consume:
                return run(request, place, moment,
                           [&](State& state, nanoseconds now) { return policy.step(state, now, request.units); });
            case Operation::peek:
                return run(request, place, moment, [&](State& state, nanoseconds now) {
                    return sluice::peek(policy, state, now, request.units);
                });
            case Operation::refund:
                if constexpr (RefundablePolicy<P>) {
                    return run_locked(request, place, moment, [&](State& state, nanoseconds now) {
                        policy.refund(state, now, request.units);
                        return Decision{};
                    });
                }
                return failure(Errc::unsupported);
            case Operation::reset:
                return run_locked(request, place, moment, [](State& state, nanoseconds) {
                    state = State{};
                    return Decision{};
                });
        }
        return failure(Errc::invalid_argument);
    }

    template <class Step>
    Decision run(const Request<P>& request, const Place& place, Moment moment, Step step) noexcept {
        if constexpr (WordPolicy<P>) {
            if (!is_node(place.owner)) {
                for (auto stepped = Stepped::overtaken;
                     stepped == Stepped::overtaken || (stepped == Stepped::back && moment.read_again());) {
                    const auto step_now = on_word(request.scope.policy, step, moment.now);
                    const Decision decision = step_unlocked(place, step_now, stepped);
                    if (stepped == Stepped::done) return decision;
                }
            }
        }
        return run_locked(request, place, moment, step);
    }

    /// A step on a state as one on its word.
    template <class Step>
    static auto on_word(const P& policy, Step step, std::chrono::nanoseconds now) noexcept {
        return [&policy, step, now](std::uint64_t& word) {
            return step_unpacked(policy, word, [&](State& state) { return step(state, now); });
        };
    }

    template <class Step>
    [[gnu::always_inline]] Decision step_unlocked(const Place& place, Step step, Stepped& stepped) noexcept {
        stepped = Stepped::unknown;
        if (place.guard.is_closed()) [[unlikely]]
            return Decision{};
        Slot* slot = place.home;
        if (slot->owner() != place.owner) [[unlikely]] {
            slot = table_.find(place.shard, place.guard, place.owner);
            if (slot == nullptr) return Decision{};
        }
        const std::uint64_t stored = slot->stored();
        // The guard vouches that the word is this key's; from here to the swap its XORed form does.
        if (!place.guard.is_unchanged()) [[unlikely]]
            return Decision{};
        return step_word<P>(*slot, stored, place.owner, step, stepped, [](std::int64_t) { return false; });
    }

    template <class Step>
    Decision run_locked(const Request<P>& request, const Place& place, Moment moment, Step step) noexcept {
        Decision decision;
        try {
            for (int attempt = 0; attempt != 4; ++attempt) {
                const Placed placed = try_locked(request, place, moment, step, decision);
                if (placed == Placed::done) return decision;
                if (placed == Placed::no_memory) return failure(Errc::no_memory);
                if (!table_.reclaim(moment.now.count())) break;
            }
        } catch (...) {  // no memory for a state
            return failure(Errc::no_memory);
        }
        if (!place.spare) overflowed_.fetch_add(1, std::memory_order_relaxed);
        // Where other scopes have taken all overflow states, this one has to be refused.
        if (options_.on_full == OnFull::overflow && !place.spare) {
            return decide_slowly(request, overflow_place(request, place), moment);
        }
        decision = failure(Errc::store_full);
        decision.limit = request.scope.policy.quota().limit;
        decision.allowed = options_.on_full == OnFull::allow;
        return decision;
    }

    /// One attempt under the shard's mutex. Throws std::bad_alloc and leaves everything as it was.
    template <class Step>
    Placed try_locked(const Request<P>& request, const Place& place, Moment moment, Step step, Decision& decision) {
        const P& policy = request.scope.policy;
        const std::string_view key = place.spare ? std::string_view{} : request.key;
        const bool consuming = request.operation == Operation::consume;
        auto& shard = table_.shard(place.shard);
        const std::lock_guard lock{shard.mutex};
        static_cast<void>(moment.read_again());  // others may have gone on while this thread waited

        const Guard guard = table_.guard(place.shard);
        Slot* const slot = guard.is_closed() ? nullptr : find_locked(place, guard, key);
        if (slot == nullptr) {
            State state{};
            if (consuming) reserve(policy, state, moment.now, request.units);
            decision = step(state, moment.now);
            if (!consuming || !decision.allowed) return Placed::done;
            return insert(policy, place, key, std::move(state), moment.now);
        }
        if constexpr (WordPolicy<P>) {
            if (!is_node(place.owner)) {
                const auto goes_back = [&](std::int64_t expiry) {
                    table_.expires(shard, expiry);
                    return true;
                };
                const auto step_now = on_word(policy, step, moment.now);
                for (auto stepped = Stepped::overtaken; stepped != Stepped::done;)
                    decision = step_word<P>(*slot, slot->stored(), place.owner, step_now, stepped, goes_back);
                return Placed::done;
            }
        }
        StateNode& node = *StateNode::of(slot->word());
        if (consuming) reserve(policy, node.state, moment.now, request.units);
        decision = step(node.state, moment.now);
        node.expires_at_ns = policy.expires_at(node.state).count();
        table_.expires(shard, node.expires_at_ns);
        return Placed::done;
    }

    Slot* find_locked(const Place& place, Guard guard, std::string_view key) const noexcept {
        return table_.find_if(place.shard, guard, place.owner, [&](const Slot& slot) {
            return !options_.full_keys || *StateNode::of(slot.word())->key == key;
        });
    }

    Placed insert(const P& policy, const Place& place, std::string_view key, State state,
                  std::chrono::nanoseconds now) {
        if constexpr (WordPolicy<P>) {
            if (!is_node(place.owner)) {
                return table_.place(place.shard, place.owner, policy.pack(state), now.count(), place.spare);
            }
        }
        auto node = std::make_unique<StateNode>();
        node->expires_at_ns = policy.expires_at(state).count();
        node->state = std::move(state);
        if (options_.full_keys) node->key = std::make_unique<const std::string>(key);
        const Placed placed = table_.place(place.shard, place.owner, node->word(), now.count(), place.spare);
        if (placed == Placed::done) static_cast<void>(node.release());  // the table's from here
        return placed;
    }

    /// One of the states that new keys of this scope share while the store is full.
    Place overflow_place(const Request<P>& request, const Place& place) const noexcept {
        constexpr std::uint64_t apart_from_keys = 0x6f766572666c6f77;
        const auto index = static_cast<char>((place.owner >> 2) % table_.spare_keys());
        return place_of(hash_(request.scope.id ^ apart_from_keys, {&index, 1}), request.scope.policy, true);
    }

    MemoryOptions options_;
    std::uint64_t owner_marks_;  // the two lowest bits of an owner, but that its policy may want a Node
    KeyHash hash_;
    StateTable table_;
    std::atomic<std::uint64_t> overflowed_{0};
};

}  // namespace sluice::detail

#endif
