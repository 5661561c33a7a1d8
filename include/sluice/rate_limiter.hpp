// SPDX-License-Identifier: MIT
#ifndef SLUICE_RATE_LIMITER_HPP
#define SLUICE_RATE_LIMITER_HPP

#include <algorithm>
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
#include <sluice/error.hpp>
#include <sluice/observer.hpp>
#include <sluice/policy.hpp>
#include <sluice/store.hpp>

namespace sluice {

struct LimiterOptions {
    std::string name{};                           ///< tells apart the limiters that share a store
    FailureMode on_failure = FailureMode::allow;  ///< `allowed` when the store fails
    std::shared_ptr<Observer> observer{};         ///< hears of every try_consume; none by default
};

/// Asks one policy of one store. Every method may be called from many threads at once and never throws; the cost is
/// that of the store (in memory a few tens of nanoseconds and no allocation for a known key).
///
/// States are kept apart by (name, policy with its parameters, key): a limiter with another name or other parameters
/// starts every key fresh, so a change of configuration can admit one capacity more, once.
///
/// A denial consumes nothing. Cost 0 is allowed and changes nothing. A cost above the limit is denied with
/// Decision::never. When the store fails, Decision::error is set, `allowed` is what LimiterOptions::on_failure says
/// and all else is 0.
template <Policy P, class S>
class RateLimiter {
    static_assert(Store<S, P>,
                  "sluice: this store cannot run this policy: Store<S, Policy> wants "
                  "`Decision decide(const Request<Policy>&) const noexcept`");

public:
    RateLimiter(P policy, S store, LimiterOptions options = {})
        : policy_(std::move(policy)), store_(std::move(store)), options_(std::move(options)),
          scope_id_(Scope<P>::scope_id(options_.name, policy_)) {
        if constexpr (requires { store_.check(Scope<P>(options_.name, policy_)); }) {
            store_.check(scope());  // a store may refuse what it cannot run exactly
        }
    }

    explicit RateLimiter(P policy, LimiterOptions options = {}) requires std::default_initializable<S>
        : RateLimiter(std::move(policy), S{}, std::move(options)) {}

    [[nodiscard, gnu::always_inline]] Decision try_consume(std::string_view key) const noexcept {
        return consume(
            scope(), key,
            1, [&](const Request<P>& request) __attribute__((always_inline)) { return store_.decide(request); });
    }
    [[nodiscard]] Decision try_consume(std::string_view key, std::uint64_t cost) const noexcept {
        return consume(
            scope(), key,
            cost, [&](const Request<P>& request) __attribute__((always_inline)) { return store_.decide(request); });
    }
    /// With another policy of the limiter's type (a tier), which has states of its own.
    [[nodiscard]] Decision try_consume(std::string_view key, std::uint64_t cost, const P& policy) const noexcept {
        return consume(
            {options_.name, policy}, key,
            cost, [&](const Request<P>& request) __attribute__((always_inline)) { return store_.decide(request); });
    }
    /// At a time that the caller already has, in nanoseconds since the Unix epoch on the store's clock.
    [[nodiscard]] Decision try_consume_at(std::chrono::nanoseconds now, std::string_view key,
                                          std::uint64_t cost = 1) const noexcept requires TimedStore<S, P> {
        return consume(scope(), key, cost, [&](const Request<P>& request) { return store_.decide_at(request, now); });
    }

    /// The decision for `cost` now; changes nothing, and `remaining` and `reset_after` are those of the key as it is.
    [[nodiscard]] Decision peek(std::string_view key, std::uint64_t cost = 1) const noexcept {
        return peek(key, cost, scope());
    }
    [[nodiscard]] Decision peek(std::string_view key, std::uint64_t cost, const P& policy) const noexcept {
        return peek(key, cost, Scope<P>{options_.name, policy});
    }

    /// Gives units back, never above the limit; an unknown key is left alone.
    std::error_code refund(std::string_view key, std::uint64_t units) const noexcept {
        return store_.decide(Request<P>{scope(), key, units, Operation::refund}).error;
    }
    std::error_code refund(std::string_view key, std::uint64_t units, const P& policy) const noexcept {
        return store_.decide(Request<P>{Scope<P>{options_.name, policy}, key, units, Operation::refund}).error;
    }

