// SPDX-License-Identifier: MIT
#ifndef SLUICE_STORE_HPP
#define SLUICE_STORE_HPP

#include <chrono>
#include <concepts>
#include <cstdint>
#include <span>
#include <string_view>
#include <system_error>
#include <utility>

#include <sluice/completion.hpp>
#include <sluice/decision.hpp>
#include <sluice/policy.hpp>

namespace sluice {

/// Whose states are meant: a limiter's name and one policy with its parameters. Refers to both. Made on the stack
/// for a call with a policy of its own: a hash of a few numbers, no allocation.
template <Policy P>
struct Scope {
    Scope(std::string_view limiter_name, const P& of_policy) noexcept
        : Scope(limiter_name, of_policy, scope_id(limiter_name, of_policy)) {}
    /// With `scope_id(limiter_name, of_policy)` computed before.
    Scope(std::string_view limiter_name, const P& of_policy, std::uint64_t known_id) noexcept
        : name(limiter_name), policy(of_policy), id(known_id) {}
    Scope(std::string_view, const P&&) = delete;  // the temporary would be gone before the scope is
    Scope(std::string_view, const P&&, std::uint64_t) = delete;

    static std::uint64_t scope_id(std::string_view limiter_name, const P& of_policy) noexcept {
        detail::Fingerprint print;
        print.add(limiter_name);
        print.add(fingerprint(of_policy));
        return print.value();
    }

