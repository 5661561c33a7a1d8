// SPDX-License-Identifier: MIT
#ifndef SLUICE_MEMORY_DETAIL_STATE_ACCESS_HPP
#define SLUICE_MEMORY_DETAIL_STATE_ACCESS_HPP

#include <chrono>
#include <cstdint>
#include <new>
#include <type_traits>
#include <utility>

#include <sluice/detail/exceptions.hpp>
#include <sluice/memory/detail/decision_time.hpp>
#include <sluice/memory/detail/slot.hpp>
#include <sluice/memory/detail/table.hpp>
#include <sluice/memory/detail/table_changes.hpp>
#include <sluice/policy.hpp>
#include <sluice/store.hpp>

namespace sluice::detail {

/// Runs a step on the state of a key, wherever it is: in the words of a slot, behind the address that is there, or nowhere
/// yet. Decisions are made in place: a copy would wait for the stores of its members.
template <Policy P, class C, class Form>
class StateAccess {
    using State = typename P::State;
    using Time = DecisionTime<C>;
    using StateSlot = Slot<Form::words>;

public:
    /// The step on the key's state, or on a fresh one, which gets a slot if it was consumed from.
    template <class Step>
    static Placed step_or_place(Table<Form>& table, const Request<P>& request, const HashedKey& key, Time& time,
                                Step step, Decision& decision) noexcept {
        const P& policy = request.scope.policy;
        if (request.operation == Operation::reset) {
            table.forget(key, time.expired_before().count());
            return Placed::done;
        }
        for (Backoff backoff;; backoff.wait()) {
            const std::int64_t expired_before = time.expired_before().count();
            const auto found = table.find(key, expired_before);
            Placed placed = Placed::changed;
            if (found.is_known) {
                placed = step_known(table, found.slot, request, key, time, step, decision);
            } else {
                // Others may have gone on since this thread read its clock, and have let go of the state: it had expired, or
                // was reset.
                if (table.has_let_go(found, expired_before)) time.refresh();
                State state{};
                if (!step_with_memory(request, state, time, [&] { make(decision, state, time.now(), step); }))
                    return Placed::no_memory;
                const bool may_admit = request.operation == Operation::consume ||
                                       request.operation == Operation::take || request.operation == Operation::carry;
                if (!may_admit || !decision.allowed) return Placed::done;
                placed = place_new(table, found, policy, key, state, expired_before);
            }
            if (placed != Placed::changed) return placed;
        }
    }

    /// The step on a state that owns memory, in a slot that this thread has locked. It may return `no_memory`.
    template <class Step>
    [[gnu::noinline]] static Placed step_locked(StateSlot slot, const Request<P>& request, const Time& time, Step step,
                                                Decision& decision) noexcept {
        State& state = Form::state_in(slot);
        const auto run = [&] { make(decision, state, time.now(), step); };
        const bool is_done = step_with_memory(request, state, time, run);
        note_expiry(slot, request.scope.policy, state);
        return is_done ? Placed::done : Placed::no_memory;
    }
    static void note_expiry(StateSlot slot, const P& policy, const State& state) noexcept {
        slot.first_word().store(static_cast<std::uint64_t>(policy.expires_at(state).count()),
                                std::memory_order_release);
    }

    /// An expired state keeps its slot until a new key needs it, but not the memory that it owns, once nobody late can ask
    /// for it: an idle exact log may be large. One request in 16 looks at a few slots.
    [[gnu::always_inline]] static void give_memory_back(Table<Form>& table, std::uint64_t hash,
                                                        std::int64_t expired_before) noexcept {
        if constexpr (GrowingPolicy<P>) {
            static thread_local constinit unsigned requests = 0;
            if (++requests % 16 != 0) return;
            table.tidy(hash, [&](StateSlot slot) {
                const std::uint64_t owner = slot.owner();
                const auto has_expired = [&] {
                    return Form::expires_at(slot.template peek<1>(owner).data()) <= expired_before;
                };
                std::uint64_t mark = 0;
                if (!has_expired() || !slot.lock(slot.tag_of(owner), mark)) return;
                if (has_expired()) Form::state_in(slot) = State{};
                slot.unlock(mark);
            });
        }
    }

private:
    template <class Step>
    static void make(Decision& decision, State& state, std::chrono::nanoseconds now, Step& step) noexcept {
        static_assert(std::is_trivially_destructible_v<Decision>);
        ::new (static_cast<void*>(&decision)) Decision(step(state, now));
    }

    /// The step on the state in a slot, if that is the key's; `changed` otherwise.
    template <class Step>
    static Placed step_known(Table<Form>& table, StateSlot slot, const Request<P>& request, const HashedKey& key,
                             Time& time, Step step, Decision& decision) noexcept {
        const P& policy = request.scope.policy;
        const std::uint64_t tag = table.tag_of(key.hash);
        if constexpr (Form::owns_memory) {
            std::uint64_t mark = 0;
            if (!slot.lock(tag, mark)) return Placed::changed;
            Placed placed = Placed::changed;
            if (table.is_of(slot, key)) {
                time.refresh();  // a state may not tell that it is of a later time, such as a log that was emptied
                placed = step_locked(slot, request, time, step, decision);
            }
            slot.unlock(mark);
            give_memory_back(table, key.hash, time.earliest_tolerated().count());
            return placed;
        } else {
            typename StateSlot::Seen seen;
            if (!slot.read(tag, seen) || !table.is_of(slot, key)) return Placed::changed;
            const auto step_state = [&](auto& words) {
                State state;
                Form::load(policy, words.data(), state);
                const Decision made = time.decide(policy, state, step);
                Form::save(policy, state, words.data());
                return made;
            };
            bool is_decided = false;
            ::new (static_cast<void*>(&decision)) Decision(step_slot(slot, tag, seen, step_state, is_decided));
            return is_decided ? Placed::done : Placed::changed;
        }
    }

    static Placed place_new(Table<Form>& table, const typename Table<Form>::Found& found, const P& policy,
                            const HashedKey& key, State& state, std::int64_t expired_before) noexcept {
        typename StateSlot::Words words;
        if constexpr (Form::owns_memory) {
            if (!Form::give(policy, state, words.data())) return Placed::no_memory;
            const Placed placed = table.place(found, key, words, expired_before);
            if (placed != Placed::done) Form::destroy(words.data());
            return placed;
        } else {
            Form::save(policy, state, words.data());
            return table.place(found, key, words, expired_before);
        }
    }

    /// Runs `step()` on a state, once there is room for what is consumed. False without memory for that; the state is as it
    /// was.
    template <class Step>
    static bool step_with_memory(const Request<P>& request, State& state, const Time& time, Step step) noexcept {
        if constexpr (GrowingPolicy<P>) {
            const auto run = [&] {
                if (request.operation == Operation::consume)
                    reserve(request.scope.policy, state, time.now(), request.units);
                step();
                return true;
            };
            return try_or(run, [] { return false; });
        } else {
            step();
            return true;
        }
    }
};

}  // namespace sluice::detail

#endif
