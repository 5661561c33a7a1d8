// SPDX-License-Identifier: MIT
#ifndef SLUICE_ANY_LIMITER_HPP
#define SLUICE_ANY_LIMITER_HPP

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <sluice/any_completion.hpp>
#include <sluice/async_calls.hpp>
#include <sluice/async_reserve.hpp>
#include <sluice/charge_calls.hpp>
#include <sluice/decision.hpp>
#include <sluice/loop_store.hpp>
#include <sluice/rate_limiter.hpp>
#include <sluice/reservation.hpp>
#include <sluice/waiting.hpp>

namespace sluice {

namespace detail {
class CarryOver;
}

/// A RateLimiter whose policy and store are chosen at run time. Copies share the limiter; as thread-safe as it; one
/// virtual call more.
///
/// Of a limiter over an AsyncStore that is no Store (AsyncRedis) the calls that wait for an answer are denied with
/// Errc::misconfigured; refund, reset, and what settles a Reservation, are sent and not waited for.
class AnyLimiter {
public:
    template <Policy P, class S>
    AnyLimiter(RateLimiter<P, S> limiter) : limiter_(model_of(std::move(limiter))) {}

    [[nodiscard]] Decision try_consume(std::string_view key, Units cost = 1) const noexcept {
        return limiter_->try_consume(key, cost);
    }
    [[nodiscard]] Decision peek(std::string_view key, Units cost = 1) const noexcept {
        return limiter_->peek(key, cost);
    }
    std::error_code refund(std::string_view key, Units units) const noexcept { return limiter_->refund(key, units); }
    std::error_code reset(std::string_view key) const noexcept { return limiter_->reset(key); }
    void try_consume_many(std::span<const std::string_view> keys, std::span<Decision> out) const noexcept {
        limiter_->try_consume_many(keys, out);
    }
    template <detail::KeyRange R>
    void try_consume_many(const R& keys, std::span<Decision> out) const noexcept {
        detail::try_consume_range(*this, keys, out);
    }
    /// See RateLimiter.
    [[nodiscard]] Waited acquire(std::string_view key, Units cost, std::chrono::nanoseconds max_wait,
                                 const detail::StopToken& stop = {}) const noexcept {
        return limiter_->acquire(key, cost, max_wait, stop);
    }
    /// See RateLimiter; Errc::unsupported where the store is no SettlingStore.
    [[nodiscard]] Taken try_consume_up_to(std::string_view key, Units most) const noexcept {
        return limiter_->try_consume_up_to(key, most);
    }
    /// See RateLimiter; Errc::unsupported where the store is no SettlingStore, or the policy no SettlingPolicy.
    [[nodiscard]] Reservation reserve(std::string_view key, Units estimate) const noexcept {
        return limiter_->reserve(key, estimate);
    }
    /// try_consume() and reserve() for event loops: done(answer) is called once, when and where the store says (see
    /// AsyncStore); before they return where the store has the blocking calls alone, or is in this process. The limiter and
    /// the key need not live until then. `done` must not throw.
    void async_try_consume(std::string_view key, Units cost, AnyCompletion<Decision> done) const noexcept {
        limiter_->async_try_consume(key, cost, std::move(done));
    }
    void async_reserve(std::string_view key, Units estimate, AnyCompletion<Reservation> done) const noexcept {
        limiter_->async_reserve(key, estimate, std::move(done));
    }
    Quota quota() const noexcept { return limiter_->quota(); }
    /// Whether a call takes no round trip: see InProcessStore.
    bool is_in_process() const noexcept { return limiter_->is_in_process(); }
    /// Whether it can take over what is used of another limiter: see CarryingStore.
    bool can_carry() const noexcept { return limiter_->can_carry(); }
    const std::string& name() const noexcept { return limiter_->name(); }
    /// The same number for limiters that have the same states in one store: of name, kind and parameters.
    std::uint64_t identity() const noexcept { return limiter_->identity(); }

private:
    friend class Charge;
    friend class detail::CarryOver;

