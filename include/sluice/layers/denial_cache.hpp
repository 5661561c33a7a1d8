// SPDX-License-Identifier: MIT
#ifndef SLUICE_LAYERS_DENIAL_CACHE_HPP
#define SLUICE_LAYERS_DENIAL_CACHE_HPP

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include <sluice/clock.hpp>
#include <sluice/decision.hpp>
#include <sluice/detail/exceptions.hpp>
#include <sluice/detail/saturate.hpp>
#include <sluice/detail/sharded_counters.hpp>
#include <sluice/detail/validate.hpp>
#include <sluice/layers/detail/key_words.hpp>
#include <sluice/policy.hpp>
#include <sluice/remote/per_process.hpp>
#include <sluice/store.hpp>

namespace sluice {

struct DenialCacheOptions {
    std::size_t max_keys = 65'536;  ///< denied keys that are remembered at once, 1 .. 2^24; 80 bytes each
    std::chrono::nanoseconds cap = std::chrono::seconds{1};  ///< no denial is remembered for longer
};

struct DenialCacheStats {
    std::uint64_t hits = 0;        ///< requests denied without asking the store
    std::uint64_t remembered = 0;  ///< denials of the store that were written down
};

namespace detail::layers {

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
        const auto all = std::bit_cast<Numbers>(values);
        // Release: who reads one of them sees afterwards that the denial was being written.
        for (std::size_t i = 0; i != all.size(); ++i) numbers_[i].store(all[i], std::memory_order_release);
        word_.store(word, std::memory_order_release);
        return true;
    }
    /// False where this is not, or no longer, the denial that `word` means.
    bool read(std::uint64_t word, Values& values) const noexcept {
        if (word_.load(std::memory_order_acquire) != word) return false;
        Numbers all;
        for (std::size_t i = 0; i != all.size(); ++i) all[i] = numbers_[i].load(std::memory_order_acquire);
        values = std::bit_cast<Values>(all);
        return word_.load(std::memory_order_relaxed) == word;
    }

private:
    using Numbers = std::array<std::uint64_t, 6>;
    static constexpr std::uint64_t being_written = ~std::uint64_t{0};

    std::atomic<std::uint64_t> word_{0};
    std::array<std::atomic<std::uint64_t>, std::tuple_size_v<Numbers>> numbers_{};
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

