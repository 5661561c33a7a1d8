// SPDX-License-Identifier: MIT
#ifndef SLUICE_MEMORY_MEMORY_STORE_HPP
#define SLUICE_MEMORY_MEMORY_STORE_HPP

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <sluice/clock.hpp>
#include <sluice/error.hpp>
#include <sluice/memory/detail/key_hash.hpp>
#include <sluice/memory/detail/node.hpp>
#include <sluice/memory/detail/table.hpp>
#include <sluice/memory/memory_options.hpp>
#include <sluice/policy.hpp>
#include <sluice/store.hpp>

namespace sluice {

/// States in memory, for one process: the default store.
///
/// Thread-safe; a handle, so that copies share the states (a moved-from one may only be assigned or destroyed). No
/// background thread: a state that has expired equals a fresh one, and its slot is used again by the next new key.
///
/// Cost: a state of one 64-bit word (buckets, and windows up to the limits that their docs name) takes no lock and
/// no allocation: one cache line is read, one compare-and-swap writes an admission, and a denial or peek writes nothing.
/// New keys, refund and reset take a shard's mutex for a moment, and larger states (the exact log, AllOf, policies of
/// your own) do on every call. A shard is rebuilt now and then as keys come and go, some 20 us for its 4,096 slots;
/// nothing ever moves the whole table.
///
/// Memory: 16 bytes a slot, at most 3/4 and after growing 3/8 of the slots used; larger states a heap block each.
/// `max_keys` slots' worth of address space is reserved at once (32 MiB by default) and taken into use page by page.
/// A shard shrinks when as many new keys have come as it has slots; until then a flood's memory stays in use.
///
/// A key is known by a 64-bit hash, keyed with a random seed per store, of which one bit tells the kind of state: two of
/// n keys share one with a probability of n^2 / 2^64, 5e-8 for a million. Where that is too much,
/// MemoryOptions::full_keys keeps and compares the keys themselves, at the cost of the larger states.
///
/// Full: when `max_keys` slots hold live states, a new key is served as MemoryOptions::on_full says. No live state is
/// ever evicted, so inventing keys wins nobody a token.
template <Policy P, Clock C = DefaultClock>
class MemoryStore {
public:
    using State = typename P::State;

    /// Throws std::invalid_argument for max_keys out of 1 .. 2^32, std::bad_alloc without address space for it.
    explicit MemoryStore(MemoryOptions options = {}, C clock = C{})
        : shared_(std::make_shared<Shared>(options)), clock_(std::move(clock)) {}

    [[gnu::always_inline]] Decision decide(const Request<P>& request) const noexcept {
        const Place place = locate(request);
        __builtin_prefetch(place.home, 1);  // the time that reading the clock takes hides that of memory
        return decide(request, place, clock_.now());
    }

    [[gnu::flatten]] Decision decide_at(const Request<P>& request, std::chrono::nanoseconds now) const noexcept {
        return decide(request, locate(request), now);
    }

    /// One clock reading for each 16 keys, whose slots are fetched together.
    [[gnu::flatten]] void decide_many(const Request<P>& request, std::span<const std::string_view> keys,
                                      std::span<Decision> out) const noexcept {
        constexpr std::size_t batch = 16;
        std::array<Place, batch> places;
        for (std::size_t done = 0; done < keys.size(); done += batch) {
            const std::size_t count = std::min(batch, keys.size() - done);
            for (std::size_t i = 0; i != count; ++i) {
                places[i] = locate({request.scope, keys[done + i]});
                __builtin_prefetch(places[i].home, 1);
            }
            const auto now = clock_.now();
            for (std::size_t i = 0; i != count; ++i) {
                const Request<P> one{request.scope, keys[done + i], request.units, request.operation};
                out[done + i] = decide(one, places[i], now);
            }
        }
    }

    /// Slots in use: by live states, and by expired ones that no new key has needed yet.
    std::size_t keys() const noexcept { return shared_->table.keys(); }
    std::size_t max_keys() const noexcept { return shared_->table.max_keys(); }
    /// Decisions made for new keys while the store was full.
    std::uint64_t overflowed() const noexcept { return shared_->overflowed.load(std::memory_order_relaxed); }
    /// Slots of expired states that were freed or used again.
    std::uint64_t reclaimed() const noexcept { return shared_->table.reclaimed(); }
    const C& clock() const noexcept { return clock_; }

private:
    using Node = detail::Node<State>;
    using Table = detail::Table<detail::Words<P>>;
    using Slot = detail::Slot;

