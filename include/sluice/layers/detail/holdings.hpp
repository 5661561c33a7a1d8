// SPDX-License-Identifier: MIT
#ifndef SLUICE_LAYERS_DETAIL_HOLDINGS_HPP
#define SLUICE_LAYERS_DETAIL_HOLDINGS_HPP

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <sluice/clock.hpp>
#include <sluice/layers/detail/holding.hpp>
#include <sluice/layers/detail/key_words.hpp>
#include <sluice/layers/detail/lease_word.hpp>
#include <sluice/layers/detail/signal_free_thread.hpp>
#include <sluice/layers/lease_options.hpp>
#include <sluice/store.hpp>

namespace sluice::detail::layers {

/// The leases of one process: finds a key's, spends from it, follows its demand, takes and gives back.
template <Clock C>
class Holdings {
public:
    struct Look {
        std::int64_t now = 0;
        std::uint64_t word = 0;
    };

    Holdings(const LeaseOptions& options, C clock)
        : options_(options), words_(16 * options.max_keys, std::move(clock)), all_(options.max_keys) {
        for (std::size_t i = all_.size(); i-- != 0;) free_.push_back(static_cast<std::uint32_t>(i));
    }
    ~Holdings() {
        {
            const std::lock_guard lock{mutex_};
            is_over_ = true;
        }
        wake_.notify_all();
        if (thread_.joinable()) thread_.join();
        for (Holding& holding : all_) {
            if (holding.ask && !give_back(holding, Holding::most_units)) break;  // the others would wait as long
        }
    }

    /// Spends what is held, if it is enough. Counts the request where its key has no holding.
    bool spend(std::uint64_t scope_id, std::string_view key, std::uint64_t units, Look& look,
               Consumption& out) noexcept {
        words_.edit(scope_id, key, [&](std::uint64_t word, std::int64_t now) {
            look = {now, LeaseWord::counted(word, now)};
            return look.word;
        });
        Holding* const holding = of(look.word);
        return holding != nullptr && spend(*holding, units, look, out);
    }
    bool spend(Holding& holding, std::uint64_t units, const Look& look, Consumption& out) noexcept {
        std::uint64_t balance = holding.balance.load(std::memory_order_acquire);
        do {
            if (!is_of(look.word, balance) || Holding::units_of(balance) < units ||
                holding.until.load(std::memory_order_acquire) <= look.now)
                return false;
        } while (!holding.balance.compare_exchange_weak(balance, balance - units, std::memory_order_acq_rel,
                                                        std::memory_order_acquire));
        out.units = units;
        out.at = std::chrono::nanoseconds{holding.at.load(std::memory_order_relaxed)};
        Decision& decision = out.decision;
        decision.allowed = true;
        decision.limit = holding.limit.load(std::memory_order_relaxed);
        const std::uint64_t left = holding.left.load(std::memory_order_relaxed);  // older than what is held
        decision.remaining = std::min(decision.limit, left + Holding::units_of(balance) - units);
        decision.reset_after = wait(look.now, holding.reset_at.load(std::memory_order_relaxed));
        return true;
    }

    /// The holding of a key that spend() has looked up, or a new one where it is worth it. `make(holding)` makes its `ask`.
    template <class Make>
    Holding* find_or_open(std::uint64_t scope_id, std::string_view key, const Look& look, Make make) {
        if (Holding* const known = of(look.word)) return known;
        if (!LeaseWord::is_busy(look.word) || is_full_.load(std::memory_order_relaxed)) return nullptr;
        const std::lock_guard lock{mutex_};
        if (free_.empty() || !has_thread()) return nullptr;
        Holding& holding = all_[free_.back()];
        std::string name{key};
        auto ask = make(holding);
        if (holding.busy.exchange(true, std::memory_order_acquire)) return nullptr;  // by one who was late
        bool is_mine = false;
        const std::uint64_t mine =
            LeaseWord::make(free_.back(), Holding::owner_of(holding.balance.load(std::memory_order_relaxed)));
        words_.edit(scope_id, key, [&](std::uint64_t word, std::int64_t) {
            is_mine = of(word) == nullptr;
            return is_mine ? mine : word;
        });
        if (is_mine) {
            used_.store(std::max<std::size_t>(used_.load(), free_.back() + std::size_t{1}), std::memory_order_release);
            free_.pop_back();
            is_full_.store(free_.empty(), std::memory_order_relaxed);
            holding.scope_id = scope_id;
            holding.key = std::move(name);
            holding.ask = std::move(ask);
            holding.end_ns = int64_min;
            holding.seen_at = holding.used_at = look.now;
            holding.demand = 0;
            wake_.notify_one();
        }
        holding.busy.store(false, std::memory_order_release);
        return nullptr;  // from the next request on
    }

