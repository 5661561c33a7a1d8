// SPDX-License-Identifier: MIT
#ifndef SLUICE_LAYERS_FALLBACK_HPP
#define SLUICE_LAYERS_FALLBACK_HPP

#include <chrono>
#include <concepts>
#include <cstddef>
#include <span>
#include <string_view>
#include <system_error>
#include <utility>

#include <sluice/completion.hpp>
#include <sluice/decision.hpp>
#include <sluice/detail/exceptions.hpp>
#include <sluice/error.hpp>
#include <sluice/layers/async_fallback.hpp>
#include <sluice/layers/detail/answer.hpp>
#include <sluice/policy.hpp>
#include <sluice/store.hpp>

namespace sluice {

/// A store made of two: what the primary fails to decide, the secondary decides. A denial is no failure, and neither is
/// what the caller or the operator did wrong (is_rejected).
///
///     Fallback{RedisStore{"redis://..."}, PostgresStore{"host=..."}}
///     Fallback{redis, Share{MemoryStore<TokenBucket>{}, 4}}                       // one of four processes, see Share
///     Fallback{redis, Fallback{postgres, Share{MemoryStore<TokenBucket>{}, 4}}}   // as deep as you like
///
/// The secondary's answer is a real decision with the error Errc::degraded (or its own Errc::store_full): the limiter's
/// failure mode does not touch it, and the observer sees it. Only if the secondary fails too is there a failure, its
/// own. Every call asks the primary first, which is what brings it back: stores with a breaker answer at once while it
/// is open, and let a probe through now and then. Until it opens, a call can take the time limits of both.
///
/// A refund goes to the store that answers. A reset goes to both, and fails where the primary's does: the key lives on
/// there. What is given back goes to the store that took it, as Consumption::source tells: its lowest bit is 1 of the
/// secondary's, the others are that store's own source. So it fails while that store does, and never gives units to another.
///
/// The most that can be admitted. Each store keeps to the policy on its own and knows nothing of what the other has
/// admitted, so the sum is what counts: with capacity C and rate R, at most C + R * t in a time t in which one store
/// decides, and one C more for each switch between stores in that time, but never above 2 * (C + R * t) with two stores;
/// with windows, the limit once for each store in one window. A primary that comes back empty adds what a fresh key may
/// have, as a restart without a fallback does. A request that timed out may have been charged by the primary and is then
/// charged twice, which admits less, not more.
///
/// Copies share the states, and it is as thread-safe as its stores. Costs nothing while the primary answers.
template <class Primary, class Secondary>
class Fallback {
public:
    /// What is taken over while the primary fails is the secondary's alone, and is forgotten with it.
    static constexpr bool carries = CarryingStore<Primary> && CarryingStore<Secondary>;

    Fallback(Primary primary, Secondary secondary) : primary_(std::move(primary)), secondary_(std::move(secondary)) {}

    template <Policy P>
    requires Store<Primary, P> && Store<Secondary, P> Decision decide(const Request<P>& request)
    const noexcept {
        return decide(request, [](const auto& store, const Request<P>& own) { return store.decide(own); });
    }

    template <Policy P>
    requires SettlingStore<Primary, P> && SettlingStore<Secondary, P> Consumption consume(const Request<P>& request)
    const noexcept {
        Consumption taken = primary_.consume(request);
        ask_secondary_too(request, taken);
        return taken;
    }

    // The primary's pipeline; what it failed, and what the secondary is to get back, takes calls of the secondary afterwards.
    auto pipeline() const requires requires(const Primary& primary) { primary.pipeline(); }
    { return primary_.pipeline(); }
    const void* pipeline_id() const noexcept requires requires(const Primary& primary) { primary.pipeline_id(); }
    { return primary_.pipeline_id(); }
    template <Policy P>
    requires SettlingStore<Primary, P> && SettlingStore<Secondary, P>
    void add(auto& pipeline, const Request<P>& request, Consumption& out) const {
        if (!goes_back_to_secondary(request)) primary_.add(pipeline, of_primary(request), out);
    }
    template <Policy P>
    void finish(const Request<P>& request, Consumption& out) const noexcept {
        if (goes_back_to_secondary(request)) {
            out.decision = decide(request);
        } else {
            primary_.finish(of_primary(request), out);
            ask_secondary_too(request, out);
        }
    }