    struct Shared {
        explicit Shared(const MemoryOptions& chosen) : options(chosen.checked()), table(options.max_keys) {}
        MemoryOptions options;
        detail::KeyHash hash;
        Table table;
        std::atomic<std::uint64_t> overflowed{0};
    };

    struct Place {
        std::uint64_t owner = 0;  // 64 bits of hash, but for the lowest, which tells that the word is a Node
        std::size_t shard = 0;
        detail::Guard guard{0};  // as found; if slots change hands later, the lookup starts anew under the mutex
        Slot* home = nullptr;
        bool spare = false;  // an overflow state
    };

    [[gnu::always_inline]] Place place_of(std::uint64_t hash, const P& policy, bool spare) const noexcept {
        const bool node = shared_->options.full_keys || !detail::fits_word(policy);
        const std::uint64_t owner = (hash & ~std::uint64_t{1}) | (node ? 1 : 0);
        Place place{owner > Slot::removed ? owner : owner + 2, shared_->table.shard_of(hash), {0}, nullptr, spare};
        place.guard = shared_->table.guard(place.shard);
        place.home = shared_->table.home(place.shard, place.guard, place.owner);
        return place;
    }
    [[gnu::always_inline]] Place locate(const Request<P>& request) const noexcept {
        return place_of(shared_->hash(request.scope.id, request.key), request.scope.policy, false);
    }
    [[gnu::always_inline]] Decision decide(const Request<P>& request, const Place& place,
                                           std::chrono::nanoseconds now) const noexcept {
        if constexpr (WordPolicy<P>) {
            if (request.operation == Operation::consume && !detail::is_node(place.owner)) [[likely]] {
                Decision decision;
                const P& policy = request.scope.policy;
                const auto consume = [&](State & state) __attribute__((always_inline)) {
                    return policy.step(state, now, request.units);
                };
                if (step_unlocked(policy, place, consume, decision)) [[likely]]
                    return decision;
            }
        }
        // Copied member by member, here alone, so that both can live in registers until then; no use for the name.
        return decide_slowly(
            {{{}, request.scope.policy, request.scope.id}, request.key, request.units, request.operation},
            {place.owner, place.shard, place.guard, place.home, place.spare}, now);
    }

    /// What is not consuming from a known key's word.
    [[gnu::noinline]] Decision decide_slowly(const Request<P>& request, const Place& place,
                                             std::chrono::nanoseconds now) const noexcept {
        const P& policy = request.scope.policy;
        const auto consume = [&](State& state) { return policy.step(state, now, request.units); };
        const auto peek = [&](State& state) { return sluice::peek(policy, state, now, request.units); };
        switch (request.operation) {
            case Operation::consume: return run_locked(request, place, now, consume);
            case Operation::peek:
                if constexpr (WordPolicy<P>) {
                    Decision decision;
                    if (!detail::is_node(place.owner) && step_unlocked(policy, place, peek, decision)) return decision;
                }
                return run_locked(request, place, now, peek);
            case Operation::refund:
                if constexpr (RefundablePolicy<P>) {
                    return run_locked(request, place, now, [&](State& state) {
                        policy.refund(state, now, request.units);
                        return Decision{};
                    });
                }
                return failure(Errc::unsupported);
            case Operation::reset:
                return run_locked(request, place, now, [](State& state) {
                    state = State{};
                    return Decision{};
                });
        }
        return failure(Errc::invalid_argument);
    }

    /// Steps the word of a known key. False, and nothing done, where the key is not found or its slot is changing hands.
    template <class Step>
    [[gnu::always_inline]] bool step_unlocked(const P& policy, const Place& place, Step step,
                                              Decision& decision) const noexcept {
        Table& table = shared_->table;
        while (!place.guard.is_closed()) {
            Slot* const slot =
                table.find(place.shard, place.guard, place.home, place.owner, [](const Slot&) { return true; });
            if (slot == nullptr) return false;
            std::uint64_t stored = slot->stored();
            // The guard vouches that the word is this key's; from here to the swap its XORed form does.
            if (stored == Slot::frozen || !table.is_unchanged(place.shard, place.guard)) return false;
            State state = policy.unpack(stored ^ place.owner);
            decision = step(state);
            const std::uint64_t word = policy.pack(state);
            if ((word ^ place.owner) == stored || slot->swap(stored, place.owner, word)) return true;
        }
        return false;
    }

