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

#include <sluice/detail/exceptions.hpp>
#include <sluice/error.hpp>
#include <sluice/memory/detail/decision_time.hpp>
#include <sluice/memory/detail/key_hash.hpp>
#include <sluice/memory/detail/node.hpp>
#include <sluice/memory/detail/step_word.hpp>
#include <sluice/memory/detail/table.hpp>
#include <sluice/memory/memory_options.hpp>
#include <sluice/operate.hpp>
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
        std::uint64_t owner;  // see Slot
        std::size_t shard;
        Guard guard;  // as found; if slots change hands later, the lookup starts anew under the mutex
        Slot* home;   // where the probe begins
    };

    explicit States(const MemoryOptions& options)
        : options_(options), owner_marks_(Slot::owned_bit | (options.full_keys ? Slot::node_bit : 0)),
          table_(options.max_keys) {}

    const auto& table() const noexcept { return table_; }
    std::uint64_t overflowed() const noexcept { return overflowed_.load(std::memory_order_relaxed); }

    [[gnu::always_inline]] Place locate(const Request<P>& request) const noexcept {
        return place_of(hash_(request.scope.id, request.key), request.scope.policy, 0);
    }

    /// `now` is what `clock` told, which can be read again (null where the caller gave the time), and becomes the time of
    /// the decision, which is later where the thread was held up.
    [[gnu::always_inline]] Decision decide(const Request<P>& request, const Place& place, std::chrono::nanoseconds& now,
                                           const C* clock) noexcept {
        if (request.operation == Operation::give_back ||
            (PacingPolicy<P> && request.max_delay != std::chrono::nanoseconds::max())) [[unlikely]] {
            return decide_unusual(request.scope.policy, request.scope.id, request.key, request.units, request.operation,
                                  request.max_delay, request.consumed_at, now, clock);
        }
        return decide_usual(request, place, now, clock);
    }

    /// The same off the fast path, with what was taken.
    Consumption consume(const Request<P>& request, const Place& place, std::chrono::nanoseconds now,
                        const C* clock) noexcept {
        Time time{now, clock};
        Consumption taken;
        taken.decision = dispatch(request, place, time, taken.units);
        if (taken.decision.error) taken.units = 0;  // there was no place for the state
        taken.at = time.now();
        return taken;
    }