    /// Asks for as many units as are worth it, for a request of one unit. False where it should ask for that itself.
    template <class Take>
    bool take(Holding& holding, const Look& look, Consumption& out, Take take) noexcept {
        if (holding.busy.exchange(true, std::memory_order_acquire)) return false;
        bool is_done = spend(holding, 1, look, out);  // another request may have been faster
        if (!is_done && is_of(look.word, holding.balance.load(std::memory_order_acquire))) {
            holding.follow(look.now, span());
            if (const std::uint64_t units = goal(holding); units > 1) {
                const Grant grant = take(units);
                out = grant.taken;
                keep(holding, grant, look.now, 1);
                is_done = true;
            }
        }
        holding.busy.store(false, std::memory_order_release);
        return is_done;
    }

    /// Takes note of what the store said to a request of `units`.
    void note(Holding& holding, std::uint64_t units, const Decision& decision, const Look& look) noexcept {
        if (!is_of(look.word, holding.balance.load(std::memory_order_acquire))) return;
        holding.asked.fetch_add(units, std::memory_order_relaxed);
        if (!decision.error) holding.note(decision, look.now);
    }

    /// The units that are held of a key.
    std::uint64_t held(std::uint64_t scope_id, std::string_view key) noexcept {
        std::uint64_t units = 0;
        visit(scope_id, key, [&](Holding& holding, std::int64_t now) { units = holding.held(now); });
        return units;
    }
    void forget(std::uint64_t scope_id, std::string_view key) noexcept {
        visit(scope_id, key, [&](Holding& holding, std::int64_t) { lose(holding.take_out(Holding::most_units)); });
    }

    /// One pass over all leases: takes what will be needed soon, gives back what is not used, ends what is over. Stops where
    /// the store fails, and goes on behind that lease the next time.
    void maintain() noexcept {
        const std::unique_lock lock{pass_, std::try_to_lock};
        if (!lock) return;
        const std::size_t count = used_.load(std::memory_order_acquire);
        for (std::size_t i = 0; i != count; ++i) {
            next_ = (next_ + 1) % count;
            Holding& holding = all_[next_];
            if (holding.busy.exchange(true, std::memory_order_acquire)) continue;
            const bool is_well = !holding.ask || look_after(holding, static_cast<std::uint32_t>(next_));
            holding.busy.store(false, std::memory_order_release);
            if (!is_well) return;
        }
    }

    LeaseStats stats() const noexcept {
        LeaseStats stats;
        for (const Holding& holding : all_)
            stats.held += Holding::units_of(holding.balance.load(std::memory_order_relaxed));
        stats.leases = leases_.load(std::memory_order_relaxed);
        stats.returned = returned_.load(std::memory_order_relaxed);
        stats.stranded = stranded_.load(std::memory_order_relaxed);
        const std::uint64_t gone = stats.held + stats.returned + stats.stranded;
        stats.hits = std::max(gone, ahead_.load(std::memory_order_relaxed)) - gone;
        return stats;
    }
    static void abandon() noexcept {}

private:
    static constexpr std::int64_t second = 1'000'000'000;

    Holding* of(std::uint64_t word) noexcept {
        return LeaseWord::names_holding(word) ? &all_[LeaseWord::holding(word)] : nullptr;
    }
    static bool is_of(std::uint64_t word, std::uint64_t balance) noexcept {
        return LeaseWord::is_owner(word, Holding::owner_of(balance));
    }
    template <class Visit>
    void visit(std::uint64_t scope_id, std::string_view key, Visit visit) noexcept {
        Look look;
        words_.edit(scope_id, key, [&](std::uint64_t word, std::int64_t now) {
            look = {now, word};
            return word;
        });
        Holding* const holding = of(look.word);
        if (holding != nullptr && is_of(look.word, holding->balance.load(std::memory_order_acquire)))
            visit(*holding, look.now);
    }

