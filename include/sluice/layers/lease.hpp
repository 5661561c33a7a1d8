// SPDX-License-Identifier: MIT
#ifndef SLUICE_LAYERS_LEASE_HPP
#define SLUICE_LAYERS_LEASE_HPP

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <sluice/clock.hpp>
#include <sluice/decision.hpp>
#include <sluice/detail/exceptions.hpp>
#include <sluice/error.hpp>
#include <sluice/layers/detail/holdings.hpp>
#include <sluice/layers/lease_options.hpp>
#include <sluice/policy.hpp>
#include <sluice/remote/per_process.hpp>
#include <sluice/store.hpp>

namespace sluice {

/// A store in front of a shared one: takes n units of a busy key at once and admits requests in process from these, agreeing
/// with the shared store in the background.
///
///     Lease{RedisStore{"redis://..."}}
///     DenialCache{Lease{redis}}                                        // denials in process, too
///     Fallback{Lease{redis}, Share{MemoryStore<TokenBucket>{}, 4}}
///
/// A key is leased when some 64 requests of it have come within a second; until then each is the shared store's. n is what
/// the key needs here in LeaseOptions::span (or in four round trips, if these are longer), at most max_units, and at most
/// what the store has left / LeaseOptions::instances: as the limit gets near, n falls to 1, and every request is asked for
/// itself. When half is spent, the background takes what is missing; a request that finds nothing takes n itself, or asks for
/// what it needs while another does. A key that is not used for two spans gives back what it holds.
///
/// Bounds, for N processes with one policy of limit L:
///   - nothing is admitted that the shared store has not given before, and nothing twice: up to any time the processes have
///     admitted at most what the store has counted;
///   - what is admitted within an interval was taken within it, where the policy bounds it, or was held when it began, at most
///     n <= max(1, L / instances) by each process: at most N * n more than the policy's own bound. Nothing is carried over a
///     window's edge: a lease ends with its window, by a time that was read before the store was asked, so not later. So of
///     a FixedWindow, and of each window of a SlidingWindowCounter, exactly the policy's bound;
///   - what others hold is not there for a request: at most (N - 1) * n units are stranded, and at most N * (n - 1) where the
///     limit was near when they were taken. Until they are spent, or given back after two spans without use and one pass of
///     the background; where a process dies, until the bucket has refilled or the window ends. Admits less, never more;
///   - a reset leaves what other processes hold with them.
/// A thread that is held up between reading the clock and spending decides as at its reading, as in every store; so does a
/// machine that was suspended, until its clock has noticed (see TscClock).
///
/// Which policies: TokenBucket, FixedWindow, SlidingWindowCounter and AllOf of these (LeasablePolicy). Not SlidingWindow: its
/// word is that no more than the limit pass within any window, exactly, for which the time of each admission has to be known,
/// and a unit taken ahead is admitted later than it is counted. Not LeakyBucket: its delays go by the order of requests.
///
/// A Decision made here says the limit, as `remaining` what the store had left at its last answer plus what is held here, and
/// as `reset_after` what it was then, counted down. A denial is the store's own. peek() asks the store and adds what is held.
///
/// The shared store away: what is held is spent, then requests get its error, so that Fallback or the failure mode decides.
/// The background keeps trying, one call at a time.
///
/// Cost: a request that is served here takes no lock and no allocation, some 60 ns; one of a key that is not leased 500 ns
/// more than the store. The background makes one call at a time: where more leases are due in a second than there are round
/// trips in it, requests take for themselves. Thread-safe; copies share the leases. The
/// last one's destructor joins the thread and gives back what is held, which a store that is away may hold up for its time limit. A forked
/// child has leases and a thread of its own.
template <class S, Clock C = DefaultClock>
class Lease {
public:
    static constexpr bool carries = CarryingStore<S>;

    /// Throws std::invalid_argument for options out of range, and std::bad_alloc.
    explicit Lease(S store, LeaseOptions options = {}, C clock = C{})
        : store_(std::move(store)), options_(options.checked()), clock_(std::move(clock)),
          holdings_(std::make_shared<PerProcess>()) {
        static_cast<void>(holdings());
    }

    template <Policy P>
    requires SettlingStore<S, P> Decision decide(const Request<P>& request)
    const noexcept {
        return serve(request, [&] { return Consumption{store_.decide(request)}; }).decision;
    }

    template <Policy P>
    requires SettlingStore<S, P> Consumption consume(const Request<P>& request)
    const noexcept {
        return serve(request, [&] { return store_.consume(request); });
    }

    /// What cannot be served here goes to the store, together.
    template <Policy P>
    requires SettlingStore<S, P> && BatchStore<S, P>
    void decide_many(const Request<P>& request, std::span<const std::string_view> keys,
                     std::span<Decision> out) const noexcept {
        if (request.operation != Operation::consume || request.units == 0 ||
            !detail::try_or([&] { return decide_rest(request, keys, out), true; }, [] { return false; })) {
            store_.decide_many(request, keys, out);
        }
    }

    /// Throws what the store throws that cannot run the policy.
    template <Policy P>
    void check(const Scope<P>& scope) const {
        if constexpr (CheckingStore<S, P>) store_.check(scope);
    }

    /// For Drive::manual: one pass over all leases. Asks the store where leases are due. Passes do not overlap.
    void maintain() const noexcept {
        if (Holdings* const known = try_holdings()) known->maintain();
    }

