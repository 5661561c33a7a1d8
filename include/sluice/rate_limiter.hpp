// SPDX-License-Identifier: MIT
#ifndef SLUICE_RATE_LIMITER_HPP
#define SLUICE_RATE_LIMITER_HPP

#include <chrono>
#include <concepts>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <sluice/decision.hpp>
#include <sluice/detail/algorithm.hpp>
#include <sluice/detail/exceptions.hpp>
#include <sluice/detail/key_views.hpp>
#include <sluice/detail/stop_token.hpp>
#include <sluice/detail/waiting/limiter_id.hpp>
#include <sluice/error.hpp>
#include <sluice/limiter_options.hpp>
#include <sluice/observer.hpp>
#include <sluice/policy.hpp>
#include <sluice/store.hpp>
#include <sluice/units.hpp>

namespace sluice {

struct Waited;      // waiting.hpp
struct Taken;       // reservation.hpp
class Reservation;  // reservation.hpp
class AnyLimiter;   // any_limiter.hpp

namespace detail {

template <Policy P, class S>
struct ChargeCallsOf;  // charge_calls.hpp
struct ObservedCall;   // async_calls.hpp

}  // namespace detail

/// Asks one policy of one store. Every method may be called from many threads at once and never throws; the cost is
/// that of the store (in memory a few tens of nanoseconds and no allocation for a known key).
///
/// States are kept apart by (name, policy with its parameters, key): a limiter with another name or other parameters
/// starts every key fresh, so a change of configuration can admit one capacity more, once.
///
/// Costs and units are of any integral type. Cost 0 is allowed and changes nothing; a cost above the limit is denied with
/// Decision::never; a negative one is denied with Errc::invalid_argument. A denial consumes nothing.
///
/// When the store fails, Decision::error is set, `allowed` is what LimiterOptions::on_failure says and all else is 0.
/// What the caller or the operator did wrong (is_rejected) is denied whatever on_failure says.
///
/// Over an AsyncStore that is no Store (AsyncRedis) it has the calls alone whose names begin with async_.
template <Policy P, class S>
class RateLimiter {
    static_assert(
        Store<S, P> || AsyncStore<S, P>,
        "sluice: the second argument is no store that can run this policy. A store has `Decision decide(const "
        "Request<Policy>&) const noexcept`; a name or another option goes into LimiterOptions: {.name = \"api\"}");

public:
    /// Throws what a CheckingStore throws that cannot run the policy.
    RateLimiter(P policy, S store, LimiterOptions options = {})
        : policy_(std::move(policy)), store_(std::move(store)), options_(std::move(options)),
          scope_id_(Scope<P>::scope_id(options_.name, policy_)) {
        if constexpr (CheckingStore<S, P>) store_.check(scope());
    }

    explicit RateLimiter(P policy, LimiterOptions options = {}) requires std::default_initializable<S>
        : RateLimiter(std::move(policy), S{}, std::move(options)) {}

    [[nodiscard, gnu::always_inline]] Decision try_consume(std::string_view key, Units cost = 1) const noexcept {
        return consume(scope(), key, cost);
    }
    /// With another policy of the limiter's type (a tier), which has states of its own.
    [[nodiscard]] Decision try_consume(std::string_view key, Units cost, const P& policy) const noexcept {
        return consume({options_.name, policy}, key, cost);
    }
    /// At a time that the caller already has, in nanoseconds since the Unix epoch on the store's clock. Calls for one key
    /// may come up to 5 s late, in any order: a late one is decided as at the time of the key's state, so that it admits
    /// nothing twice. A later one than that is taken for a clock that was set back, and finds the key used up.
    [[nodiscard]] Decision try_consume_at(std::chrono::nanoseconds now, std::string_view key,
                                          Units cost = 1) const noexcept requires TimedStore<S, P> {
        return consume(scope(), key, cost, now);
    }

