// SPDX-License-Identifier: MIT
#ifndef SLUICE_MEMORY_MEMORY_STORE_HPP
#define SLUICE_MEMORY_MEMORY_STORE_HPP

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>

#include <sluice/clock.hpp>
#include <sluice/detail/algorithm.hpp>
#include <sluice/memory/detail/decision_time.hpp>
#include <sluice/memory/detail/slot.hpp>
#include <sluice/memory/detail/state_form.hpp>
#include <sluice/memory/detail/store_tables.hpp>
#include <sluice/memory/memory_options.hpp>
#include <sluice/operate.hpp>
#include <sluice/policy.hpp>
#include <sluice/store.hpp>

namespace sluice {

/// States in memory, for one process: the default store.
///
/// Thread-safe; a handle, so that copies share the states (a moved-from one may only be assigned or destroyed). No
/// background thread: a state that has expired equals a fresh one, and its slot is used again by the next new key. Not
/// for a child forked while other threads use it, which may hold a lock for ever.
///
/// Cost: states lie in a table beside what their keys are known by: buckets, windows and AllOf of them, and any other
/// state that is trivially copyable and of 48 bytes at most. No allocation, and no lock that another key's request could
/// hold: an admission writes one word by compare-and-swap (buckets, and windows up to the limits that their docs name), or
/// several under a lock of the slot's own; a denial or peek writes nothing. A state that owns memory, such as the exact log,
/// is locked by every request for it, and so is any other, which is allocated with the key. A thread that another one
/// overtakes at a key pauses for up to 0.7 us. An admission that gives a slot to a new key locks its shard
/// of up to 2,048 slots, which who asks for known keys does not notice. A shard is rebuilt now and then as keys come and go,
/// in some 20 us; nothing ever moves the whole table. A new key that finds the store full looks at up to 128 slots more.
///
/// Memory: 8 bytes a slot and 8 for each word of the state: one for each bucket and packed window, else its size and one
/// more. At most 3/4 and after growing 3/8 of the slots are used. `max_keys` slots' worth of address space is reserved at
/// once (32 MiB by default, 128 for exact logs), for policies whose limits may be too large for one word another time, and taken into use page
/// by page (of 2 MiB where transparent huge pages are always on). Expired states keep their slots while there is room, so
/// that keys which come back are known; a flood of keys that come once does not make the table grow. A shard shrinks
/// within some 2,048 new keys; until then memory that was used once stays in use. A window's slot may be taken for
/// live up to one window longer than the window lasts, since its end is kept rounded up.
///
/// Time: one reading of the clock for a request. It is read again where a state is of a later time than that, or may have
/// been let go of since, as happens where the thread was held up, and before a wait of up to 100 ms is announced (but for states
/// that own memory, such as exact logs: it is read once their slot is locked).
/// decide_at() takes times that are late by up to 5 s, and keeps states for so long after they expired; it is not for the
/// same keys as decide().
///
/// A key is known by 62 bits of a hash that is keyed with a random seed per store: two of n keys share a state with a
/// probability of n^2 / 2^62, 2e-7 for a million. A slot of several words has room for 52 bits beside those that tell where
/// in the table it is: n / 2^41, 5e-7 for a million in a store for as many. See MemoryOptions::wide_fingerprints.
///
/// Full: when `max_keys` slots hold live states, a new key is served as MemoryOptions::on_full says. No live state is
/// ever evicted, so inventing keys wins nobody a token.
template <Policy P, Clock C = DefaultClock>
class MemoryStore {
public:
    static constexpr bool in_process = true;  ///< see InProcessStore
    static constexpr bool carries = true;     ///< see CarryingStore

    /// Throws std::invalid_argument for max_keys out of range, std::bad_alloc without address space for it.
    explicit MemoryStore(MemoryOptions options = {}, C clock = C{})
        : shared_(std::make_shared<Shared>(options.checked())), clock_(std::move(clock)) {}

