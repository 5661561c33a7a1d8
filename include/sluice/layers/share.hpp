// SPDX-License-Identifier: MIT
#ifndef SLUICE_LAYERS_SHARE_HPP
#define SLUICE_LAYERS_SHARE_HPP

#include <chrono>
#include <concepts>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>

#include <sluice/completion.hpp>
#include <sluice/decision.hpp>
#include <sluice/detail/validate.hpp>
#include <sluice/layers/detail/answer.hpp>
#include <sluice/policies/builtin.hpp>
#include <sluice/policy.hpp>
#include <sluice/store.hpp>

namespace sluice {

namespace detail::layers {

/// What the store says of a share, made what is true of the whole.
inline void settle_share(Decision& decision, std::uint64_t units, std::uint64_t whole_limit,
                         std::chrono::nanoseconds share_window) noexcept {
    if (decision.retry_after == Decision::never && units <= whole_limit) decision.retry_after = share_window;
}

template <class F>
struct ShareCompletion : CompletionBefore<F> {
    std::uint64_t units;
    std::uint64_t whole_limit;
    std::chrono::nanoseconds share_window;

    template <class Answer>
    void operator()(Answer answer) && {
        settle_share(decision_of(answer), units, whole_limit, share_window);
        std::move(this->done)(answer);
    }
};

}  // namespace detail::layers

/// A store in which each of `instances` processes enforces its share of every policy: a store of a process' own behind a
/// shared one.
///
///     Fallback{redis, Share{MemoryStore<TokenBucket>{}, 4}}
///
/// Exact where requests are spread evenly over the processes; a client that always meets the same one gets a share. The
/// Decision is that of the share (`limit` and `remaining` too), except that a cost that only the whole limit could
/// hold is denied until the share is idle, not for ever. Computes the share anew in each call, tens of nanoseconds.
/// Copies share the states, and it is as thread-safe as its store.
template <class S>
class Share {
public:
    static constexpr bool in_process = InProcessStore<S>;
    static constexpr bool carries = CarryingStore<S>;

    /// Throws std::invalid_argument for fewer than 1 or more than 2^20 instances.
    template <detail::Integer I>
    Share(S store, I instances)
        : store_(std::move(store)),
          instances_(static_cast<std::uint32_t>(detail::checked_units("instances", instances, 1U << 20))) {}

    template <Policy P>
    requires Store<S, P> Decision decide(const Request<P>& request)
    const noexcept {
        return decide(request, [&](const Request<P>& shared) { return store_.decide(shared); });
    }

    template <Policy P>
    requires SettlingStore<S, P> Consumption consume(const Request<P>& request)
    const noexcept {
        const P share = share_of(request.scope.policy, instances_);
        Consumption taken = store_.consume(with_scope(request, Scope<P>{request.scope.name, share}, request.key));
        settle(taken.decision, request, share);
        return taken;
    }

    template <Policy P>
    requires TimedStore<S, P> Decision decide_at(const Request<P>& request, std::chrono::nanoseconds now)
    const noexcept {
        return decide(request, [&](const Request<P>& shared) { return store_.decide_at(shared, now); });
    }

    template <Policy P, Completion F>
    requires AsyncStore<S, P>
    void decide_async(const Request<P>& request, F done) const noexcept { ask_async<Decision>(request, done); }

    template <Policy P, std::invocable<Consumption> F>
    requires AsyncSettlingStore<S, P>
    void consume_async(const Request<P>& request, F done) const noexcept { ask_async<Consumption>(request, done); }

    template <Policy P>
    requires BatchStore<S, P>
    void decide_many(const Request<P>& request, std::span<const std::string_view> keys,
                     std::span<Decision> out) const noexcept {
        const P share = share_of(request.scope.policy, instances_);
        store_.decide_many(with_scope(request, Scope<P>{request.scope.name, share}, request.key), keys, out);
        for (Decision& decision : out) settle(decision, request, share);
    }

    /// Throws std::invalid_argument where the store cannot run the share of the policy.
    template <Policy P>
    void check(const Scope<P>& scope) const {
        if constexpr (CheckingStore<S, P>) {
            const P share = share_of(scope.policy, instances_);
            store_.check(Scope<P>{scope.name, share});
        }
    }

    const S& store() const noexcept { return store_; }
    /// The store's clock, if it tells one.
    const auto& clock() const noexcept requires requires(const S& store) { store.clock(); }
    { return store_.clock(); }
    std::uint32_t instances() const noexcept { return instances_; }

private:
    template <Policy P, class Ask>
    Decision decide(const Request<P>& request, Ask ask) const noexcept {
        const P share = share_of(request.scope.policy, instances_);
        Decision decision = ask(with_scope(request, Scope<P>{request.scope.name, share}, request.key));
        settle(decision, request, share);
        return decision;
    }

    template <class Answer, Policy P, class F>
    void ask_async(const Request<P>& request, F& done) const noexcept {
        const P share = share_of(request.scope.policy, instances_);
        detail::layers::ask_async<Answer>(
            store_, with_scope(request, Scope<P>{request.scope.name, share}, request.key),
            detail::layers::ShareCompletion<F>{
                {std::move(done)}, request.units, request.scope.policy.quota().limit, share.quota().window});
    }

    template <Policy P>
    static void settle(Decision& decision, const Request<P>& request, const P& share) noexcept {
        detail::layers::settle_share(decision, request.units, request.scope.policy.quota().limit, share.quota().window);
    }

    S store_;
    std::uint32_t instances_;
};

}  // namespace sluice

#endif