    template <Policy P>
    requires TimedStore<Primary, P> && TimedStore<Secondary, P> Decision decide_at(const Request<P>& request,
                                                                                   std::chrono::nanoseconds now)
    const noexcept {
        return decide(request, [=](const auto& store, const Request<P>& own) { return store.decide_at(own, now); });
    }

    /// The same for an event loop. Costs copies of the request's name and key, for the secondary. What was cancelled stays
    /// so.
    template <Policy P, Completion F>
    requires AsyncStore<Primary, P> && AsyncStore<Secondary, P>
    void decide_async(const Request<P>& request, F done) const noexcept {
        if (request.operation == Operation::give_back) {
            Request<P> own{request};
            own.source >>= 1;
            if (request.source % 2 == 0) return primary_.decide_async(own, std::move(done));
            return secondary_.decide_async(own, std::move(done));
        }
        ask_async<Decision>(request, done);
    }

    template <Policy P, std::invocable<Consumption> F>
    requires AsyncSettlingStore<Primary, P> && AsyncSettlingStore<Secondary, P>
    void consume_async(const Request<P>& request, F done) const noexcept { ask_async<Consumption>(request, done); }

    /// Keys in a row that the primary failed go to the secondary together.
    template <Policy P>
    requires BatchStore<Primary, P> && BatchStore<Secondary, P>
    void decide_many(const Request<P>& request, std::span<const std::string_view> keys,
                     std::span<Decision> out) const noexcept {
        primary_.decide_many(request, keys, out);
        for (std::size_t begin = 0, end = 0; begin != out.size(); begin = end) {
            end = begin + 1;
            if (!is_failure(out[begin].error)) continue;
            while (end != out.size() && is_failure(out[end].error)) ++end;
            const auto failed = out.subspan(begin, end - begin);
            secondary_.decide_many(request, keys.subspan(begin, end - begin), failed);
            for (Decision& decision : failed) detail::layers::mark_degraded(decision);
        }
    }

    /// Throws what a store throws that cannot run the policy.
    template <Policy P>
    void check(const Scope<P>& scope) const {
        if constexpr (CheckingStore<Primary, P>) primary_.check(scope);
        if constexpr (CheckingStore<Secondary, P>) secondary_.check(scope);
    }

    /// The primary's clock, if it tells one.
    const auto& clock() const noexcept requires requires(const Primary& primary) { primary.clock(); }
    { return primary_.clock(); }
    const Primary& primary() const noexcept { return primary_; }
    const Secondary& secondary() const noexcept { return secondary_; }

private:
    template <Policy P>
    static bool goes_back_to_secondary(const Request<P>& request) noexcept {
        return request.operation == Operation::give_back && request.source % 2 != 0;
    }
    template <Policy P>
    static Request<P> of_primary(Request<P> request) noexcept {
        request.source >>= 1;
        return request;
    }
    /// What the primary failed, unless it is to get something back.
    template <Policy P>
    void ask_secondary_too(const Request<P>& request, Consumption& taken) const noexcept {
        const bool is_primary = !is_failure(taken.decision.error) || request.operation == Operation::give_back;
        if (!is_primary) {
            if (request.operation == Operation::peek) {
                taken = {secondary_.decide(request)};
            } else {
                taken = secondary_.consume(request);
            }
            detail::layers::mark_degraded(taken.decision);
        }
        detail::layers::add_source(taken, !is_primary);
    }

    template <class Answer, Policy P, class F>
    void ask_async(const Request<P>& request, F& done) const noexcept {
        detail::try_or(
            [&] {
                detail::layers::ask_async<Answer>(
                    primary_, request, detail::layers::PrimaryCompletion<P, Secondary, F>{request, secondary_, done});
            },
            [&] { std::move(done)(Answer{failure(Errc::no_memory)}); });
    }

    template <Policy P, class Ask>
    Decision decide(const Request<P>& request, Ask ask) const noexcept {
        if (request.operation == Operation::give_back) {
            const Request<P> own = of_primary(request);  // the secondary's source is told the same way
            return goes_back_to_secondary(request) ? ask(secondary_, own) : ask(primary_, own);
        }
        Decision decision = ask(primary_, request);
        if (request.operation == Operation::reset) {
            const Decision second = ask(secondary_, request);
            return decision.error ? decision : second;
        }
        if (!is_failure(decision.error)) return decision;
        decision = ask(secondary_, request);
        detail::layers::mark_degraded(decision);
        return decision;
    }

    Primary primary_;
    Secondary secondary_;
};

}  // namespace sluice

#endif
