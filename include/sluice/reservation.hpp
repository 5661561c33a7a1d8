// SPDX-License-Identifier: MIT
#ifndef SLUICE_RESERVATION_HPP
#define SLUICE_RESERVATION_HPP

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <sluice/decision.hpp>
#include <sluice/detail/algorithm.hpp>
#include <sluice/detail/exceptions.hpp>
#include <sluice/error.hpp>
#include <sluice/policy.hpp>
#include <sluice/rate_limiter.hpp>
#include <sluice/store.hpp>
#include <sluice/units.hpp>

namespace sluice {

/// What try_consume_up_to() took.
struct Taken {
    std::uint64_t units = 0;  ///< to use: charged, but where a failed store's failure mode or a full store allows
    Decision decision{};      ///< of that cost; of cost 1 where none were there

    explicit operator bool() const noexcept { return decision.allowed; }
};

/// How a Reservation was settled.
struct Settled {
    std::uint64_t missing =
        0;  ///< of a cost above the estimate: what was not there any more, and so is charged nowhere
    std::error_code
        error{};  ///< of a store that failed: what was to go back stays charged until it comes back by itself
};

/// Units that were consumed for something whose cost is known only afterwards: tokens of a language model, bytes of an answer.
///
///     auto reservation = limiter.reserve("tenant:7", 800);        // an estimate
///     if (!reservation) return deny(reservation.decision());
///     const auto answer = ask_model(prompt);                      // whatever ends this early gives all back
///     reservation.settle(answer.tokens);                          // the rest goes back, or more is taken
///
/// Settled with less, it gives the rest back as of the time when it was consumed: a bucket up to its capacity, a window only
/// while it is still the one, so that nobody else's units vanish. Settled with more, it takes what is there. Destroyed or
/// assigned to unsettled, it gives all back; of a process that dies the units stay consumed, until they come back as all do.
///
/// Move-only; for one thread at a time. Holds its key and a handle of the store, so that it may outlive its limiter: one
/// allocation, besides those of a long name or key. settle() and the destructor call the store once, if at all.
class Reservation {
public:
    Reservation() noexcept = default;
    Reservation(Reservation&&) noexcept = default;
    Reservation& operator=(Reservation&& other) noexcept {
        Reservation mine{std::move(*this)};  // gives back what it holds
        decision_ = other.decision_;
        account_ = std::move(other.account_);
        return *this;
    }
    ~Reservation() {
        if (account_) settle(0);
    }

    explicit operator bool() const noexcept { return decision_.allowed; }
    /// That of the reservation. Its delay is a LeakyBucket's.
    const Decision& decision() const noexcept { return decision_; }
    /// What is held: 0 once it is settled, or where a failed store's failure mode allowed it.
    std::uint64_t units() const noexcept { return account_ ? account_->held : 0; }

    /// Once: a second time, and of a reservation that was denied, it does nothing, and returns Errc::invalid_argument with
    /// all that was not taken. A negative cost is refused so, too, and leaves the reservation as it is.
    Settled settle(Units actual) noexcept {
        if (actual.is_negative()) return {0, Errc::invalid_argument};
        if (!account_) return {actual.count(), Errc::invalid_argument};
        const auto account = std::move(account_);
        if (actual.count() == account->held) return {};
        if (actual.count() < account->held) return {0, account->give_back(account->held - actual.count())};
        return account->take(actual.count() - account->held);
    }

private:
    template <Policy P, class S>
    friend class RateLimiter;
    friend class AnyLimiter;
    template <class F>
    struct Completion;  // async_reserve.hpp

    struct Account {
        virtual ~Account() = default;
        virtual std::error_code give_back(std::uint64_t units) const noexcept = 0;
        virtual Settled take(std::uint64_t units) const noexcept = 0;
        std::uint64_t held = 0;
        std::chrono::nanoseconds consumed_at{0};
        std::uint32_t source = 0;
    };

    template <Policy P, class S>
    struct AccountIn final : Account {
        AccountIn(const S& handle, const Scope<P>& scope, std::string_view of_key)
            : store(handle), policy(scope.policy), name(scope.name), key(of_key), scope_id(scope.id) {}