    [[gnu::always_inline]] Decision decide(const Request<P>& request) const noexcept {
        const Place place = locate(request.scope, request.key);
        __builtin_prefetch(place.home, 1);  // the time that reading the clock takes hides that of memory
        if constexpr (is_locked) {          // large slots, in lines of their own
            const detail::Slot<Plain::words> home{place.home};
            __builtin_prefetch(shared_->plain.own.beside(home, place.hash, 1).words(), 1);
        }
        return decide_in_place(request, place, is_locked ? std::chrono::nanoseconds::min() : clock_.now(), &clock_);
    }

    /// Has the answer at once.
    template <Completion F>
    void decide_async(const Request<P>& request, F done) const noexcept {
        std::move(done)(decide(request));
    }

    /// The same, with what was taken.
    template <std::invocable<Consumption> F>
    void consume_async(const Request<P>& request, F done) const noexcept {
        std::move(done)(consume(request));
    }

    /// See SettlingStore. At about twice the cost of decide().
    Consumption consume(const Request<P>& request) const noexcept {
        Time time{clock_.now(), &clock_};
        Consumption taken;
        operate_anywhere(request, locate(request.scope, request.key).hash, time, taken.decision, taken.units);
        if (taken.decision.error) taken.units = 0;  // there was no place for the state
        taken.at = time.now();
        return taken;
    }

    [[gnu::flatten]] Decision decide_at(const Request<P>& request, std::chrono::nanoseconds now) const noexcept {
        return decide_in_place(request, locate(request.scope, request.key), now, nullptr);
    }

    /// One clock reading for each 16 keys, whose slots are fetched together.
    [[gnu::flatten]] void decide_many(const Request<P>& request, std::span<const std::string_view> keys,
                                      std::span<Decision> out) const noexcept {
        constexpr std::size_t batch = 16;
        std::array<Place, batch> places;
        std::chrono::nanoseconds now = std::chrono::nanoseconds::min();  // never goes back: keys may occur twice
        for (std::size_t done = 0; done < keys.size(); done += batch) {
            const std::size_t count = std::min(batch, keys.size() - done);
            for (std::size_t i = 0; i != count; ++i) {
                places[i] = locate(request.scope, keys[done + i]);
                __builtin_prefetch(places[i].home, 1);
            }
            now = std::max(now, clock_.now());
            for (std::size_t i = 0; i != count; ++i) {
                const Request<P> one = with_scope(request, request.scope, keys[done + i]);
                ::new (static_cast<void*>(&out[done + i])) Decision(decide_in_place(one, places[i], now, &clock_));
            }
        }
    }

    /// Slots in use: by live states, and by expired ones that no new key has needed yet.
    std::size_t keys() const noexcept { return shared_->keys.now() + shared_->overflow_keys.now(); }
    std::size_t max_keys() const noexcept { return shared_->keys.most(); }
    /// Decisions made for new keys while the store was full.
    std::uint64_t overflowed() const noexcept { return shared_->overflowed.load(std::memory_order_relaxed); }
    /// Slots of expired states that were freed or used again.
    std::uint64_t reclaimed() const noexcept { return shared_->packed.reclaimed() + shared_->plain.reclaimed(); }
    const C& clock() const noexcept { return clock_; }

private:
    using State = typename P::State;
    using Time = detail::DecisionTime<C>;
    using Packed = detail::PackedForm<P>;
    using Plain = detail::PlainForm<P>;
    using HashedKey = detail::HashedKey;
    using Shared = detail::StoreTables<P, C>;
    using Placed = detail::Placed;

    // Decisions are made in place: a copy would wait for the stores of its members.
    static_assert(std::is_trivially_destructible_v<Decision>);

    // Every state is locked by who steps it, and the clock read then.
    static constexpr bool is_locked = Packed::words == 0 && Plain::owns_memory;

    struct Place {
        std::uint64_t hash;
        std::atomic<std::uint64_t>* home;  // the slot where the probe begins
    };

    /// The policy's step on the words of a slot: an object and not a lambda, which could not be forced inline.
    struct Consume {
        const Request<P>& request;
        const std::chrono::nanoseconds& now;

        [[gnu::always_inline]] Decision operator()(auto& words) const noexcept {
            return Packed::step(request.scope.policy, words, now, request.units);
        }
    };