    /// The time that a lease is for: long enough for half of it to outlast two round trips.
    std::int64_t span() const noexcept {
        return std::max<std::int64_t>(options_.span.count(), 4 * round_trip_.load(std::memory_order_relaxed));
    }
    std::uint64_t wanted(const Holding& holding) const noexcept {
        const double units = std::min(holding.demand, static_cast<double>(options_.max_units));
        return static_cast<std::uint64_t>(units);
    }
    /// How many units to hold: falls to 1, which is to hold none ahead, as the limit gets near.
    std::uint64_t goal(const Holding& holding) const noexcept {
        const std::uint64_t fair = holding.left.load(std::memory_order_relaxed) / options_.instances;
        return std::min(wanted(holding), std::max<std::uint64_t>(1, fair));
    }

    /// Keeps what a grant brought, but for `spent` units of it.
    void keep(Holding& holding, const Grant& grant, std::int64_t asked_at, std::uint64_t spent) noexcept {
        const std::int64_t took = words_.clock().now().count() - asked_at;
        const std::int64_t usual = round_trip_.load(std::memory_order_relaxed);
        round_trip_.store(usual + (took - usual) / 8, std::memory_order_relaxed);
        const Consumption& taken = grant.taken;
        if (!taken.decision.error) holding.note(taken.decision, asked_at);
        holding.asked.fetch_add(spent, std::memory_order_relaxed);
        if (taken.units <= spent) return;
        const std::uint64_t rest = taken.units - spent;
        leases_.fetch_add(1, std::memory_order_relaxed);
        ahead_.fetch_add(rest, std::memory_order_relaxed);
        // Another store than usual has decided: no lease of its units.
        lose(taken.decision.error ? rest : holding.put(grant, rest, asked_at));
    }
    void lose(std::uint64_t units) noexcept { stranded_.fetch_add(units, std::memory_order_relaxed); }

    /// False where the store failed: then the units are lost.
    bool give_back(Holding& holding, std::uint64_t most) noexcept {
        const std::uint64_t units = holding.take_out(most);
        if (units == 0) return true;
        const auto error =
            holding.ask(Operation::give_back, units, holding.at.load(std::memory_order_relaxed)).taken.decision.error;
        (error ? stranded_ : returned_).fetch_add(units, std::memory_order_relaxed);
        return !is_failure(error);
    }

    bool look_after(Holding& holding, std::uint32_t index) noexcept {
        const std::int64_t now = words_.clock().now().count();
        holding.follow(now, span());
        if (holding.until.load(std::memory_order_relaxed) <= now) lose(holding.take_out(Holding::most_units));
        const std::uint64_t units = holding.held(now);
        const std::uint64_t want = wanted(holding);
        const bool is_idle = now - holding.used_at > 2 * span();
        if (units != 0 && (is_idle || units > 2 * want)) return give_back(holding, is_idle ? units : units - want);
        const std::uint64_t most = goal(holding);
        if (most > 1 && units <= most / 2) {
            const Grant grant = holding.ask(Operation::take, most - units, 0);
            keep(holding, grant, now, 0);
            return !is_failure(grant.taken.decision.error);
        }
        if (units == 0 && now - holding.used_at > second) close(holding, index);
        return true;
    }
    void close(Holding& holding, std::uint32_t index) noexcept {
        const std::lock_guard lock{mutex_};
        words_.erase(holding.scope_id, holding.key);
        holding.balance.fetch_add(Holding::most_units + 1, std::memory_order_acq_rel);  // nobody's
        holding.ask = nullptr;
        free_.push_back(index);
        is_full_.store(false, std::memory_order_relaxed);
    }

    /// With the mutex.
    bool has_thread() noexcept {
        return options_.drive == Drive::manual || thread_.joinable() ||
               start_without_signals(thread_, [this] { run(); });
    }
    void run() noexcept {
        std::unique_lock lock{mutex_};
        while (!is_over_) {
            if (free_.size() == all_.size()) {
                wake_.wait(lock);
            } else {
                wake_.wait_for(lock, options_.span / 8);
            }
            lock.unlock();
            maintain();
            lock.lock();
        }
    }

    LeaseOptions options_;
    KeyWords<C> words_;
    std::vector<Holding> all_;
    std::mutex mutex_;  // of the next five
    std::vector<std::uint32_t> free_;
    std::atomic<bool> is_full_{false};  // written with the mutex
    bool is_over_ = false;
    std::condition_variable wake_;
    std::thread thread_;
    std::mutex pass_;
    std::size_t next_ = 0;
    std::atomic<std::size_t> used_{0};  // of all_, from the front
    std::atomic<std::int64_t> round_trip_{0};
    std::atomic<std::uint64_t> leases_{0}, ahead_{0}, returned_{0}, stranded_{0};
};

}  // namespace sluice::detail::layers

#endif
