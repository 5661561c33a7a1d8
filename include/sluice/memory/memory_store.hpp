// SPDX-License-Identifier: MIT
#ifndef SLUICE_MEMORY_MEMORY_STORE_HPP
#define SLUICE_MEMORY_MEMORY_STORE_HPP

#include <array>
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
#include <sluice/memory/detail/states.hpp>
#include <sluice/memory/memory_options.hpp>
#include <sluice/policy.hpp>
#include <sluice/store.hpp>

namespace sluice {

/// States in memory, for one process: the default store.
///
/// Thread-safe; a handle, so that copies share the states (a moved-from one may only be assigned or destroyed). No
/// background thread: a state that has expired equals a fresh one, and its slot is used again by the next new key. Not
/// for a child forked while other threads use it, which may hold a mutex for ever.
///
/// Cost: a state of one 64-bit word (buckets, and windows up to the limits that their docs name) takes no lock and no
/// allocation while its key has a slot: one cache line is read, one compare-and-swap writes an admission, a denial or
/// peek writes nothing. The first admission of a key without a slot, refund and reset take a shard's mutex for a
/// moment, and larger states (the exact log, AllOf, policies of your own) do on every call. A shard is rebuilt now and
/// then as keys come and go, some 20 us for its 4,096 slots; nothing ever moves the whole table. A new key that finds the
/// store full looks at 64 slots more.
///
/// Memory: 16 bytes a slot, at most 3/4 and after growing 3/8 of the slots used; larger states a heap block each.
/// `max_keys` slots' worth of address space is reserved at once (32 MiB by default) and taken into use page by
/// page (of 2 MiB where transparent huge pages are always on).
/// A shard shrinks when as many new keys have come as it has slots; until then a flood's memory stays in use. A window's
/// slot may be taken for live up to one window longer than the window lasts, since its end is kept rounded up.
///
/// Time: the clock is read again where a state is of a later time than the first reading, as one is where the thread was
/// held up, under a mutex, and before a wait of up to 100 ms is announced. decide_at() takes times that are late by up to
/// 5 s, and keeps states for so long after they expired; it is not for the same keys as decide().
///
/// A key is known by 61 bits of a hash that is keyed with a random seed per store: two of n keys share a state with a
/// probability of n^2 / 2^61, 4e-7 for a million. Where that is too much, MemoryOptions::full_keys keeps and compares
/// the keys themselves, at the cost of the larger states.
///
/// Full: when `max_keys` slots hold live states, a new key is served as MemoryOptions::on_full says. No live state is
/// ever evicted, so inventing keys wins nobody a token.
template <Policy P, Clock C = DefaultClock>
class MemoryStore {
public:
    static constexpr bool in_process = true;  ///< see InProcessStore

    /// Throws std::invalid_argument for max_keys out of 1 .. 2^32, std::bad_alloc without address space for it.
    explicit MemoryStore(MemoryOptions options = {}, C clock = C{})
        : states_(std::make_shared<States>(options.checked())), clock_(std::move(clock)) {}

    [[gnu::always_inline]] Decision decide(const Request<P>& request) const noexcept {
        States& states = *states_;
        const auto place = states.locate(request);
        __builtin_prefetch(place.home, 1);  // the time that reading the clock takes hides that of memory
        std::chrono::nanoseconds now = clock_.now();
        return states.decide(request, place, now, &clock_);
    }

    /// Has the answer at once.
    template <Completion F>
    void decide_async(const Request<P>& request, F done) const noexcept {
        std::move(done)(decide(request));
    }

    /// See SettlingStore. At about twice the cost of decide().
    Consumption consume(const Request<P>& request) const noexcept {
        return states_->consume(request, states_->locate(request), clock_.now(), &clock_);
    }

    [[gnu::flatten]] Decision decide_at(const Request<P>& request, std::chrono::nanoseconds now) const noexcept {
        return states_->decide(request, states_->locate(request), now, nullptr);
    }

    /// One clock reading for each 16 keys, whose slots are fetched together.
    [[gnu::flatten]] void decide_many(const Request<P>& request, std::span<const std::string_view> keys,
                                      std::span<Decision> out) const noexcept {
        constexpr std::size_t batch = 16;
        std::array<typename States::Place, batch> places;
        std::chrono::nanoseconds now = std::chrono::nanoseconds::min();  // never goes back: keys may occur twice
        for (std::size_t done = 0; done < keys.size(); done += batch) {
            const std::size_t count = std::min(batch, keys.size() - done);
            for (std::size_t i = 0; i != count; ++i) {
                places[i] = states_->locate({request.scope, keys[done + i]});
                __builtin_prefetch(places[i].home, 1);
            }
            now = std::max(now, clock_.now());  // each key's decision may make it later for the next
            for (std::size_t i = 0; i != count; ++i) {
                const Request<P> one{request.scope,     keys[done + i],    request.units,
                                     request.operation, request.max_delay, request.consumed_at};
                // Made in place: a copy of a decision would wait for the stores of its members.
                static_assert(std::is_trivially_destructible_v<Decision>);
                ::new (static_cast<void*>(&out[done + i])) Decision(states_->decide(one, places[i], now, &clock_));
            }
        }
    }

    /// Slots in use: by live states, and by expired ones that no new key has needed yet.
    std::size_t keys() const noexcept { return states_->table().keys(); }
    std::size_t max_keys() const noexcept { return states_->table().max_keys(); }
    /// Decisions made for new keys while the store was full.
    std::uint64_t overflowed() const noexcept { return states_->overflowed(); }
    /// Slots of expired states that were freed or used again.
    std::uint64_t reclaimed() const noexcept { return states_->table().reclaimed(); }
    const C& clock() const noexcept { return clock_; }

private:
    using States = detail::States<P, C>;

    std::shared_ptr<States> states_;
    [[no_unique_address]] C clock_;
};

}  // namespace sluice

#endif