    [[gnu::always_inline]] Place locate(const Scope<P>& scope, std::string_view key) const noexcept {
        Place place;  // member by member: else a batch's copy of it waits for the stores (no store forwarding)
        place.hash = shared_->hash(scope.id, key);
        if constexpr (Packed::words == 0) {
            place.home = shared_->plain.own.home(place.hash).words();
        } else {
            place.home = shared_->packed.own.home(place.hash).words();
        }
        return place;
    }

    /// `now` is what `clock` told, which can be read again; null where the caller gave the time.
    [[gnu::always_inline]] Decision decide_in_place(const Request<P>& request, const Place& place,
                                                    std::chrono::nanoseconds now, const C* clock) const noexcept {
        bool is_decided = false;
        Decision decision = try_in_place(request, place, now, clock, is_decided);
        if (!is_decided || (!is_locked && !decision.allowed && decision.retry_after <= Time::short_wait &&
                            !stands(decision.retry_after, now, clock))) [[unlikely]] {
            ::new (static_cast<void*>(&decision)) Decision(
                decide_anywhere(request.scope.policy, request.scope.id, request.key, request.units, request.operation,
                                request.max_delay, request.consumed_at, place.hash, now, clock));
        }
        return decision;
    }

    /// The usual case: consumes from a known key's state, in one of the slots where a probe begins.
    [[gnu::always_inline]] Decision try_in_place(const Request<P>& request, const Place& place,
                                                 const std::chrono::nanoseconds& now, const C* clock,
                                                 bool& is_decided) const noexcept {
        if constexpr (Packed::words != 0) {
            const auto& table = shared_->packed.own;
            const std::uint64_t tag = table.tag_of(place.hash);
            detail::Slot<Packed::words> slot{place.home};
            typename detail::Slot<Packed::words>::Seen seen;
            if (is_plain_consumption(request) && Packed::fits(request.scope.policy)) [[likely]] {
                bool is_known = slot.read(tag, seen);
                if (!is_known) [[unlikely]] {
                    slot = table.in_group(slot, place.hash, tag);
                    is_known = slot.read(tag, seen);
                }
                if (is_known && (!shared_->options.wide_fingerprints ||
                                 is_check(slot.check(), request.scope.id, request.key))) [[likely]]
                    return step_slot(slot, tag, seen, Consume{request, now}, is_decided);
            }
        } else if constexpr (is_locked) {
            if (is_plain_consumption(request)) [[likely]]
                return try_locked(request, place, Time{now, clock}, is_decided);
        }
        return Decision{};
    }

    /// The same with a state that owns memory.
    [[gnu::always_inline]] Decision try_locked(const Request<P>& request, const Place& place, Time time,
                                               bool& is_decided) const noexcept {
        using Access = detail::StateAccess<P, C, Plain>;
        auto& table = shared_->plain.own;
        const P& policy = request.scope.policy;
        const std::uint64_t tag = table.tag_of(place.hash);
        detail::Slot<Plain::words> slot{place.home};
        std::uint64_t mark = 0;
        if (!slot.lock(tag, mark)) {
            slot = table.in_group(slot, place.hash, tag);
            if (!slot.lock(tag, mark)) return Decision{};
        }
        const auto step = [&](State& state, std::chrono::nanoseconds now) {
            return policy.step(state, now, request.units);
        };
        Decision decision;
        is_decided = !shared_->options.wide_fingerprints || is_check(slot.check(), request.scope.id, request.key);
        if (is_decided) [[likely]] {
            time.refresh();  // under the lock: the state may not tell that it is of a later time
            State& state = Plain::state_in(slot);
            if constexpr (requires {
                              { policy.step_at_once(state, time.now(), request.units) }
                              noexcept;
                          })
                ::new (static_cast<void*>(&decision)) Decision(policy.step_at_once(state, time.now(), request.units));
            if (decision.allowed) [[likely]] {
                Access::note_expiry(slot, policy, state);
            } else if (Access::step_locked(slot, request, time, step, decision) != Placed::done) {
                ::new (static_cast<void*>(&decision)) Decision(failure(Errc::no_memory));
            }
        }
        slot.unlock(mark);
        Access::give_memory_back(table, place.hash, time.earliest_tolerated().count());
        return decision;
    }

