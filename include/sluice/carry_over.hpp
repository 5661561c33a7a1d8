// SPDX-License-Identifier: MIT
#ifndef SLUICE_CARRY_OVER_HPP
#define SLUICE_CARRY_OVER_HPP

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <sluice/any_limiter.hpp>
#include <sluice/charge_calls.hpp>
#include <sluice/decision.hpp>
#include <sluice/error.hpp>
#include <sluice/reservation.hpp>
#include <sluice/store.hpp>
#include <sluice/waiting.hpp>

namespace sluice {

/// The same limit by other numbers, for a change of configuration: a limiter that decides as `limiter` does, but takes over
/// what each key has used of `previous`. Used units stay used, at most the new limit of them: of 100 with 92 used, 50 has
/// nothing left, and 200 has 108.
///
/// It happens when a key is asked for the first time: what is used of the previous limit then, rounded up to whole units, is
/// charged to the new one as of that time, and the key is forgotten there. No other request on the key comes in between.
/// Requests that are still being decided by the previous limiter itself meanwhile find nothing left, or count there alone.
///
/// Where one of them decides on a server, which any number of processes may do after the same change: whichever asks first
/// has the server charge what it finds used, and only if nothing is used of the new limit yet, in one step. What processes
/// that still decide by the previous limit take of it meanwhile counts there alone. On a Redis Cluster a key's two states lie on
/// two nodes as a rule, each with its own clock. A key whose previous state cannot be asked at its first call, since that node
/// is away, starts fresh. A store that is no CarryingStore starts fresh, too: `limiter` is returned as it is.
///
/// Neither observer hears of it. As thread-safe as the two. In process each call costs a peek more, and one on a key that is
/// as good as new a lock and a second. On a server a key's first call in this process costs one round trip more, or three
/// where something is taken over, and others 32 kB of memory for all; where more than some thousands of keys are in use,
/// some of them are asked for again. All that ends two windows of the previous limit after the change. May throw
/// std::bad_alloc.
AnyLimiter carry_over(AnyLimiter limiter, AnyLimiter previous);

namespace detail {

class CarryOver final : public AnyLimiter::Concept {
public:
    using Clock = std::chrono::steady_clock;

    CarryOver(AnyLimiter limiter, AnyLimiter previous, std::size_t depth, Clock::time_point since)
        : limiter_(std::move(limiter)), previous_(std::move(previous)), depth_(depth), since_(since) {
        const bool is_local = limiter_.is_in_process() && previous_.is_in_process();
        if (!is_local) keys_ = std::make_unique<Keys>();
    }

    static AnyLimiter make(AnyLimiter limiter, AnyLimiter previous, Clock::time_point since) {
        if (!can_take_over(limiter, previous)) return limiter;
        if (limiter.identity() == previous.identity()) {
            // Nothing has changed, but keys that have not been asked since the change before are still to be taken over.
            const CarryOver* older = previous.limiter_->as_carry_over();
            return older == nullptr || older->is_over(since) ? limiter : make(limiter, older->previous_, older->since_);
        }
        const CarryOver* older = previous.limiter_->as_carry_over();
        if (older != nullptr && (older->depth_ == most_changes || older->is_over(since))) {
            previous = AnyLimiter{older->limiter_};
            older = nullptr;
        }
        const std::size_t depth = older == nullptr ? 1 : older->depth_ + 1;
        return AnyLimiter{std::shared_ptr<const AnyLimiter::Concept>{
            std::make_shared<const CarryOver>(std::move(limiter), std::move(previous), depth, since)}};
    }

    Decision try_consume(std::string_view key, Units cost) const noexcept override {
        return taken_over(key).try_consume(key, cost);
    }
    Decision peek(std::string_view key, Units cost) const noexcept override { return taken_over(key).peek(key, cost); }
    std::error_code refund(std::string_view key, Units units) const noexcept override {
        return taken_over(key).refund(key, units);
    }
    std::error_code reset(std::string_view key) const noexcept override { return taken_over(key).reset(key); }
    void try_consume_many(std::span<const std::string_view> keys, std::span<Decision> out) const noexcept override {
        for (const auto key : keys) taken_over(key);
        limiter_.try_consume_many(keys, out);
    }
    Waited acquire(std::string_view key, Units cost, std::chrono::nanoseconds max_wait,
                   const StopToken& stop) const noexcept override {
        return taken_over(key).acquire(key, cost, max_wait, stop);
    }
    Taken try_consume_up_to(std::string_view key, Units most) const noexcept override {
        return taken_over(key).try_consume_up_to(key, most);
    }
    Reservation reserve(std::string_view key, Units estimate) const noexcept override {
        return taken_over(key).reserve(key, estimate);
    }
    ChargedLimiter charged(std::string_view key) const noexcept override {
        return taken_over(key).limiter_->charged(key);
    }
    Quota quota() const noexcept override { return limiter_.quota(); }
    bool is_in_process() const noexcept override { return keys_ == nullptr; }
    bool can_carry() const noexcept override { return limiter_.can_carry(); }
    /// Else it starts fresh.
    static bool can_take_over(const AnyLimiter& limiter, const AnyLimiter& previous) noexcept {
        return limiter.can_carry() || (limiter.is_in_process() && previous.is_in_process());
    }
    const std::string& name() const noexcept override { return limiter_.name(); }
    std::uint64_t identity() const noexcept override { return limiter_.identity(); }
    const CarryOver* as_carry_over() const noexcept override { return this; }

private:
    static constexpr std::size_t most_changes = 8;  // that one call looks back

