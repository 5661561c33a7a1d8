// SPDX-License-Identifier: MIT
#ifndef SLUICE_HTTP_LIMITER_FACTORY_HPP
#define SLUICE_HTTP_LIMITER_FACTORY_HPP

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <variant>

#include <sluice/any_limiter.hpp>
#include <sluice/memory/memory_store.hpp>
#include <sluice/metrics/registry.hpp>
#include <sluice/policies/fixed_window.hpp>
#include <sluice/policies/leaky_bucket.hpp>
#include <sluice/policies/sliding_window.hpp>
#include <sluice/policies/sliding_window_counter.hpp>
#include <sluice/policies/token_bucket.hpp>
#include <sluice/rate_limiter.hpp>

namespace sluice::http {

/// A policy that a rules file can name.
using AnyPolicy = std::variant<TokenBucket, LeakyBucket, FixedWindow, SlidingWindow, SlidingWindowCounter>;

/// Makes the limiters that a rules file describes, in the store that the program has chosen. May throw
/// std::invalid_argument where the store cannot run the policy. Called again at each reload, so it should keep the
/// store: then limits that did not change keep their states.
using LimiterFactory = std::function<AnyLimiter(const AnyPolicy&, LimiterOptions)>;

/// For a store that runs every policy, such as RedisStore; takes a handle.
template <class S>
LimiterFactory limiters_in(S store) {
    return [store = std::move(store)](const AnyPolicy& policy, LimiterOptions options) {
        return std::visit([&](const auto& p) { return AnyLimiter{RateLimiter{p, store, std::move(options)}}; }, policy);
    };
}

/// Limiters in memory: one MemoryStore for each kind of policy in use, made when the first limiter wants it. A factory;
/// copies share the stores. For one thread.
class MemoryLimiters {
public:
    /// The stores' counters are added to `registry`, if given, which must outlive the factory's use.
    explicit MemoryLimiters(MemoryOptions options = {}, metrics::Registry* registry = nullptr)
        : stores_(std::make_shared<Stores>()), options_(options), registry_(registry) {}

    AnyLimiter operator()(const AnyPolicy& policy, LimiterOptions options) const {
        return std::visit(
            [&]<class P>(const P& p) {
                return AnyLimiter{RateLimiter{p, store<P>(), std::move(options)}};
            },
            policy);
    }

private:
    template <class... P>
    using StoreOfEach = std::tuple<std::optional<MemoryStore<P>>...>;
    using Stores = StoreOfEach<TokenBucket, LeakyBucket, FixedWindow, SlidingWindow, SlidingWindowCounter>;

    template <class P>
    MemoryStore<P> store() const {
        auto& store = std::get<std::optional<MemoryStore<P>>>(*stores_);
        if (!store) {
            store.emplace(options_);
            if (registry_ != nullptr) registry_->add_store("memory " + std::string{P::kind}, *store);
        }
        return *store;
    }

    std::shared_ptr<Stores> stores_;
    MemoryOptions options_;
    metrics::Registry* registry_;
};

}  // namespace sluice::http

#endif