private:
    using StateNode = Node<State>;
    using StateTable = Table<Words<P>>;
    using Placed = typename StateTable::Placed;
    using Time = DecisionTime<C>;

    /// The policy's step on a word: an object and not a lambda, which could not be forced inline.
    struct Consume {
        const Request<P>& request;
        const std::chrono::nanoseconds& now;

        [[gnu::always_inline]] Decision operator()(std::uint64_t& word) const noexcept {
            return step_word(request.scope.policy, word, now, request.units);
        }
    };

    [[gnu::always_inline]] Place place_of(std::uint64_t hash, const P& policy, std::uint64_t mark) const noexcept {
        Place place;  // member by member: else a batch's copy of it waits for the stores (no store forwarding)
        place.owner = (hash & Slot::hash_bits) | owner_marks_ | mark | (fits_word(policy) ? 0 : Slot::node_bit);
        const std::size_t position = table_.position_of(place.owner);
        place.shard = table_.shard_of(position);
        place.guard = table_.guard(place.shard);
        place.home = table_.home(position, place.guard);
        return place;
    }

    [[gnu::always_inline]] Decision try_fast_path(const Request<P>& request, const Place& place,
                                                  const std::chrono::nanoseconds& now, StepResult& result) noexcept {
        if constexpr (WordPolicy<P>) {
            if (request.operation == Operation::consume && !is_node(place.owner)) [[likely]] {
                return step_unlocked(place, Consume{request, now}, result);
            }
        }
        return Decision{};
    }

    /// A denial of the fast path stands unless the step was left undone, or its wait is over by now.
    [[gnu::noinline]] std::chrono::nanoseconds reconsider(Decision& decision, const P& policy, std::uint64_t scope_id,
                                                          std::string_view key, std::uint64_t units,
                                                          std::chrono::nanoseconds now, const C* clock) noexcept {
        Time time{now, clock};
        if (Time::is_short_wait(decision) && !time.wait_is_over(decision)) return time.now();
        return slow_path(decision, policy, scope_id, key, units, Operation::consume, time.now(), clock);
    }

    /// Everything but the fast path. Looks the key up again so that the fast path need not keep the result alive. The
    /// out-parameter makes the compiler write the decision before the swap; returned by value it would occupy registers
    /// that the step needs (measured). Returns the time of the decision.
    [[gnu::noinline]] std::chrono::nanoseconds slow_path(Decision& decision, const P& policy, std::uint64_t scope_id,
                                                         std::string_view key, std::uint64_t units, Operation operation,
                                                         std::chrono::nanoseconds now, const C* clock) noexcept {
        const Request<P> request{{{}, policy, scope_id}, key, units, operation};  // no use for the name
        Time time{now, clock};
        std::uint64_t taken = 0;
        decision = dispatch(request, locate(request), time, taken);
        return time.now();
    }
    [[gnu::always_inline]] Decision decide_usual(const Request<P>& request, const Place& place,
                                                 std::chrono::nanoseconds& now, const C* clock) noexcept {
        auto result = StepResult::needs_lock;
        Decision decision = try_fast_path(request, place, now, result);
        if (result == StepResult::committed && (decision.allowed || decision.retry_after > Time::short_wait)) [[likely]]
            return decision;
        const P& policy = request.scope.policy;
        const std::uint64_t id = request.scope.id;
        now = result == StepResult::committed
                  ? reconsider(decision, policy, id, request.key, request.units, now, clock)
                  : slow_path(decision, policy, id, request.key, request.units, request.operation, now, clock);
        return decision;
    }

    /// A request whose further members matter, too. All are passed one by one, or the usual request, which the compiler
    /// knows them of, would have to be in memory for them.
    [[gnu::noinline]] Decision decide_unusual(const P& policy, std::uint64_t scope_id, std::string_view key,
                                              std::uint64_t units, Operation operation,
                                              std::chrono::nanoseconds max_delay, std::chrono::nanoseconds consumed_at,
                                              std::chrono::nanoseconds now, const C* clock) noexcept {
        const Request<P> request{{{}, policy, scope_id}, key, units, operation, max_delay, consumed_at};
        return consume(request, locate(request), now, clock).decision;
    }

    Decision dispatch(const Request<P>& request, const Place& place, Time& time, std::uint64_t& taken) noexcept {
        const auto step = [&](State& state, std::chrono::nanoseconds now) {
            return operate(request, state, now, taken);
        };
        switch (request.operation) {
            case Operation::consume:
            case Operation::take:
            case Operation::peek: return apply(request, place, time, step);
            default: return apply_locked(request, place, time, step);  // the state may expire earlier than before
        }
    }

    template <class Step>
    Decision apply(const Request<P>& request, const Place& place, Time& time, Step step) noexcept {
        if constexpr (WordPolicy<P>) {
            if (!is_node(place.owner)) {
                for (auto result = StepResult::contended; result == StepResult::contended;) {
                    const Decision decision = step_unlocked(place, on_word(request.scope.policy, step, time), result);
                    if (result == StepResult::committed) return decision;
                }
                // A key without a slot gets one only by an admission.
                if (is_absent(place)) {
                    time.refresh();  // its state may have been freed as expired by a later reading than this thread's
                    State fresh{};
                    const Decision decision = step(fresh, time.now());
                    if (!decision.allowed || request.operation == Operation::peek) return decision;
                }
            }
        }
        return apply_locked(request, place, time, step);
    }
    bool is_absent(const Place& place) const noexcept {
        if (place.guard.is_unused()) return place.guard.is_unchanged();
        return !place.guard.is_closed() && table_.find(place.shard, place.guard, place.owner) == nullptr &&
               place.guard.is_unchanged();
    }

    /// A step on a state as one on its word.
    template <class Step>
    static auto on_word(const P& policy, Step step, Time& time) noexcept {
        return [&policy, step, &time](std::uint64_t& word) {
            State state = policy.unpack(word);
            const Decision decision = time.decide(policy, state, step);
            word = policy.pack(state);
            return decision;
        };
    }

    template <class Step>
    [[gnu::always_inline]] Decision step_unlocked(const Place& place, Step step, StepResult& result) noexcept {
        result = StepResult::needs_lock;
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
        return step_slot(*slot, stored, place.owner, step, result);
    }

    template <class Step>
    Decision apply_locked(const Request<P>& request, const Place& place, Time& time, Step step) noexcept {
        Decision decision;
        for (int attempt = 0; attempt != 2; ++attempt) {
            const Placed placed = try_or([&] { return apply_once_locked(request, place, time, step, decision); },
                                         [] { return Placed::no_memory; });  // for a state
            if (placed == Placed::done) return decision;
            if (placed == Placed::no_memory) return failure(Errc::no_memory);
            if (attempt != 0 || !table_.reclaim(time.expired_before().count())) break;
        }
        if (!is_overflow(place.owner)) overflowed_.fetch_add(1, std::memory_order_relaxed);
        // Where other scopes have taken all overflow states, this one has to be refused.
        if (options_.on_full == OnFull::overflow && !is_overflow(place.owner)) {
            return apply(request, overflow_place(request, place), time, step);
        }
        decision = failure(Errc::store_full);
        decision.limit = request.scope.policy.quota().limit;
        decision.allowed = options_.on_full == OnFull::allow;
        return decision;
    }

    /// One attempt under the shard's mutex. Throws std::bad_alloc and leaves everything as it was.
    template <class Step>
    Placed apply_once_locked(const Request<P>& request, const Place& place, Time& time, Step step, Decision& decision) {
        const P& policy = request.scope.policy;
        const std::string_view key = is_overflow(place.owner) ? std::string_view{} : request.key;
        const bool consuming = request.operation == Operation::consume;
        const bool may_admit = consuming || request.operation == Operation::take;
        auto& shard = table_.shard(place.shard);
        const std::lock_guard lock{shard.mutex};
        time.refresh();  // others may have gone on while this thread waited, and have freed the state as expired
        if (is_node(place.owner)) give_memory_back(place.shard, time.earliest_tolerated().count());

        const Guard guard = table_.guard(place.shard);
        Slot* const slot = guard.is_closed() ? nullptr : find_locked(place, guard, key);
        if (slot == nullptr) {
            State state{};
            if (consuming) reserve(policy, state, time.now(), request.units);
            decision = step(state, time.now());
            if (!may_admit || !decision.allowed) return Placed::done;
            return insert(policy, place, key, std::move(state), time);
        }
        step_locked(policy, shard, *slot, place.owner, consuming ? request.units : 0, time, step, decision);
        if (request.operation == Operation::reset) table_.remove(place.shard, *slot, time.expired_before().count());
        return Placed::done;
    }

    /// The step on the state in a slot. Throws std::bad_alloc and leaves the state as it was.
    template <class Shard, class Step>
    void step_locked(const P& policy, Shard& shard, Slot& slot, std::uint64_t owner, std::uint64_t cost, Time& time,
                     Step step, Decision& decision) {
        if constexpr (WordPolicy<P>) {
            if (!is_node(owner)) {
                const auto step_now = on_word(policy, step, time);
                for (;;) {  // against those who step the word without the mutex
                    std::uint64_t stored = slot.stored();
                    std::uint64_t word = stored ^ owner;
                    decision = step_now(word);
                    table_.note_expiry(shard, P::word_expires_at(word).count());
                    if (word == (stored ^ owner) || slot.swap(stored, owner, word)) return;
                }
            }
        }
        StateNode& node = *StateNode::of(slot.word());
        if (cost != 0) reserve(policy, node.state, time.now(), cost);
        decision = time.decide(policy, node.state, step);
        node.expires_at_ns = policy.expires_at(node.state).count();
        table_.note_expiry(shard, node.expires_at_ns);
    }

    /// An expired state keeps its slot until a new key needs it, but not the memory that it owns, once nobody late can ask
    /// for it: an idle exact log may be large.
    void give_memory_back(std::size_t shard, std::int64_t expired_before) noexcept {
        if constexpr (GrowingPolicy<P>) {
            table_.tidy(shard, [&](Slot& slot) {
                if (!is_node(slot.owner())) return;
                StateNode& node = *StateNode::of(slot.word());
                if (node.expires_at_ns <= expired_before) node.state = State{};
            });
        }
    }

    Slot* find_locked(const Place& place, Guard guard, std::string_view key) const noexcept {
        return table_.find_if(place.shard, guard, place.owner, [&](const Slot& slot) {
            return !options_.full_keys || *StateNode::of(slot.word())->key == key;
        });
    }

    Placed insert(const P& policy, const Place& place, std::string_view key, State state, const Time& time) {
        const std::int64_t expired_before = time.expired_before().count();
        if constexpr (WordPolicy<P>) {
            if (!is_node(place.owner)) {
                return table_.place(place.shard, place.owner, policy.pack(state), expired_before);
            }
        }
        auto node = std::make_unique<StateNode>();
        node->expires_at_ns = policy.expires_at(state).count();
        node->state = std::move(state);
        if (options_.full_keys) node->key = std::make_unique<const std::string>(key);
        const Placed placed = table_.place(place.shard, place.owner, node->word(), expired_before);
        if (placed == Placed::done) static_cast<void>(node.release());  // the table's from here
        return placed;
    }

    /// One of the states that new keys of this scope share while the store is full.
    Place overflow_place(const Request<P>& request, const Place& place) const noexcept {
        constexpr std::uint64_t apart_from_keys = 0x6f766572666c6f77;
        const auto index = static_cast<char>((place.owner >> 3) % table_.overflow_keys());
        return place_of(hash_(request.scope.id ^ apart_from_keys, {&index, 1}), request.scope.policy,
                        Slot::overflow_bit);
    }

    MemoryOptions options_;
    std::uint64_t owner_marks_;  // the lowest bits of every owner; its policy may want more
    KeyHash hash_;
    StateTable table_;
    std::atomic<std::uint64_t> overflowed_{0};
};

}  // namespace sluice::detail

#endif