    template <class Step>
    Decision run_locked(const Request<P>& request, const Place& place, std::chrono::nanoseconds now,
                        Step step) const noexcept {
        using Placed = typename Table::Placed;
        try {
            Decision decision;
            for (int attempt = 0; attempt != 4; ++attempt) {
                const Placed placed = try_locked(request, place, now, step, decision);
                if (placed == Placed::done) return decision;
                if (placed == Placed::no_memory) return failure(Errc::no_memory);
                if (place.spare || !shared_->table.reclaim(now.count())) break;
            }
        } catch (...) {  // no memory for a state
            return failure(Errc::no_memory);
        }
        if (place.spare) return failure(Errc::no_memory);
        shared_->overflowed.fetch_add(1, std::memory_order_relaxed);
        if (shared_->options.on_full == OnFull::overflow) return decide(request, overflow_place(request, place), now);
        Decision decision = failure(Errc::store_full);
        decision.limit = request.scope.policy.quota().limit;
        decision.allowed = shared_->options.on_full == OnFull::allow;
        return decision;
    }

    /// One attempt under the shard's mutex. Throws std::bad_alloc and leaves everything as it was.
    template <class Step>
    typename Table::Placed try_locked(const Request<P>& request, const Place& place, std::chrono::nanoseconds now,
                                      Step step, Decision& decision) const {
        using Placed = typename Table::Placed;
        Table& table = shared_->table;
        const P& policy = request.scope.policy;
        const std::string_view key = place.spare ? std::string_view{} : request.key;
        auto& shard = table.shard(place.shard);
        const std::lock_guard lock{shard.mutex};

        const detail::Guard guard = table.guard(place.shard);
        Slot* const slot =
            guard.is_closed() ? nullptr
                              : table.find(place.shard, guard, table.home(place.shard, guard, place.owner), place.owner,
                                           [&](const Slot& seen) {
                                               return !shared_->options.full_keys || *Node::of(seen.word())->key == key;
                                           });
        const bool consuming = request.operation == Operation::consume;
        if (slot == nullptr) {
            State state{};
            if (consuming) reserve(policy, state, now, request.units);
            decision = step(state);
            if (!consuming || !decision.allowed) return Placed::done;
            return insert(policy, place, key, std::move(state), now);
        }
        if constexpr (WordPolicy<P>) {
            if (!detail::is_node(place.owner)) {
                for (;;) {
                    std::uint64_t stored = slot->stored();
                    State state = policy.unpack(stored ^ place.owner);
                    decision = step(state);
                    if (!slot->swap(stored, place.owner, policy.pack(state))) continue;
                    table.expires(shard, policy.expires_at(state).count());
                    return Placed::done;
                }
            }
        }
        Node& node = *Node::of(slot->word());
        if (consuming) reserve(policy, node.state, now, request.units);
        decision = step(node.state);
        node.expires_at_ns = policy.expires_at(node.state).count();
        table.expires(shard, node.expires_at_ns);
        return Placed::done;
    }

    typename Table::Placed insert(const P& policy, const Place& place, std::string_view key, State state,
                                  std::chrono::nanoseconds now) const {
        if constexpr (WordPolicy<P>) {
            if (!detail::is_node(place.owner)) {
                return shared_->table.place(place.shard, place.owner, policy.pack(state), now.count(), place.spare);
            }
        }
        auto node = std::make_unique<Node>();
        node->expires_at_ns = policy.expires_at(state).count();
        node->state = std::move(state);
        if (shared_->options.full_keys) node->key = std::make_unique<const std::string>(key);
        const auto placed = shared_->table.place(place.shard, place.owner, node->word(), now.count(), place.spare);
        if (placed == Table::Placed::done) static_cast<void>(node.release());  // the table's from here
        return placed;
    }

    /// One of the states that new keys of this scope share while the store is full.
    Place overflow_place(const Request<P>& request, const Place& place) const noexcept {
        constexpr std::uint64_t apart_from_keys = 0x6f766572666c6f77;
        const auto index = static_cast<char>(place.owner / 2 % shared_->table.spare_keys());
        return place_of(shared_->hash(request.scope.id ^ apart_from_keys, {&index, 1}), request.scope.policy, true);
    }

    std::shared_ptr<Shared> shared_;
    [[no_unique_address]] C clock_;
};

}  // namespace sluice

#endif
