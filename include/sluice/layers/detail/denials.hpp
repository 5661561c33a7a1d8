// SPDX-License-Identifier: MIT
#ifndef SLUICE_LAYERS_DETAIL_DENIALS_HPP
#define SLUICE_LAYERS_DETAIL_DENIALS_HPP

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <sluice/clock.hpp>
#include <sluice/completion.hpp>
#include <sluice/decision.hpp>
#include <sluice/detail/saturate.hpp>
#include <sluice/detail/sharded_counters.hpp>
#include <sluice/layers/denial_cache_options.hpp>
#include <sluice/layers/detail/answer.hpp>
#include <sluice/layers/detail/key_words.hpp>
#include <sluice/store.hpp>

namespace sluice::detail::layers {

/// A denial of the store's. Read by any thread while one writes.
class Denial {
public:
    struct Values {
        std::int64_t fits_at, until, reset_at;  // ns: allowed from then on; to be forgotten then; as good as new
        std::uint64_t cost, remaining, limit;
    };

    /// False where another thread is at it.
    bool write(std::uint64_t word, const Values& values) noexcept {
        std::uint64_t before = word_.load(std::memory_order_relaxed);
        if (before == being_written || !word_.compare_exchange_strong(before, being_written, std::memory_order_acq_rel))
            return false;
        // Release: who reads one of them sees afterwards that the denial was being written.
        fits_at_.store(values.fits_at, std::memory_order_release);
        until_.store(values.until, std::memory_order_release);
        reset_at_.store(values.reset_at, std::memory_order_release);
        cost_.store(values.cost, std::memory_order_release);
        remaining_.store(values.remaining, std::memory_order_release);
        limit_.store(values.limit, std::memory_order_release);
        word_.store(word, std::memory_order_release);
        return true;
    }
    /// False where this is not, or no longer, the denial that `word` means.
    bool read(std::uint64_t word, Values& values) const noexcept {
        constexpr auto acquire = std::memory_order_acquire;
        if (word_.load(acquire) != word) return false;
        values = {fits_at_.load(acquire), until_.load(acquire),     reset_at_.load(acquire),
                  cost_.load(acquire),    remaining_.load(acquire), limit_.load(acquire)};
        return word_.load(std::memory_order_relaxed) == word;
    }

private:
    static constexpr std::uint64_t being_written = ~std::uint64_t{0};

    std::atomic<std::uint64_t> word_{0};
    std::atomic<std::int64_t> fits_at_{0}, until_{0}, reset_at_{0};
    std::atomic<std::uint64_t> cost_{0}, remaining_{0}, limit_{0};
};

/// Denials by scope and key. A key's word names a place in a ring of denials; who finds another's there knows nothing.
template <Clock C>
class Denials {
public:
    Denials(const DenialCacheOptions& options, C clock)
        : words_(options.max_keys, std::move(clock)), ring_(std::bit_ceil(options.max_keys)) {}

    /// What was known when a request came.
    struct Look {
        std::int64_t now = int64_min;  // before the store is asked
        std::uint64_t changes = 0;
    };

    /// Whether the request is known to be denied; then `decision`, which must be as a new one, is made the answer.
    template <Policy P, class... Now>
    bool denies(const Request<P>& request, std::string_view key, std::uint64_t cost, Decision& decision, Look& look,
                Now... now) const noexcept {
        const auto [word, seen_at] = words_.look(request.scope.id, key, now...);
        look.now = seen_at;
        Denial::Values denial;
        // What exceeds the limit is denied for ever, which the store says.
        if (find(word, seen_at, cost, denial) && (cost == denial.cost || cost <= request.scope.policy.quota().limit)) {
            decision.limit = denial.limit;
            decision.remaining = denial.remaining;
            decision.retry_after = wait(look.now, denial.fits_at);
            decision.reset_after = wait(look.now, denial.reset_at);
            counters_.add(hit);
            return true;
        }
        look.changes = changes(request.scope.id, key).load(std::memory_order_acquire);
        return false;
    }

    template <class... Now>
    void remember(std::uint64_t scope_id, std::string_view key, std::uint64_t cost, const Decision& decision,
                  const Look& look, std::chrono::nanoseconds cap, Now... now) noexcept {
        if (decision.allowed || decision.error || decision.retry_after == Decision::never) return;
        const std::int64_t fits_at = add(look.now, decision.retry_after.count());
        const std::int64_t until = std::min(fits_at, add(look.now, cap.count()));
        if (until <= std::max<std::int64_t>(look.now, 0)) return;
        const std::uint64_t ticket = tickets_.fetch_add(1, std::memory_order_relaxed);
        const std::uint64_t mine = KeyWord::make(until, ticket & KeyWord::own_bits);
        if (!ring_[place(mine)].write(mine, {fits_at, until, add(look.now, decision.reset_after.count()), cost,
                                             decision.remaining, decision.limit}))
            return;
        words_.edit(
            scope_id, key,
            [&](std::uint64_t word, std::int64_t now_ns) {
                Denial::Values other;
                const bool is_stale = changes(scope_id, key).load(std::memory_order_acquire) != look.changes;
                return is_stale || find(word, now_ns, cost, other) ? word : mine;
            },
            now...);
        counters_.add(remembered);
    }

    /// The key has got units back. Whoever asked before, and remembers later, sees the change and does not.
    void forget(std::uint64_t scope_id, std::string_view key) noexcept {
        changes(scope_id, key).fetch_add(1, std::memory_order_release);
        words_.erase(scope_id, key);
    }

    DenialCacheStats stats() const noexcept { return {counters_.sum(hit), counters_.sum(remembered)}; }
    static void abandon() noexcept {}
    const C& clock() const noexcept { return words_.clock(); }

private:
    static constexpr std::size_t hit = 0, remembered = 1;

    std::size_t place(std::uint64_t word) const noexcept {
        return static_cast<std::size_t>(word & KeyWord::own_bits) & (ring_.size() - 1);
    }
    bool find(std::uint64_t word, std::int64_t now, std::uint64_t cost, Denial::Values& denial) const noexcept {
        return word != 0 && ring_[place(word)].read(word, denial) && now < denial.until && cost >= denial.cost;
    }
    /// Counts refunds and resets of a few keys.
    std::atomic<std::uint64_t>& changes(std::uint64_t scope_id, std::string_view key) const noexcept {
        const std::uint64_t number = std::hash<std::string_view>{}(key) ^ scope_id;
        return changes_[static_cast<std::size_t>(number % changes_.size())];
    }

    KeyWords<C> words_;
    std::vector<Denial> ring_;
    std::atomic<std::uint64_t> tickets_{0};
    mutable std::array<std::atomic<std::uint64_t>, 256> changes_{};
    mutable ShardedCounters<2> counters_;
};

/// Told by an AsyncStore: what a caller of its would have done then.
template <class Known, class F>
struct DenialCompletion {
    std::shared_ptr<Known> known;
    std::uint64_t scope_id;
    std::string key;
    std::uint64_t cost;  ///< 0: the key has got units back
    typename Known::Look look;
    std::chrono::nanoseconds cap;
    F done;

    template <class Answer>
    void operator()(Answer answer) && {
        if (cost != 0) {
            known->remember(scope_id, key, cost, decision_of(answer), look, cap);
        } else {
            known->forget(scope_id, key);
        }
        std::move(done)(answer);
    }
    auto get_allocator() const noexcept { return completion_allocator(done); }
    bool is_abandoned() const noexcept { return sluice::is_abandoned(done); }
};

}  // namespace sluice::detail::layers

#endif
