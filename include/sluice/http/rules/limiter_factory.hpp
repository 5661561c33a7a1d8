// SPDX-License-Identifier: MIT
#ifndef SLUICE_HTTP_RULES_LIMITER_FACTORY_HPP
#define SLUICE_HTTP_RULES_LIMITER_FACTORY_HPP

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <variant>

#include <sluice/any_limiter.hpp>
#include <sluice/detail/validate.hpp>
#include <sluice/layers/denial_cache.hpp>
#include <sluice/layers/fallback.hpp>
#include <sluice/layers/lease.hpp>
#include <sluice/layers/share.hpp>
#include <sluice/memory/memory_store.hpp>
#include <sluice/metrics/registry.hpp>
#include <sluice/policies/builtin.hpp>
#include <sluice/rate_limiter.hpp>

namespace sluice::http {

/// A policy that a rules file can name.
using AnyPolicy = BuiltinPolicies::Apply<std::variant>;

/// Makes the limiters that a rules file describes, in the store that the program has chosen. May throw
/// std::invalid_argument where the store cannot run the policy. Called again at each reload, so it should keep the
/// store: then limits that did not change keep their states.
struct LimiterFactory : std::function<AnyLimiter(const AnyPolicy&, LimiterOptions)> {
    using function::function;
    /// The same of limits that say "lease": units taken ahead, and denials remembered, in process (Lease, DenialCache).
    /// None where there is nothing to lease.
    std::function<AnyLimiter(const AnyPolicy&, LimiterOptions)> leased{};
};

namespace detail {

/// A store behind a lease and a denial cache, which all limiters share; made for the first.
template <class S>
class LeasedStore {
public:
    using Store = DenialCache<Lease<S>>;

    explicit LeasedStore(S store) : store_(std::move(store)) {}

    /// make(store) of a policy; throws std::invalid_argument for one that cannot be leased.
    template <class P, class Make>
    AnyLimiter limiter(const P&, Make make) const {
        if constexpr (LeasablePolicy<P> && SettlingStore<S, P>) {
            std::call_once(layers_->once, [&] { layers_->store.emplace(Lease{store_}); });
            return make(*layers_->store);
        } else {
            sluice::detail::throw_or_abort(std::invalid_argument("sluice: a limit of kind " + std::string{P::kind} +
                                                                 " in this store cannot be leased"));
        }
    }

private:
    struct Layers {
        std::once_flag once{};
        std::optional<Store> store{};
    };
    S store_;
    std::shared_ptr<Layers> layers_ = std::make_shared<Layers>();
};

}  // namespace detail

/// For a store that runs every policy, such as RedisStore; takes a handle.
template <class S>
LimiterFactory limiters_in(S store) {
    LimiterFactory factory = [store](const AnyPolicy& policy, LimiterOptions options) {
        return std::visit([&](const auto& p) { return AnyLimiter{RateLimiter{p, store, std::move(options)}}; }, policy);
    };
    factory.leased = [leased = detail::LeasedStore<S>{std::move(store)}](const AnyPolicy& policy,
                                                                         LimiterOptions options) {
        return std::visit(
            [&](const auto& p) {
                return leased.limiter(p, [&](auto layers) {
                    return AnyLimiter{RateLimiter{p, std::move(layers), options}};
                });
            },
            policy);
    };
    return factory;
}

/// Limiters in memory: one MemoryStore for each kind of policy in use, made when the first limiter wants it. A factory;
/// copies share the stores. Thread-safe.
class MemoryLimiters {
public:
    /// What the stores count is in `registry`, if given, under "memory " and the kind of policy, as long as one of their
    /// limiters or this factory is there. It must outlive the factory's use.
    explicit MemoryLimiters(MemoryOptions options = {}, metrics::Registry* registry = nullptr)
        : stores_(std::make_shared<Stores>()), options_(options), registry_(registry) {}

    AnyLimiter operator()(const AnyPolicy& policy, LimiterOptions options) const {
        return std::visit(
            [&]<class P>(const P& p) {
                auto store = store_for<P>(options);
                return AnyLimiter{RateLimiter{p, std::move(store), std::move(options)}};
            },
            policy);
    }

    /// The store of a kind of policy, for a limiter with these options.
    template <class P>
    MemoryStore<P> store_for(LimiterOptions& options) const {
        const Tracked<P> found = store<P>();
        if (found.series) hold(options.observer, found.series);
        return *found.store;
    }

private:
    template <class P>
    struct Tracked {
        std::optional<MemoryStore<P>> store{};
        std::shared_ptr<const void> series{};
    };
    template <class... P>
    using TrackedOfEach = std::tuple<Tracked<P>...>;
    struct Stores {
        std::mutex mutex{};
        BuiltinPolicies::Apply<TrackedOfEach> of_each{};
    };

    /// Has a limiter hold its store's series beside its observer, or without one: nothing else in it can hold anything.
    static void hold(std::shared_ptr<Observer>& observer, std::shared_ptr<const void> series) {
        using Held = std::pair<std::shared_ptr<Observer>, std::shared_ptr<const void>>;
        Observer* const heard = observer.get();
        observer = std::shared_ptr<Observer>{std::make_shared<Held>(std::move(observer), std::move(series)), heard};
    }

    template <class P>
    Tracked<P> store() const {
        const std::lock_guard lock{stores_->mutex};
        auto& tracked = std::get<Tracked<P>>(stores_->of_each);
        if (!tracked.store) {
            MemoryStore<P> made{options_};
            if (registry_ != nullptr) tracked.series = registry_->track_store("memory " + std::string{P::kind}, made);
            tracked.store = std::move(made);
        }
        return tracked;
    }

    std::shared_ptr<Stores> stores_;
    MemoryOptions options_;
    metrics::Registry* registry_;
};

/// Limiters in a store with memory behind it: when the store fails, each of `instances` processes enforces its share of
/// the limit by itself (Fallback, Share). Throws std::invalid_argument for fewer than 1 instance or more than 2^20.
///
///     load_rules("rules.json", limiters_in(redis, MemoryLimiters{}, 4))
template <class S, sluice::detail::Integer I>
LimiterFactory limiters_in(S store, MemoryLimiters memory, I instances) {
    const auto count = sluice::detail::checked_units("instances", instances, 1U << 20);
    LimiterFactory factory = [store, memory, count](const AnyPolicy& policy, LimiterOptions options) {
        return std::visit(
            [&]<class P>(const P& p) {
                Fallback both{store, Share{memory.store_for<P>(options), count}};
                return AnyLimiter{RateLimiter{p, std::move(both), std::move(options)}};
            },
            policy);
    };
    factory.leased = [leased = detail::LeasedStore<S>{std::move(store)}, memory = std::move(memory), count](
                         const AnyPolicy& policy, LimiterOptions options) {
        return std::visit(
            [&]<class P>(const P& p) {
                return leased.limiter(p, [&](auto layers) {
                    Fallback both{std::move(layers), Share{memory.store_for<P>(options), count}};
                    return AnyLimiter{RateLimiter{p, std::move(both), options}};
                });
            },
            policy);
    };
    return factory;
}

}  // namespace sluice::http

#endif