    [[gnu::noinline]] bool is_check(std::uint64_t check, std::uint64_t scope_id, std::string_view key) const noexcept {
        return check == shared_->check_hash(scope_id, key);
    }

    /// Whether a denial does not end by now, if the clock is read again; false also of one that was left undone.
    [[gnu::noinline]] static bool stands(std::chrono::nanoseconds retry_after, std::chrono::nanoseconds now,
                                         const C* clock) noexcept {
        return retry_after.count() != 0 && !Time{now, clock}.is_over(retry_after);
    }

    /// Everything but the usual case, and what that leaves undone. The request comes in parts, so that the compiler can keep
    /// it in registers until here.
    [[gnu::noinline]] Decision decide_anywhere(const P& policy, std::uint64_t scope_id, std::string_view key,
                                               std::uint64_t units, Operation operation,
                                               std::chrono::nanoseconds max_delay, std::chrono::nanoseconds consumed_at,
                                               std::uint64_t hash, std::chrono::nanoseconds now,
                                               const C* clock) const noexcept {
        const Request<P> request{{{}, policy, scope_id}, key, units, operation, max_delay, consumed_at};
        Time time{now, clock};
        Decision decision;
        std::uint64_t taken = 0;
        if (!is_plain_consumption(request)) {
            operate_anywhere(request, hash, time, decision, taken);
            return decision;
        }
        const HashedKey known_by = shared_->hashed(request, hash);
        if constexpr (Packed::words != 0) {
            if (Packed::fits(request.scope.policy) && consume_in_words(request, known_by, time, decision)) [[likely]]
                return decision;
        }
        const auto step = [&](State& state, std::chrono::nanoseconds at) { return policy.step(state, at, units); };
        shared_->apply(request, known_by, time, step, decision);
        return decision;
    }

    /// Consumes in the words of a slot: the key's, wherever it is, or one that it gets. False where that takes more than one
    /// attempt, or further looks at the clock.
    [[gnu::always_inline]] bool consume_in_words(const Request<P>& request, const HashedKey& key, Time& time,
                                                 Decision& decision) const noexcept requires(Packed::words != 0) {
        const P& policy = request.scope.policy;
        auto& table = shared_->packed.own;
        const std::int64_t expired_before = time.expired_before().count();
        const auto found = table.find(key, expired_before);
        std::chrono::nanoseconds now = time.now();
        if (found.is_known) {
            const std::uint64_t tag = table.tag_of(key.hash);
            typename detail::Slot<Packed::words>::Seen seen;
            bool is_decided = false;
            if (!found.slot.read(tag, seen)) return false;
            ::new (static_cast<void*>(&decision))
                Decision(step_slot(found.slot, tag, seen, Consume{request, now}, is_decided));
            return is_decided && (decision.allowed || decision.retry_after > Time::short_wait);
        }
        if (table.has_let_go(found, expired_before)) return false;
        typename detail::Slot<Packed::words>::Words words;
        Packed::save(policy, State{}, words.data());
        ::new (static_cast<void*>(&decision)) Decision(Packed::step(policy, words, now, request.units));
        return decision.allowed && table.place(found, key, words, expired_before) == Placed::done;
    }

    [[gnu::noinline]] void operate_anywhere(const Request<P>& request, std::uint64_t hash, Time& time,
                                            Decision& decision, std::uint64_t& taken) const noexcept {
        const auto step = [&](State& state, std::chrono::nanoseconds now) {
            return operate(request, state, now, taken);
        };
        shared_->apply(request, shared_->hashed(request, hash), time, step, decision);
    }

    static bool is_plain_consumption(const Request<P>& request) noexcept {
        return request.operation == Operation::consume &&
               (!PacingPolicy<P> || request.max_delay == std::chrono::nanoseconds::max());
    }

    std::shared_ptr<Shared> shared_;
    [[no_unique_address]] C clock_;
};

}  // namespace sluice

#endif