        Request<P> request(Operation operation, std::uint64_t units) const noexcept {
            return {{name, policy, scope_id}, key, units, operation};
        }
        std::error_code give_back(std::uint64_t units) const noexcept override {
            Request<P> back = request(Operation::give_back, units);
            back.consumed_at = consumed_at;
            back.source = source;
            return store.decide(back).error;
        }
        Settled take(std::uint64_t units) const noexcept override {
            const Consumption taken = store.consume(request(Operation::take, units));
            const auto& error = taken.decision.error;
            return {units - taken.units, is_decided(error) ? std::error_code{} : error};
        }

        S store;
        P policy;
        std::string name;
        std::string key;
        std::uint64_t scope_id;
    };

    /// Null without memory: to be made before anything is consumed.
    template <class S, Policy P>
    static std::unique_ptr<Account> account_for(const S& store, const Scope<P>& scope, std::string_view key) noexcept {
        return detail::try_or(
            [&]() -> std::unique_ptr<Account> { return std::make_unique<AccountIn<P, S>>(store, scope, key); },
            [] { return std::unique_ptr<Account>{}; });
    }

    /// `taken.decision` is the limiter's.
    Reservation(const Consumption& taken, std::unique_ptr<Account> account) noexcept : decision_(taken.decision) {
        if (!account || !decision_.allowed) return;
        account->held = taken.units;
        account->consumed_at = taken.at;
        account->source = taken.source;
        account_ = std::move(account);
    }

    Decision decision_{};
    std::unique_ptr<const Account> account_{};
};

template <Policy P, class S>
Taken RateLimiter<P, S>::try_consume_up_to(std::string_view key, Units most) const noexcept {
    return try_consume_up_to(scope(), key, most);
}

template <Policy P, class S>
Taken RateLimiter<P, S>::try_consume_up_to(std::string_view key, Units most, const P& policy) const noexcept {
    return try_consume_up_to(Scope<P>{options_.name, policy}, key, most);
}

template <Policy P, class S>
Taken RateLimiter<P, S>::try_consume_up_to(const Scope<P>& scope, std::string_view key, Units most) const noexcept {
    static_assert(SettlingStore<S, P>, "sluice: try_consume_up_to needs a SettlingStore, which has consume()");
    const auto start = start_of_observation();
    if (most.is_negative()) return {0, rejection(scope.policy)};
    const Consumption done = store_.consume(Request<P>{scope, key, most.count(), Operation::take});
    Taken taken{done.units, done.decision};
    const std::uint64_t at_most = std::min(most.count(), scope.policy.quota().limit);
    if (taken.decision.error) apply_failure_mode(taken.decision, scope.policy, at_most);
    if (taken.decision.allowed && taken.units == 0) taken.units = at_most;  // uncounted, as the mode says
    if (options_.observer) {
        const std::uint64_t cost = taken.decision.allowed ? taken.units : most.count();
        report(key, cost, taken.decision, std::chrono::steady_clock::now() - start);
    }
    return taken;
}

template <Policy P, class S>
Reservation RateLimiter<P, S>::reserve(std::string_view key, Units estimate) const noexcept {
    return reserve(scope(), key, estimate);
}

template <Policy P, class S>
Reservation RateLimiter<P, S>::reserve(std::string_view key, Units estimate, const P& policy) const noexcept {
    return reserve(Scope<P>{options_.name, policy}, key, estimate);
}

template <Policy P, class S>
Reservation RateLimiter<P, S>::reserve(const Scope<P>& scope, std::string_view key, Units estimate) const noexcept {
    static_assert(SettlingStore<S, P>, "sluice: reserve needs a SettlingStore, which has consume()");
    static_assert(SettlingPolicy<P>, "sluice: reserve needs a SettlingPolicy, which has give_back()");
    const auto start = start_of_observation();
    if (estimate.is_negative()) return {{rejection(scope.policy)}, nullptr};
    auto account = Reservation::account_for(store_, scope, key);
    Consumption taken{failure(Errc::no_memory)};
    if (account) taken = store_.consume(Request<P>{scope, key, estimate.count(), Operation::consume});
    Decision& decision = taken.decision;
    if (decision.error) apply_failure_mode(decision, scope.policy, estimate.count());
    if (options_.observer) report(key, estimate.count(), decision, std::chrono::steady_clock::now() - start);
    return {taken, std::move(account)};
}

}  // namespace sluice

#endif