    /// Whether the request is known to be denied.
    template <Policy P, class... Now>
    bool denies(const Request<P>& request, std::string_view key, std::uint64_t cost, Decision& decision, Look& look,
                Now... now) const noexcept {
        bool is_known = false;
        Denial::Values denial;
        words_.edit(
            request.scope.id, key,
            [&](std::uint64_t word, std::int64_t now_ns) {
                look.now = now_ns;
                is_known = find(word, now_ns, cost, denial);
                return word;
            },
            now...);
        // What exceeds the limit is denied for ever, which the store says.
        if (is_known && (cost == denial.cost || cost <= request.scope.policy.quota().limit)) {
            decision = Decision{};
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

    template <Policy P, class... Now>
    void remember(const Request<P>& request, std::string_view key, std::uint64_t cost, const Decision& decision,
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
            request.scope.id, key,
            [&](std::uint64_t word, std::int64_t now_ns) {
                Denial::Values other;
                const bool is_stale = changes(request.scope.id, key).load(std::memory_order_acquire) != look.changes;
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

    std::size_t place(std::uint64_t word) const noexcept { return word & KeyWord::own_bits & (ring_.size() - 1); }
    bool find(std::uint64_t word, std::int64_t now, std::uint64_t cost, Denial::Values& denial) const noexcept {
        return word != 0 && ring_[place(word)].read(word, denial) && now < denial.until && cost >= denial.cost;
    }
    /// Counts refunds and resets of a few keys.
    std::atomic<std::uint64_t>& changes(std::uint64_t scope_id, std::string_view key) const noexcept {
        return changes_[(std::hash<std::string_view>{}(key) ^ scope_id) % changes_.size()];
    }

    KeyWords<C> words_;
    std::vector<Denial> ring_;
    std::atomic<std::uint64_t> tickets_{0};
    mutable std::array<std::atomic<std::uint64_t>, 256> changes_{};
    mutable ShardedCounters<2> counters_;
};

}  // namespace detail::layers

/// A store in front of another: remembers in process what the other has denied, and denies it again without asking.
///
///     DenialCache{RedisStore{"redis://..."}}
///     DenialCache{Lease{redis}}
///
/// It denies nothing that the store would have allowed. A denial of cost c with retry_after r, given at the store's time s,
/// says that c does not fit before s + r if nothing else comes; what else consumes leaves less, and what costs more fits no
/// earlier. An entry holds from t, a time that was read before the store was asked and so is no later than s, until t +
/// min(r, cap): not longer than the denial, whatever the two clocks show, as long as they run equally fast. Entries are those
/// of (limiter, policy with its parameters, key), so a tier has its own. What makes a denial wrong is units that come back:
/// a refund, reset or give_back through this object drops the entry before it returns, and no request that was asked before
/// can write it again; one that is made elsewhere, in another process or by a Lease behind this, is seen after `cap` at
/// the latest. Neither an allowance nor an error is ever remembered, nor `never`.
///
/// The Decision is the store's: limit, remaining and reset_after as it said, the two times counted down. Of a request that
/// costs more than the one that was denied, retry_after is a lower bound. A peek goes to the store, and so does a cost
/// above the limit.
///
/// Cost: a hit takes no lock, no allocation and no round trip; a miss some 50 ns more than the store. Full, with max_keys
/// denied keys, nothing more is remembered. Thread-safe; copies share the entries; a forked child has its own. Keys are told
/// apart as by MemoryStore.
template <class S, Clock C = DefaultClock>
class DenialCache {
public:
    static constexpr bool in_process = InProcessStore<S>;  ///< as the store: an allowed request is its

    /// Throws std::invalid_argument for max_keys out of 1 .. 2^24 or a cap that is not positive, and std::bad_alloc.
    explicit DenialCache(S store, DenialCacheOptions options = {}, C clock = C{})
        : store_(std::move(store)), options_(checked(options)), clock_(std::move(clock)),
          denials_(std::make_shared<Denials>()) {
        static_cast<void>(denials());
    }

    template <Policy P>
    requires Store<S, P> Decision decide(const Request<P>& request)
    const noexcept {
        return pass(request, [&] { return store_.decide(request); });
    }

    /// A key's times must all be the caller's, or none of them.
    template <Policy P>
    requires TimedStore<S, P> Decision decide_at(const Request<P>& request, std::chrono::nanoseconds now)
    const noexcept {
        return pass(
            request, [&] { return store_.decide_at(request, now); }, now);
    }

    /// Only keys that are not known to be denied go to the store, together.
    template <Policy P>
    requires BatchStore<S, P>
    void decide_many(const Request<P>& request, std::span<const std::string_view> keys,
                     std::span<Decision> out) const noexcept {
        if (!is_kept(request) ||
            !detail::try_or([&] { return decide_open(request, keys, out), true; }, [] { return false; })) {
            store_.decide_many(request, keys, out);
        }
    }

    /// Throws what the store throws that cannot run the policy.
    template <Policy P>
    void check(const Scope<P>& scope) const {
        if constexpr (CheckingStore<S, P>) store_.check(scope);
    }

    const S& store() const noexcept { return store_; }
    DenialCacheStats stats() const noexcept {
        const auto* const known = denials_->peek();
        return known == nullptr ? DenialCacheStats{} : known->stats();
    }

private:
    using Known = detail::layers::Denials<C>;
    using Denials = detail::remote::PerProcess<Known>;
    using Look = typename Known::Look;

    static DenialCacheOptions checked(const DenialCacheOptions& options) {
        static_cast<void>(detail::checked_units("max_keys", options.max_keys, std::uint64_t{1} << 24));
        static_cast<void>(detail::checked_period("cap", options.cap));
        return options;
    }
    Known& denials() const {
        return denials_->get([this] { return std::make_unique<Known>(options_, clock_); });
    }

    /// Whether a denial of such a request may be remembered, and answer it.
    template <Policy P>
    static bool is_kept(const Request<P>& request) noexcept {
        return request.operation == Operation::consume && request.units != 0;
    }
    template <Policy P>
    static bool gives_units(const Request<P>& request) noexcept {
        return request.operation == Operation::refund || request.operation == Operation::reset;
    }

    template <Policy P, class Ask, class... Now>
    Decision pass(const Request<P>& request, Ask ask, Now... now) const noexcept {
        Known* const known = detail::try_or([&] { return &denials(); }, [] { return static_cast<Known*>(nullptr); });
        if (known != nullptr && is_kept(request)) {
            Decision decision;
            Look look;
            if (known->denies(request, request.key, request.units, decision, look, now...)) return decision;
            decision = ask();
            known->remember(request, request.key, request.units, decision, look, options_.cap, now...);
            return decision;
        }
        const Decision decision = ask();
        if (known != nullptr && gives_units(request)) known->forget(request.scope.id, request.key);
        return decision;
    }

    template <Policy P>
    void decide_open(const Request<P>& request, std::span<const std::string_view> keys, std::span<Decision> out) const {
        Known& known = denials();
        std::vector<std::string_view> open;
        std::vector<std::pair<std::size_t, Look>> looks;
        for (std::size_t i = 0; i != keys.size(); ++i) {
            Look look;
            if (known.denies(request, keys[i], request.units, out[i], look)) continue;
            open.push_back(keys[i]);
            looks.emplace_back(i, look);
        }
        if (open.empty()) return;
        std::vector<Decision> answers(open.size());
        store_.decide_many(request, open, answers);
        for (std::size_t i = 0; i != open.size(); ++i) {
            out[looks[i].first] = answers[i];
            known.remember(request, open[i], request.units, answers[i], looks[i].second, options_.cap);
        }
    }

    S store_;
    DenialCacheOptions options_;
    C clock_;
    std::shared_ptr<Denials> denials_;
};

}  // namespace sluice

#endif