    /// Whether all that the previous limit knew has come back by itself: a window counts for two, at most.
    bool is_over(Clock::time_point now) const noexcept { return (now - since_) / 2 > previous_.quota().window; }

    const AnyLimiter& taken_over(std::string_view key) const noexcept {
        if (keys_ != nullptr) {
            take_over_on_server(key);
        } else if (is_unused(limiter_, key)) {
            take_over(key);
        }
        return limiter_;
    }
    /// Not told by `previous_` again once it is done; a failure is the next call's to repair.
    void take_over_on_server(std::string_view key) const noexcept {
        const std::size_t hash = std::hash<std::string_view>{}(key);
        std::atomic<std::uint64_t>& known = (*keys_)[hash % keys_->size()];
        if (known.load(std::memory_order_relaxed) == (hash | 1) || is_over(Clock::now())) return;
        const Decision left = peeked(previous_, key);
        if (left.error) return;
        if (left.remaining != left.limit) {
            const ChargedLimiter one = limiter_.limiter_->charged(key);
            if (one.calls->carry({one.limiter, key, left.limit - left.remaining}).error) return;
            if (previous_.reset(key)) return;
        }
        known.store(hash | 1, std::memory_order_relaxed);  // publishes nothing: a thread that misses it asks once more
    }
    [[gnu::noinline]] void take_over(std::string_view key) const noexcept {
        const std::lock_guard lock{mutexes_[std::hash<std::string_view>{}(key) % mutexes_.size()]};
        if (is_unused(previous_, key) || !is_unused(limiter_, key)) return;
        const std::uint64_t used = std::min(close(key), limiter_.quota().limit);
        const Decision charged = consume(limiter_, key, used);
        if (charged.allowed && is_decided(charged.error)) previous_.reset(key);  // else it stays used up there
    }
    /// Uses up what is left of the previous limit, so that nobody takes any more, and tells what was used before.
    std::uint64_t close(std::string_view key) const noexcept {
        Decision left = peeked(previous_, key);
        for (int attempt = 0; attempt != 100 && left.remaining != 0; ++attempt) {
            if (consume(previous_, key, left.remaining).allowed) break;  // else somebody has just taken some
            left = peeked(previous_, key);
        }
        return left.limit - left.remaining;
    }

    static bool is_unused(const AnyLimiter& limiter, std::string_view key) noexcept {
        const Decision left = peeked(limiter, key);
        return left.remaining == left.limit;
    }
    // Without the observers.
    static Decision peeked(const AnyLimiter& limiter, std::string_view key) noexcept {
        const ChargedLimiter one = limiter.limiter_->charged(key);
        return one.calls->peek({one.limiter, key, 0});
    }
    static Decision consume(const AnyLimiter& limiter, std::string_view key, std::uint64_t units) noexcept {
        const ChargedLimiter one = limiter.limiter_->charged(key);
        Consumption out;
        one.calls->ask({one.limiter, key, units}, nullptr, out);
        return out.decision;
    }

    /// Hashes of those that were asked for; a key takes the place of another.
    using Keys = std::array<std::atomic<std::uint64_t>, 4096>;

    AnyLimiter limiter_, previous_;
    std::size_t depth_;  // of changes behind this one, with it
    Clock::time_point since_;
    mutable std::array<std::mutex, 64> mutexes_{};  // of keys' hashes
    std::unique_ptr<Keys> keys_{};                  // null where both are in process
};

}  // namespace detail

inline AnyLimiter carry_over(AnyLimiter limiter, AnyLimiter previous) {
    return detail::CarryOver::make(std::move(limiter), std::move(previous), detail::CarryOver::Clock::now());
}

}  // namespace sluice

#endif
