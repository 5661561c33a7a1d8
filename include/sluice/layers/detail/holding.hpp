// SPDX-License-Identifier: MIT
#ifndef SLUICE_LAYERS_DETAIL_HOLDING_HPP
#define SLUICE_LAYERS_DETAIL_HOLDING_HPP

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include <sluice/detail/saturate.hpp>
#include <sluice/store.hpp>

namespace sluice::detail::layers {

/// What a store has given: its answer, and until when (on its clock) the units may be admitted.
struct Grant {
    Consumption taken;
    std::int64_t end_ns;
};

/// The units of one key that were taken ahead and are not spent. Any thread spends; what else is to be done is for the one
/// who has made it `busy`.
struct alignas(128) Holding {
    static constexpr std::uint64_t most_units = (std::uint64_t{1} << 40) - 1;
    static std::uint64_t units_of(std::uint64_t balance) noexcept { return balance & most_units; }
    static std::uint64_t owner_of(std::uint64_t balance) noexcept { return balance >> 40; }

    std::atomic<std::uint64_t> balance{
        0};                              ///< whose the holding is (counted up for each key), and below 40 bits of units
    std::atomic<std::int64_t> until{0};  ///< on this process' clock: nothing is spent from then on
    // What decisions say, as of the store's last answer.
    std::atomic<std::int64_t> at{0}, reset_at{0};
    std::atomic<std::uint64_t> limit{0}, left{0};
    std::atomic<std::uint64_t> asked{0};                 ///< units that requests have asked the store for themselves
    std::atomic<std::uint64_t> put_in{0}, taken_out{0};  ///< in all; taken_out: not by spending
    std::atomic<bool> busy{false};

    // From here on of who has made it busy.
    std::int64_t end_ns = 0;  ///< as `until`, on the store's clock: tells windows apart
    std::int64_t seen_at = 0, used_at = 0;
    std::uint64_t spent_before = 0;
    double demand = 0;  ///< units in the time that a lease is for; an estimate
    std::uint64_t scope_id = 0;
    std::string key{};
    std::function<Grant(Operation, std::uint64_t units, std::int64_t at_ns)> ask{};  ///< null: free

    /// The units that can still be spent.
    std::uint64_t held(std::int64_t now) const noexcept {
        const std::uint64_t units = units_of(balance.load(std::memory_order_acquire));
        return until.load(std::memory_order_acquire) > now ? units : 0;
    }

    /// Takes out `most` units or what there is: how many.
    std::uint64_t take_out(std::uint64_t most) noexcept {
        std::uint64_t before = balance.load(std::memory_order_relaxed);
        std::uint64_t units = 0;
        do {
            units = std::min(most, units_of(before));
        } while (!balance.compare_exchange_weak(before, before - units, std::memory_order_acq_rel));
        taken_out.fetch_add(units, std::memory_order_relaxed);
        return units;
    }

    /// Notes an answer; `asked_at` was read before the store was asked.
    void note(const Decision& decision, std::int64_t asked_at) noexcept {
        left.store(decision.remaining, std::memory_order_relaxed);
        limit.store(decision.limit, std::memory_order_relaxed);
        reset_at.store(add(asked_at, decision.reset_after.count()), std::memory_order_relaxed);
    }

    /// Adds units of a grant; returns those, old or new, that belong to a window that is over, and are lost.
    std::uint64_t put(const Grant& grant, std::uint64_t units, std::int64_t asked_at) noexcept {
        if (grant.end_ns < end_ns) return units;
        std::uint64_t lost = 0;
        const std::int64_t at_ns = grant.taken.at.count();
        // The window ends so long after the store decided, which was not before it was asked.
        const std::int64_t here =
            grant.end_ns == int64_max ? int64_max : add(asked_at, clamp_to_int64(int128{grant.end_ns} - at_ns));
        if (grant.end_ns > end_ns) {
            lost = take_out(most_units);
            end_ns = grant.end_ns;
            until.store(here, std::memory_order_release);  // after the old units are gone, before the new ones come
        } else if (here > until.load(std::memory_order_relaxed)) {
            until.store(here, std::memory_order_release);
        }
        at.store(at_ns, std::memory_order_relaxed);
        put_in.fetch_add(units, std::memory_order_relaxed);
        balance.fetch_add(units, std::memory_order_acq_rel);
        return lost;
    }

    /// Follows the demand; `span` is the time that a lease is for.
    void follow(std::int64_t now, std::int64_t span) noexcept {
        if (now <= seen_at) return;
        const std::uint64_t spent = put_in.load(std::memory_order_relaxed) - taken_out.load(std::memory_order_relaxed) -
                                    units_of(balance.load(std::memory_order_acquire));
        // A reset may have taken out units in between.
        const std::uint64_t used =
            (spent > spent_before ? spent - spent_before : 0) + asked.exchange(0, std::memory_order_relaxed);
        const auto part = static_cast<double>(now - seen_at) / static_cast<double>(span);
        demand = part < 1 ? demand * (1 - part) + static_cast<double>(used) : static_cast<double>(used) / part;
        spent_before = spent;
        seen_at = now;
        if (used != 0) used_at = now;
    }
};

}  // namespace sluice::detail::layers

#endif