    const S& store() const noexcept { return store_; }
    LeaseStats stats() const noexcept {
        const auto* const known = holdings_->peek();
        return known == nullptr ? LeaseStats{} : known->stats();
    }

private:
    using Holdings = detail::layers::Holdings<C>;
    using Holding = detail::layers::Holding;
    using Grant = detail::layers::Grant;
    using Look = typename Holdings::Look;
    using PerProcess = detail::remote::PerProcess<Holdings>;

    Holdings& holdings() const {
        return holdings_->get([this] { return std::make_unique<Holdings>(options_, clock_); });
    }
    Holdings* try_holdings() const noexcept {
        return detail::try_or([&] { return &holdings(); }, [] { return static_cast<Holdings*>(nullptr); });
    }

    template <Policy P>
    static Grant grant(const P& policy, const Consumption& taken) noexcept {
        return {taken, policy.lease_end(taken.at).count()};
    }
    /// What asks the store for a key in the background.
    template <Policy P>
    auto asker(const Request<P>& request, const Holding& holding) const {
        return [store = store_, name = std::string{request.scope.name}, policy = request.scope.policy, &holding](
                   Operation operation, std::uint64_t units, std::int64_t at_ns) noexcept {
            Request<P> own{{name, policy, holding.scope_id}, holding.key, units, operation};
            own.consumed_at = std::chrono::nanoseconds{at_ns};
            return operation == Operation::take ? grant(policy, store.consume(own))
                                                : Grant{Consumption{store.decide(own)}, 0};
        };
    }

    template <Policy P, class Ask>
    Consumption serve(const Request<P>& request, Ask ask) const noexcept {
        static_assert(
            LeasablePolicy<P>,
            "sluice: this policy cannot be leased: it has no lease_end(). SlidingWindow counts each unit at the "
            "time at which it is admitted, and LeakyBucket delays requests in their order; see Lease");
        Holdings* const known = try_holdings();
        if (known == nullptr) return ask();
        const std::uint64_t id = request.scope.id;
        if ((request.operation == Operation::consume || request.operation == Operation::take) && request.units != 0) {
            Look look;
            Consumption out;
            if (known->spend(id, request.key, request.units, look, out)) return out;
            return serve_by_store(*known, request, look, ask);
        }
        if (request.operation == Operation::reset) known->forget(id, request.key);
        Consumption answer = ask();
        if (request.operation == Operation::peek && !answer.decision.error) {
            Decision& decision = answer.decision;
            const std::uint64_t held = known->held(id, request.key);
            decision.remaining = std::min(decision.limit, decision.remaining + held);
            if (!decision.allowed && held >= request.units) {
                decision.allowed = true;
                decision.retry_after = {};
            }
        }
        return answer;
    }

    /// The key's holding; none where it needs none, or without memory for one.
    template <Policy P>
    Holding* find_or_open(Holdings& known, const Request<P>& request, std::string_view key,
                          const Look& look) const noexcept {
        const auto find = [&] {
            return known.find_or_open(request.scope.id, key, look,
                                      [&](const Holding& own) { return asker(request, own); });
        };
        return detail::try_or(find, [] { return static_cast<Holding*>(nullptr); });
    }

    template <Policy P, class Ask>
    [[gnu::noinline]] Consumption serve_by_store(Holdings& known, const Request<P>& request, const Look& look,
                                                 Ask ask) const noexcept {
        Holding* const holding = find_or_open(known, request, request.key, look);
        if (holding == nullptr) return ask();
        Consumption answer;
        if (request.operation == Operation::consume && request.units == 1) {
            const auto take = [&](std::uint64_t units) {
                Request<P> more{request};
                more.units = units;
                more.operation = Operation::take;
                return grant(request.scope.policy, store_.consume(more));
            };
            if (known.take(*holding, look, answer, take)) {
                if (answer.units > 1) answer.decision.remaining += answer.units - 1;  // held here now
                answer.units = std::min<std::uint64_t>(1, answer.units);
                return answer;
            }
        }
        answer = ask();
        const bool is_take = request.operation == Operation::take;
        known.note(*holding, is_take ? answer.units : request.units, answer.decision, look);
        return answer;
    }

    template <Policy P>
    void decide_rest(const Request<P>& request, std::span<const std::string_view> keys, std::span<Decision> out) const {
        Holdings& known = holdings();
        std::vector<std::string_view> rest;
        std::vector<std::pair<std::size_t, Look>> looks;
        rest.reserve(keys.size());
        looks.reserve(keys.size());
        for (std::size_t i = 0; i != keys.size(); ++i) {
            Look look;
            Consumption taken;
            if (known.spend(request.scope.id, keys[i], request.units, look, taken)) {
                out[i] = taken.decision;
            } else {
                rest.push_back(keys[i]);
                looks.emplace_back(i, look);
            }
        }
        if (rest.empty()) return;
        std::vector<Decision> answers(rest.size());
        store_.decide_many(request, rest, answers);
        for (std::size_t i = 0; i != rest.size(); ++i) {
            const auto& [place, look] = looks[i];
            out[place] = answers[i];
            if (Holding* const holding = find_or_open(known, request, rest[i], look))
                known.note(*holding, request.units, answers[i], look);
        }
    }

    S store_;
    LeaseOptions options_;
    C clock_;
    std::shared_ptr<PerProcess> holdings_;
};

}  // namespace sluice

#endif
