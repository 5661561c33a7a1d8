// SPDX-License-Identifier: MIT
#ifndef SLUICE_MEMORY_DETAIL_STORE_TABLES_HPP
#define SLUICE_MEMORY_DETAIL_STORE_TABLES_HPP

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

#include <sluice/detail/algorithm.hpp>
#include <sluice/error.hpp>
#include <sluice/memory/detail/decision_time.hpp>
#include <sluice/memory/detail/key_hash.hpp>
#include <sluice/memory/detail/state_access.hpp>
#include <sluice/memory/detail/state_form.hpp>
#include <sluice/memory/detail/table.hpp>
#include <sluice/memory/memory_options.hpp>
#include <sluice/policy.hpp>
#include <sluice/store.hpp>

namespace sluice::detail {

/// The table of a form, and that of the states that new keys share while the store is full.
template <class Form>
struct Tables {
    Tables(KeyCount& keys, KeyCount& overflow_keys, bool has_checks)
        : own(keys, has_checks), overflow(overflow_keys, has_checks) {}
    std::uint64_t reclaimed() const noexcept { return own.reclaimed() + overflow.reclaimed(); }

    Table<Form> own, overflow;
};
struct NoTables {
    NoTables(KeyCount&, KeyCount&, bool) noexcept {}
    static std::uint64_t reclaimed() noexcept { return 0; }
};

/// What all copies of a MemoryStore share: the tables, one for each form that the policy's states may take, and what is done
/// where they are full.
template <Policy P, class C>
class StoreTables {
    using Time = DecisionTime<C>;
    using Packed = PackedForm<P>;
    using Plain = PlainForm<P>;

public:
    explicit StoreTables(const MemoryOptions& its)
        : options(its), keys(its.max_keys),
          overflow_keys(std::min<std::size_t>(std::max<std::size_t>(its.max_keys / 64, 1), 64)),
          packed(keys, overflow_keys, its.wide_fingerprints), plain(keys, overflow_keys, its.wide_fingerprints) {}

    const MemoryOptions options;
    const KeyHash hash{}, check_hash{};
    KeyCount keys, overflow_keys;
    std::conditional_t<Packed::words != 0, Tables<Packed>, NoTables> packed;
    std::conditional_t<Packed::always_fits, NoTables, Tables<Plain>> plain;
    std::atomic<std::uint64_t> overflowed{0};

    /// What the request's key is known by; `first` is its hash().
    [[gnu::always_inline]] HashedKey hashed(const Request<P>& request, std::uint64_t first) const noexcept {
        if (!options.wide_fingerprints) [[likely]]
            return {first, 0};
        return {first, check_hash(request.scope.id, request.key)};
    }

    /// Runs `step`, which decides, on the state of a key, wherever it is. `time` becomes that of the decision.
    template <class Step>
    void apply(const Request<P>& request, const HashedKey& key, Time& time, Step step, Decision& decision) noexcept {
        if constexpr (Packed::words != 0) {
            if (Packed::always_fits || Packed::fits(request.scope.policy))
                return apply_in(packed, request, key, time, step, decision);
        }
        if constexpr (!Packed::always_fits) apply_in(plain, request, key, time, step, decision);
    }

private:
    template <class Form, class Step>
    void apply_in(Tables<Form>& tables, const Request<P>& request, HashedKey key, Time& time, Step step,
                  Decision& decision) noexcept {
        using Access = StateAccess<P, C, Form>;
        if constexpr (Form::owns_memory) time.refresh();  // it may not have been read yet
        bool has_reclaimed = false;
        for (Table<Form>* table = &tables.own;;) {
            const Placed placed = Access::step_or_place(*table, request, key, time, step, decision);
            if (placed == Placed::done) [[likely]]
                return;
            if (placed == Placed::no_memory) {
                decision = failure(Errc::no_memory);
                return;
            }
            if (table == &tables.own) {
                if (!std::exchange(has_reclaimed, true) && reclaim(time.expired_before().count())) continue;
                overflowed.fetch_add(1, std::memory_order_relaxed);
                if (options.on_full == OnFull::overflow) {
                    table = &tables.overflow;
                    key = overflow_key(request, key);
                    continue;
                }
            }
            // Where other scopes have taken all overflow states, this one has to be refused.
            decision = failure(Errc::store_full);
            decision.limit = request.scope.policy.quota().limit;
            decision.allowed = options.on_full == OnFull::allow;
            return;
        }
    }

    bool reclaim(std::int64_t expired_before) noexcept {
        for (int turn = 0; turn != 2; ++turn) {
            if constexpr (Packed::words != 0) {
                if (packed.own.reclaim(expired_before)) return true;
            }
            if constexpr (!Packed::always_fits) {
                if (plain.own.reclaim(expired_before)) return true;
            }
        }
        return keys.now() < keys.most();  // another thread was faster
    }

    /// That of one of the states which new keys of this scope share while the store is full.
    HashedKey overflow_key(const Request<P>& request, const HashedKey& key) const noexcept {
        constexpr std::uint64_t apart_from_keys = 0x6f766572666c6f77;
        const auto index = static_cast<char>((key.hash >> 3) % overflow_keys.most());
        return {hash(request.scope.id ^ apart_from_keys, {&index, 1}), 0};
    }
};

}  // namespace sluice::detail

#endif