    /// The decision for `cost` now; changes nothing, and `remaining` and `reset_after` are those of the key as it is.
    [[nodiscard]] Decision peek(std::string_view key, Units cost = 1) const noexcept {
        return peek(key, cost, scope());
    }
    [[nodiscard]] Decision peek(std::string_view key, Units cost, const P& policy) const noexcept {
        return peek(key, cost, Scope<P>{options_.name, policy});
    }

    /// Gives units back, never above the limit; an unknown key is left alone. Negative units take nothing and give
    /// nothing: Errc::invalid_argument.
    std::error_code refund(std::string_view key, Units units) const noexcept { return refund(key, units, scope()); }
    std::error_code refund(std::string_view key, Units units, const P& policy) const noexcept {
        return refund(key, units, Scope<P>{options_.name, policy});
    }

    /// Forgets the key: it is as good as new.
    std::error_code reset(std::string_view key) const noexcept {
        return decide(Request<P>{scope(), key, 0, Operation::reset}).error;
    }
    std::error_code reset(std::string_view key, const P& policy) const noexcept {
        return decide(Request<P>{Scope<P>{options_.name, policy}, key, 0, Operation::reset}).error;
    }

    /// Consumes one unit of each key, in order, as try_consume would: out[i] answers keys[i], and a key that occurs twice
    /// is decided twice. One pass with prefetch in memory, one round trip to a server. Spans of different length: no key
    /// is charged, and every Decision in `out` carries Errc::invalid_argument.
    void try_consume_many(std::span<const std::string_view> keys, std::span<Decision> out) const noexcept;

    /// The same of a container of std::string or the like, for one allocation. The keys must live as long as the call: do
    /// not fill a container of std::string_view with temporaries ("user:" + id), whose characters are gone by then.
    template <detail::KeyRange R>
    void try_consume_many(const R& keys, std::span<Decision> out) const noexcept {
        detail::try_consume_range(*this, keys, out);
    }

    // The rest is defined in waiting.hpp and reservation.hpp.

    /// Waits, in this thread, until the units are there, `max_wait` at most; the decision is then allowed, and its delay over.
    /// One that cannot be served in time is denied at once, as far as that is known, and charged nothing.
    ///
    /// A LeakyBucket gives the caller its place in the queue, in one call of the store, and the caller waits for its turn; a
    /// full queue denies. Of other policies callers of this limiter and its copies are served in the order of arrival: one of
    /// them asks the store and waits as told, with jitter where others than this process take the units, too. At most 2,000
    /// wait for a key; more are denied with Errc::busy.
    ///
    /// When the store fails, all waits for the key end with what the failure mode says. A stop token ends a wait with
    /// Errc::cancelled, denied, and what was taken goes back. Waits are measured by the store's clock where it can be waited
    /// for (ManualClock), else by std::chrono::steady_clock. Costs two small allocations, and a thread that sleeps.
    [[nodiscard]] Waited acquire(std::string_view key, Units cost, std::chrono::nanoseconds max_wait,
                                 const detail::StopToken& stop = {}) const noexcept;
    [[nodiscard]] Waited acquire(std::string_view key, Units cost, std::chrono::nanoseconds max_wait, const P& policy,
                                 const detail::StopToken& stop = {}) const noexcept;

    /// Consumes what is there, `most` units at most: none is a denial, as of cost 1. Needs a SettlingStore. Where the failure
    /// mode allows, it is `most`, or the limit.
    [[nodiscard]] Taken try_consume_up_to(std::string_view key, Units most) const noexcept;
    [[nodiscard]] Taken try_consume_up_to(std::string_view key, Units most, const P& policy) const noexcept;

    /// Consumes an estimate, to be settled when the cost is known. Needs a SettlingStore and a SettlingPolicy.
    [[nodiscard]] Reservation reserve(std::string_view key, Units estimate) const noexcept;
    [[nodiscard]] Reservation reserve(std::string_view key, Units estimate, const P& policy) const noexcept;

