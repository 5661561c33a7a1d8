// SPDX-License-Identifier: MIT
#ifndef SLUICE_REMOTE_CAS_STORE_HPP
#define SLUICE_REMOTE_CAS_STORE_HPP

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <system_error>
#include <vector>

#include <sluice/detail/saturate.hpp>
#include <sluice/detail/skew.hpp>
#include <sluice/error.hpp>
#include <sluice/operate.hpp>
#include <sluice/policy.hpp>
#include <sluice/remote/deadline.hpp>
#include <sluice/remote/key_locks.hpp>
#include <sluice/store.hpp>

namespace sluice::detail::remote {

/// What a server keeps of one key as integers, and what is to become of it.
struct StateCell {
    std::string_view key{};
    std::span<std::int64_t> state{};       ///< as it was read at `now`
    std::chrono::nanoseconds now{0};       ///< the server's time
    std::span<const std::int64_t> next{};  ///< to take its place; empty: only read
    std::chrono::nanoseconds life{0};      ///< of `next`, from now on
    bool is_swapped = false;
    std::error_code error{};
};

/// Cells of one scope, all to be read or all to be swapped.
struct StateCells {
    std::string_view limiter;
    std::uint64_t scope_id;
    std::span<const std::int64_t> fresh;            ///< the state of a key that the server does not have
    std::span<StateCell* const> cells;              ///< in the order of their keys, which are all different
    std::optional<std::chrono::nanoseconds> now{};  ///< instead of the server's time
};

/// Decides by a policy that the server does not know, on any backend that can compare and swap: the state is read and
/// stepped here, and put in place of the old one if that is still there; else again with what is there now. Two round
/// trips, and one more for each time that another process came first; after 32 of these, Errc::busy: with eight processes
/// that never pause, of one call in seventy. Threads of this process take turns. The backend has
///
///     KeyLocks& key_locks();
///     void swap_states(const StateCells&, const Deadline&);   // may throw before anything was sent
///
/// The latter sets each cell's is_swapped, or else its state and now, or its error.
template <StateCodec P, class Backend>
class CasDecision {
public:
    using Now = std::optional<std::chrono::nanoseconds>;

    /// May throw std::bad_alloc. An error is everybody's; without one put(i, Consumption) is called for each key, perhaps
    /// more than once: the last one counts.
    template <class Put>
    static std::error_code decide(Backend& backend, const Request<P>& request, std::span<const std::string_view> keys,
                                  Now now, const Deadline& deadline, Put put) {
        const KeyLocks::Held locks{backend.key_locks(), keys, deadline};
        if (!locks.is_complete()) return Errc::busy;
        CasDecision{request, keys}.run(backend, now, deadline, put);
        return {};
    }

private:
    static constexpr int most_swaps = 32;
    using Integers = std::array<std::int64_t, state_integers<P>>;

    /// A key, and which of the requests are for it.
    struct Entry {
        StateCell cell{};
        Integers state{};
        Integers next{};
        std::span<const std::size_t> requests{};
    };

    CasDecision(const Request<P>& request, std::span<const std::string_view> keys)
        : request_(request), policy_(request.scope.policy), order_(keys.size()) {
        for (std::size_t i = 0; i != order_.size(); ++i) order_[i] = i;
        std::stable_sort(order_.begin(), order_.end(), [&](auto a, auto b) { return keys[a] < keys[b]; });
        entries_.reserve(keys.size());
        for (std::size_t i = 0; i != order_.size();) {
            const std::size_t first = i;
            while (i != order_.size() && keys[order_[i]] == keys[order_[first]]) ++i;
            Entry& entry = entries_.emplace_back();
            entry.cell.key = keys[order_[first]];
            entry.cell.state = entry.state;
            entry.requests = std::span{order_}.subspan(first, i - first);
        }
        open_.reserve(entries_.size());
        for (Entry& entry : entries_) open_.push_back(&entry.cell);
    }

    template <class Put>
    void run(Backend& backend, Now now, const Deadline& deadline, Put& put) {
        const Integers fresh = policy_.encode(typename P::State{});
        for (int swaps = 0; !open_.empty(); ++swaps) {
            backend.swap_states({request_.scope.name, request_.scope.id, fresh, open_, now}, deadline);
            // In order, so that an entry's cell is found beside it.
            auto entry = entries_.begin();
            std::erase_if(open_, [&](StateCell* cell) {
                while (&entry->cell != cell) ++entry;
                return settle(*entry, swaps, put);
            });
        }
    }

    /// Whether nothing remains to be done for this key.
    template <class Put>
    bool settle(Entry& entry, int swaps, Put& put) noexcept {
        StateCell& cell = entry.cell;
        if (cell.is_swapped) return true;
        if (!cell.error && swaps > most_swaps) cell.error = Errc::busy;
        if (cell.error) {
            for (const std::size_t i : entry.requests) put(i, Consumption{failure(cell.error)});
            return true;
        }
        auto state = policy_.decode(entry.state);
        for (const std::size_t i : entry.requests) {
            Consumption one{.at = cell.now};
            one.decision = operate(request_, state, cell.now, one.units);
            put(i, one);
        }
        entry.next = policy_.encode(state);
        if (request_.operation == Operation::peek || entry.next == entry.state) return true;
        cell.next = entry.next;
        // Late callers have to find it, too.
        const auto gone = detail::add(policy_.expires_at(state).count(), detail::tolerated_skew.count());
        cell.life = detail::wait(cell.now.count(), gone);
        return false;
    }

    const Request<P>& request_;
    const P& policy_;
    std::vector<std::size_t> order_;
    std::vector<Entry> entries_;
    std::vector<StateCell*> open_;
};

}  // namespace sluice::detail::remote

#endif