    std::string_view name;
    const P& policy;
    std::uint64_t id;  ///< stands for the name, the policy's kind and its parameters
};

enum class Operation : std::uint8_t {
    consume,
    peek,       ///< the decision for `units` now; changes nothing
    refund,     ///< gives units back, whoever consumed them and when
    reset,      ///< forgets the key; ignores `units`
    take,       ///< consumes what is there, at most `units`; none is a denial, as of cost 1
    give_back,  ///< gives back what a Consumption took, as of the time when it was taken: see SettlingPolicy
    carry,  ///< consumes `units`, at most the limit, where all of the limit is there; else only looks: see CarryingStore
};

/// One question to a store.
template <Policy P>
struct Request {
    Scope<P> scope;
    std::string_view key;
    std::uint64_t units = 1;
    Operation operation = Operation::consume;
    /// consume: denied, too, where the decision's delay would be longer; retry_after then tells when it would not any more.
    std::chrono::nanoseconds max_delay = std::chrono::nanoseconds::max();
    std::chrono::nanoseconds consumed_at{0};  ///< give_back: Consumption::at
    std::uint32_t source = 0;                 ///< give_back: Consumption::source
};

/// What a store took for a request, so that it can be given back.
struct Consumption {
    Decision decision{};
    std::uint64_t units = 0;         ///< 0 where the request was denied, or its decision charged nowhere
    std::chrono::nanoseconds at{0};  ///< the store's reading of its clock for the decision
    std::uint32_t source = 0;        ///< of a store made of several: which of them took it
};

/// The same question about other states, of views that live longer.
template <Policy P>
Request<P> with_scope(const Request<P>& request, const Scope<P>& scope, std::string_view key) noexcept {
    return {scope, key, request.units, request.operation, request.max_delay, request.consumed_at, request.source};
}

/// A store finds the state of (scope, key), makes the policy's step atomic and owns the clock. It is a handle: copies
/// share the states; all calls may come from many threads at once. decide() answers consume, peek and take with the
/// policy's decision, refund, reset and give_back with an `error` alone; it never throws, and reports a failure in
/// Decision::error, leaving `allowed` to the limiter: Errc::invalid_argument for a key that it cannot hold and
/// Errc::misconfigured for a policy that it cannot run are denied, others as the limiter's FailureMode says.
template <class S, class P>
concept Store = Policy<P> && std::copyable<S> && requires(const S& store, const Request<P>& request) {
    { store.decide(request) }
    noexcept->std::same_as<Decision>;
};

/// A store that answers event loops: decide_async() returns at once, and done(Decision) is called exactly once, when the
/// store has the answer or cannot have it (Errc::cancelled where the store is destroyed before), or, by a store that has it
/// at once, before decide_async() returns. What the request refers to need not live longer than the call. For which thread
/// it is, the store says. See Completion for what else `done` may have.
template <class S, class P>
concept AsyncStore = Policy<P> && std::copyable<S> &&
    requires(const S& store, const Request<P>& request, void (*done)(Decision)) {
    { store.decide_async(request, done) }
    noexcept;
};

/// A store that refuses a policy which it cannot run exactly, or at all: check() throws std::invalid_argument. A limiter
/// asks it once, when it is made; a policy that comes with a call is answered with Errc::misconfigured.
template <class S, class P>
concept CheckingStore = Policy<P> && std::copyable<S> && requires(const S& store, const Scope<P>& scope) {
    store.check(scope);
};

/// A store that tells what it took, so that it can be given back: consume() is decide() of a request to consume or take, and
/// decide() of Operation::give_back returns the units as of that time.
template <class S, class P>
concept SettlingStore = Store<S, P> && requires(const S& store, const Request<P>& request) {
    { store.consume(request) }
    noexcept->std::same_as<Consumption>;
};

/// The same for event loops: done(Consumption) is called as decide_async() calls done(Decision).
template <class S, class P>
concept AsyncSettlingStore = AsyncStore<S, P> &&
    requires(const S& store, const Request<P>& request, void (*done)(Consumption)) {
    { store.consume_async(request, done) }
    noexcept;
};

/// A store that takes the time from the caller (nanoseconds since the Unix epoch). Calls may be late by up to 5 s, in any
/// order, as threads are that read a clock and are then held up.
template <class S, class P>
concept TimedStore = Store<S, P> && requires(const S& store, const Request<P>& request, std::chrono::nanoseconds now) {
    { store.decide_at(request, now) }
    noexcept->std::same_as<Decision>;
};

/// A store that decides many keys in one pass, in order: out[i] answers keys[i] (spans of equal length; the request's
/// own key is ignored).
template <class S, class P>
concept BatchStore = Store<S, P> && requires(const S& store, const Request<P>& request,
                                             std::span<const std::string_view> keys, std::span<Decision> out) {
    { store.decide_many(request, keys, out) }
    noexcept;
};

/// What a PipelineStore's pipeline() returns.
template <class S>
using StorePipeline = decltype(std::declval<const S&>().pipeline());

/// A store that takes requests of several scopes and policies in one round trip: those of all stores that have the same
/// pipeline_id() and type of pipeline, whatever layers lie between.
///
///     pipeline()                            // may throw; its run() noexcept, once, asks for all that was added, in order
///     add(pipeline, request, out)           // a request to consume, take, peek or give back; may throw. The name, the policy
///                                           // and the key of the request, and `out`, must live until finish()
///     finish(request, out) noexcept         // after run(): makes `out` what consume() or decide() would have told
template <class S, class P>
concept PipelineStore = Store<S, P> &&
    requires(const S& store, StorePipeline<S>& pipeline, const Request<P>& request, Consumption& out) {
    { store.pipeline_id() }
    noexcept->std::same_as<const void*>;
    store.add(pipeline, request, out);
    { store.finish(request, out) }
    noexcept;
    { pipeline.run() }
    noexcept;
};

/// A store that decides within the process, so that one call more costs no round trip. It says so itself:
/// `static constexpr bool in_process = true;`
template <class S>
concept InProcessStore = requires {
    requires S::in_process;
};

/// A store that knows Operation::carry, and so can take over what is used of another limit: see carry_over. It says so itself:
/// `static constexpr bool carries = true;`
template <class S>
concept CarryingStore = requires {
    requires S::carries;
};

/// What a store returns that could not decide.
inline Decision failure(std::error_code error) noexcept {
    Decision decision;
    decision.error = error;
    return decision;
}

}  // namespace sluice

#endif