    /// The same questions without waiting for the answer: done(Decision) is called once, when and where the store says
    /// (see AsyncStore). Neither the arguments nor the limiter need live until then. Of refund and reset there is an error
    /// alone. Costs what the store's decide_async() does, and two strings where there is an observer.
    template <Completion F>
    void async_try_consume(std::string_view key, Units cost, F done) const noexcept requires AsyncStore<S, P> {
        async_ask(Operation::consume, scope(), key, cost, std::move(done));
    }
    template <Completion F>
    void async_try_consume(std::string_view key, Units cost, const P& policy,
                           F done) const noexcept requires AsyncStore<S, P> {
        async_ask(Operation::consume, Scope<P>{options_.name, policy}, key, cost, std::move(done));
    }
    template <Completion F>
    void async_peek(std::string_view key, Units cost, F done) const noexcept requires AsyncStore<S, P> {
        async_ask(Operation::peek, scope(), key, cost, std::move(done));
    }
    template <Completion F>
    void async_refund(std::string_view key, Units units, F done) const noexcept requires AsyncStore<S, P> {
        async_ask(Operation::refund, scope(), key, units, std::move(done));
    }
    template <Completion F>
    void async_reset(std::string_view key, F done) const noexcept requires AsyncStore<S, P> {
        async_ask(Operation::reset, scope(), key, 0, std::move(done));
    }
    /// reserve(), which calls done(Reservation); `done` may be moved. Needs an AsyncSettlingStore and a SettlingPolicy. What
    /// settles the Reservation calls the store, so belongs where such calls do, and does not wait for it either: Settled has
    /// no error, and nothing is missing. Defined in async_reserve.hpp.
    template <class F>
    void async_reserve(std::string_view key, Units estimate, F done) const noexcept;

    const P& policy() const noexcept { return policy_; }
    const std::string& name() const noexcept { return options_.name; }
    Quota quota() const noexcept { return policy_.quota(); }
    FailureMode on_failure() const noexcept { return options_.on_failure; }
    /// For the store's counters.
    const S& store() const noexcept { return store_; }
    S& store() noexcept { return store_; }

private:
    template <Policy Q, class T>
    friend struct detail::ChargeCallsOf;
    friend class AnyLimiter;

    /// Of the limiter and its copies, for those who wait in line.
    friend std::uint64_t waiting_id(const RateLimiter& limiter) noexcept { return limiter.waiting_id_.number(); }

    Scope<P> scope() const noexcept { return {options_.name, policy_, scope_id_}; }

    /// `now` is the caller's time, or nothing: then the store looks at its clock.
    template <class... Now>
    [[gnu::always_inline]] Decision consume(const Scope<P>& scope, std::string_view key, Units cost,
                                            Now... now) const noexcept {
        // The observed path gets copies: with references the compiler would spill the usual path's locals.
        if (options_.observer) return observed(scope.policy, scope.id, key, cost, now...);
        return ask(scope, key, cost, now...);
    }

    template <class... Now>
    [[gnu::always_inline]] Decision ask(const Scope<P>& scope, std::string_view key, Units cost,
                                        Now... now) const noexcept {
        const Operation operation = cost.count() == 0 ? Operation::peek : Operation::consume;
        // One object from here to the caller, which no other code has the address of: it costs no copy.
        Decision decision = cost.is_negative() ? rejection(scope.policy)
                                               : decide(Request<P>{scope, key, cost.count(), operation}, now...);
        if (decision.error) [[unlikely]]
            decision = with_failure_mode(decision, scope.policy, cost.count());
        return decision;
    }
    [[gnu::always_inline]] Decision decide(const Request<P>& request) const noexcept {
        if constexpr (Store<S, P>) {
            return store_.decide(request);
        } else {
            static_assert(
                Store<S, P>,
                "sluice: this limiter's store answers event loops and does not wait: call async_try_consume, or "
                "sluice::async_try_consume of <sluice/asio.hpp>; or give the limiter a RedisStore");
            return {};
        }
    }
    Decision decide(const Request<P>& request, std::chrono::nanoseconds now) const noexcept requires TimedStore<S, P> {
        return store_.decide_at(request, now);
    }