    /// Forgets the key: it is as good as new.
    std::error_code reset(std::string_view key) const noexcept {
        return store_.decide(Request<P>{scope(), key, 0, Operation::reset}).error;
    }
    std::error_code reset(std::string_view key, const P& policy) const noexcept {
        return store_.decide(Request<P>{Scope<P>{options_.name, policy}, key, 0, Operation::reset}).error;
    }

    /// Consumes one unit of each key, in order, as try_consume would: out[i] answers keys[i]. One pass with prefetch in
    /// memory, one round trip to a server. Spans of different length: what the shorter one holds is not touched at
    /// all and every Decision in `out` carries Errc::invalid_argument.
    void try_consume_many(std::span<const std::string_view> keys, std::span<Decision> out) const noexcept;

    const P& policy() const noexcept { return policy_; }
    const std::string& name() const noexcept { return options_.name; }
    Quota quota() const noexcept { return policy_.quota(); }
    /// For the store's counters.
    const S& store() const noexcept { return store_; }
    S& store() noexcept { return store_; }

private:
    Scope<P> scope() const noexcept { return {options_.name, policy_, scope_id_}; }

    template <class Ask>
    [[gnu::always_inline]] Decision consume(const Scope<P>& scope, std::string_view key, std::uint64_t cost,
                                            Ask ask) const noexcept {
        // Neither holds on to an address of what is on the other's stack, so that all of it can live in registers.
        return options_.observer ? consume_observed(scope.policy, scope.id, key, cost, ask)
                                 : consume_unobserved(scope, key, cost, ask);
    }

    template <class Ask>
    [[gnu::always_inline]] Decision consume_unobserved(const Scope<P>& scope, std::string_view key, std::uint64_t cost,
                                                       Ask ask) const noexcept {
        Decision decision = ask(Request<P>{scope, key, cost, cost == 0 ? Operation::peek : Operation::consume});
        if (decision.error) [[unlikely]]
            settle(decision, scope.policy, cost);
        return decision;
    }

    template <class Ask>
    [[gnu::noinline]] Decision consume_observed(const P& policy, std::uint64_t id, std::string_view key,
                                                std::uint64_t cost, Ask ask) const noexcept {
        const auto start = std::chrono::steady_clock::now();
        const Decision decision = consume_unobserved({options_.name, policy, id}, key, cost, ask);
        report(key, cost, decision, std::chrono::steady_clock::now() - start);
        return decision;
    }

    Decision peek(std::string_view key, std::uint64_t cost, const Scope<P>& scope) const noexcept {
        Decision decision = store_.decide(Request<P>{scope, key, cost, Operation::peek});
        settle(decision, scope.policy, cost);
        return decision;
    }

    /// The failure mode's answer where the store has none.
    [[gnu::noinline]] void settle(Decision& decision, const P& policy, std::uint64_t cost) const noexcept {
        if (!is_failure(decision.error)) return;
        const std::error_code error = decision.error;
        decision = Decision{};
        decision.error = error;
        decision.limit = policy.quota().limit;
        if (cost > decision.limit) {
            decision.retry_after = Decision::never;
        } else {
            decision.allowed = options_.on_failure == FailureMode::allow;
        }
    }

    [[gnu::noinline]] void report(std::string_view key, std::uint64_t cost, const Decision& decision,
                                  std::chrono::nanoseconds latency) const noexcept {
        try {
            options_.observer->on_decision({options_.name, key, cost, decision, latency});
        } catch (...) {  // an observer's trouble is not the request's
        }
    }

    P policy_;
    S store_;
    LimiterOptions options_;
    std::uint64_t scope_id_;
};

template <Policy P, class S>
void RateLimiter<P, S>::try_consume_many(std::span<const std::string_view> keys,
                                         std::span<Decision> out) const noexcept {
    if (keys.size() != out.size()) {
        Decision wrong;
        wrong.error = Errc::invalid_argument;
        std::fill(out.begin(), out.end(), wrong);
        return;
    }
    if constexpr (BatchStore<S, P>) {
        const Scope<P> mine = scope();
        const auto start =
            options_.observer ? std::chrono::steady_clock::now() : std::chrono::steady_clock::time_point{};
        store_.decide_many(Request<P>{mine, {}, 1, Operation::consume}, keys, out);
        for (Decision& decision : out) {
            if (decision.error) [[unlikely]]
                settle(decision, policy_, 1);
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