    struct Concept {
        virtual ~Concept() = default;
        virtual Decision try_consume(std::string_view, Units) const noexcept = 0;
        virtual Decision peek(std::string_view, Units) const noexcept = 0;
        virtual std::error_code refund(std::string_view, Units) const noexcept = 0;
        virtual std::error_code reset(std::string_view) const noexcept = 0;
        virtual void try_consume_many(std::span<const std::string_view>, std::span<Decision>) const noexcept = 0;
        virtual Waited acquire(std::string_view, Units, std::chrono::nanoseconds,
                               const detail::StopToken&) const noexcept = 0;
        virtual Taken try_consume_up_to(std::string_view, Units) const noexcept = 0;
        virtual Reservation reserve(std::string_view, Units) const noexcept = 0;
        virtual void async_try_consume(std::string_view key, Units cost, AnyCompletion<Decision> done) const noexcept {
            done(try_consume(key, cost));
        }
        virtual void async_reserve(std::string_view key, Units estimate,
                                   AnyCompletion<Reservation> done) const noexcept {
            done(reserve(key, estimate));
        }
        virtual detail::ChargedLimiter charged(std::string_view key) const noexcept = 0;  // for that key
        virtual Quota quota() const noexcept = 0;
        virtual bool is_in_process() const noexcept = 0;
        virtual bool can_carry() const noexcept = 0;
        virtual const std::string& name() const noexcept = 0;
        virtual std::uint64_t identity() const noexcept = 0;
        virtual const detail::CarryOver* as_carry_over() const noexcept { return nullptr; }
    };

    explicit AnyLimiter(std::shared_ptr<const Concept> limiter) noexcept : limiter_(std::move(limiter)) {}

    template <Policy P, class S>
    static std::shared_ptr<const Concept> model_of(RateLimiter<P, S> limiter) {
        if constexpr (Store<S, P>) {
            return std::make_shared<const Model<P, S>>(std::move(limiter));
        } else {
            using InLoop = detail::LoopStore<S>;
            return std::make_shared<const Model<P, InLoop>>(RateLimiter<P, InLoop>{
                std::move(limiter.policy_), InLoop{std::move(limiter.store_)}, std::move(limiter.options_)});
        }
    }

    template <class P, class S>
    struct Model final : Concept {
        static constexpr bool answers_loops = AsyncStore<S, P> && !InProcessStore<S>;

        explicit Model(RateLimiter<P, S> wrapped) : limiter(std::move(wrapped)) {}
        Decision try_consume(std::string_view key, Units cost) const noexcept override {
            return limiter.try_consume(key, cost);
        }
        Decision peek(std::string_view key, Units cost) const noexcept override { return limiter.peek(key, cost); }
        std::error_code refund(std::string_view key, Units units) const noexcept override {
            return limiter.refund(key, units);
        }
        std::error_code reset(std::string_view key) const noexcept override { return limiter.reset(key); }
        void try_consume_many(std::span<const std::string_view> keys, std::span<Decision> out) const noexcept override {
            limiter.try_consume_many(keys, out);
        }
        Waited acquire(std::string_view key, Units cost, std::chrono::nanoseconds max_wait,
                       const detail::StopToken& stop) const noexcept override {
            return limiter.acquire(key, cost, max_wait, stop);
        }
        Taken try_consume_up_to(std::string_view key, Units most) const noexcept override {
            if constexpr (SettlingStore<S, P>) {
                return limiter.try_consume_up_to(key, most);
            } else {
                return {0, unsupported()};
            }
        }
        Reservation reserve(std::string_view key, Units estimate) const noexcept override {
            if constexpr (SettlingStore<S, P> && SettlingPolicy<P>) {
                return limiter.reserve(key, estimate);
            } else {
                return {{unsupported()}, nullptr};
            }
        }
        void async_try_consume(std::string_view key, Units cost, AnyCompletion<Decision> done) const noexcept override {
            if constexpr (answers_loops) {
                limiter.async_try_consume(key, cost, std::move(done));
            } else {
                Concept::async_try_consume(key, cost, std::move(done));
            }
        }
        void async_reserve(std::string_view key, Units estimate,
                           AnyCompletion<Reservation> done) const noexcept override {
            if constexpr (answers_loops && AsyncSettlingStore<S, P> && SettlingPolicy<P>) {
                limiter.async_reserve(key, estimate, std::move(done));
            } else {
                Concept::async_reserve(key, estimate, std::move(done));
            }
        }
        Decision unsupported() const noexcept {
            Decision decision = failure(Errc::unsupported);
            decision.limit = limiter.quota().limit;
            return decision;
        }
        detail::ChargedLimiter charged(std::string_view) const noexcept override {
            return detail::ChargedLimiter::of(limiter);
        }
        Quota quota() const noexcept override { return limiter.quota(); }
        bool is_in_process() const noexcept override { return InProcessStore<S>; }
        bool can_carry() const noexcept override { return CarryingStore<S>; }
        const std::string& name() const noexcept override { return limiter.name(); }
        std::uint64_t identity() const noexcept override { return Scope<P>::scope_id(name(), limiter.policy()); }
        RateLimiter<P, S> limiter;
    };

    std::shared_ptr<const Concept> limiter_;
};

}  // namespace sluice

#endif