    template <class... Now>
    [[gnu::noinline]] Decision observed(const P& policy, std::uint64_t id, std::string_view key, Units cost,
                                        Now... now) const noexcept {
        const auto start = std::chrono::steady_clock::now();
        const Decision decision = ask({options_.name, policy, id}, key, cost, now...);
        report(key, cost.count(), decision, std::chrono::steady_clock::now() - start);
        return decision;
    }

    Decision peek(std::string_view key, Units cost, const Scope<P>& scope) const noexcept {
        if (cost.is_negative()) return rejection(scope.policy);
        Decision decision = decide(Request<P>{scope, key, cost.count(), Operation::peek});
        apply_failure_mode(decision, scope.policy, cost.count());
        return decision;
    }

    std::error_code refund(std::string_view key, Units units, const Scope<P>& scope) const noexcept {
        if (units.is_negative()) return Errc::invalid_argument;
        return decide(Request<P>{scope, key, units.count(), Operation::refund}).error;
    }

    Waited acquire(const Scope<P>& scope, std::string_view key, Units cost, std::chrono::nanoseconds max_wait,
                   const detail::StopToken& stop) const noexcept;
    Taken try_consume_up_to(const Scope<P>& scope, std::string_view key, Units most) const noexcept;
    Reservation reserve(const Scope<P>& scope, std::string_view key, Units estimate) const noexcept;

    template <class F>
    void async_ask(Operation operation, const Scope<P>& scope, std::string_view key, Units cost, F done) const noexcept;
    std::unique_ptr<const detail::ObservedCall> observation(Operation operation, std::string_view key) const noexcept;

    static Decision rejection(const P& policy) noexcept {
        Decision decision = failure(Errc::invalid_argument);
        decision.limit = policy.quota().limit;
        return decision;
    }

    [[gnu::noinline]] Decision with_failure_mode(Decision decision, const P& policy,
                                                 std::uint64_t cost) const noexcept {
        apply_failure_mode(decision, policy, cost);
        return decision;
    }

    /// Where the store has no answer, the failure mode's, or a denial of what should not have been asked.
    [[gnu::noinline]] void apply_failure_mode(Decision& decision, const P& policy, std::uint64_t cost) const noexcept {
        if (!is_decided(decision.error))
            decision = detail::settled_failure(decision.error, policy.quota().limit, cost, options_.on_failure);
    }

    /// For report(); without an observer the clock is not read.
    std::chrono::steady_clock::time_point start_of_observation() const noexcept {
        return options_.observer ? std::chrono::steady_clock::now() : std::chrono::steady_clock::time_point{};
    }
    [[gnu::noinline]] void report(std::string_view key, std::uint64_t cost, const Decision& decision,
                                  std::chrono::nanoseconds latency) const noexcept {
        // An observer's trouble is not the request's.
        detail::try_or([&] { options_.observer->on_decision({options_.name, key, cost, decision, latency}); }, [] {});
    }

    P policy_;
    S store_;
    LimiterOptions options_;
    std::uint64_t scope_id_;
    detail::waiting::LimiterId waiting_id_{};
};

template <Policy P, class S>
void RateLimiter<P, S>::try_consume_many(std::span<const std::string_view> keys,
                                         std::span<Decision> out) const noexcept {
    if (keys.size() != out.size()) {
        std::fill(out.begin(), out.end(), rejection(policy_));
        return;
    }
    if constexpr (BatchStore<S, P>) {
        const Scope<P> mine = scope();
        const auto start = start_of_observation();
        store_.decide_many(Request<P>{mine, {}, 1, Operation::consume}, keys, out);
        for (Decision& decision : out) {
            if (decision.error) [[unlikely]]
                apply_failure_mode(decision, policy_, 1);
        }
        if (!options_.observer || keys.empty()) return;
        const auto each = (std::chrono::steady_clock::now() - start) / static_cast<std::int64_t>(keys.size());
        for (std::size_t i = 0; i != keys.size(); ++i) report(keys[i], 1, out[i], each);
    } else {
        for (std::size_t i = 0; i != keys.size(); ++i) out[i] = try_consume(keys[i]);
    }
}

}  // namespace sluice

#endif
