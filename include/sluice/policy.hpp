// SPDX-License-Identifier: MIT
#ifndef SLUICE_POLICY_HPP
#define SLUICE_POLICY_HPP

#include <array>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include <sluice/decision.hpp>
#include <sluice/detail/algorithm.hpp>

namespace sluice {

/// A policy is pure arithmetic on the small state of one key: it sees no store, no key and no clock.
///
///     struct State;                                     // State{} is a key never seen
///     static constexpr std::string_view kind;           // names the policy's kind
///     parameters() -> a range of integers               // with `kind`, the identity of a state
///     quota() -> Quota
///     step(State&, now, cost) noexcept -> Decision      // a denial consumes nothing; cost 0 reports and changes nothing
///     expires_at(const State&) noexcept -> nanoseconds  // from then on the state equals State{}
///
/// `now` counts nanoseconds since the Unix epoch and may be late: step() and the rest decide a state that lies ahead of it
/// by up to 5 s more than the policy itself puts one as at the state's own time, and give no unit twice. Further ahead,
/// the clock was set back: they bring the state back to `now`, fully used.
///
/// Optional: is_ahead(const State&, now) noexcept -> bool, whether the state is one of a later time, so that a store reads
/// its clock again before it decides; refund, give_back, lease_end, wait_for_delay, peek, reserve, and the one-word form below.
template <class P>
concept Policy = std::copyable<P> && std::default_initializable<typename P::State> &&
    requires(const P& policy, typename P::State& state, const typename P::State& seen, std::chrono::nanoseconds now,
             std::uint64_t cost) {
    { P::kind } -> std::convertible_to<std::string_view>;
    { *std::begin(policy.parameters()) } -> std::convertible_to<std::uint64_t>;
    { policy.quota() } -> std::same_as<Quota>;
    { policy.step(state, now, cost) }
    noexcept->std::same_as<Decision>;
    { policy.expires_at(seen) }
    noexcept->std::same_as<std::chrono::nanoseconds>;
};

/// A policy that can take units back: refund(State&, now, units) noexcept, never above the limit;
/// 0 units change nothing.
template <class P>
concept RefundablePolicy = Policy<P> &&
    requires(const P& policy, typename P::State& state, std::chrono::nanoseconds now, std::uint64_t units) {
    { policy.refund(state, now, units) }
    noexcept;
};

/// A policy that can take back what it counted at a time: give_back(State&, now, consumed_at, units) noexcept. Other than a
/// refund it leaves what others consumed: a window gives back only while the state is still the one in which `consumed_at`
/// lies, a log from the entry of exactly that time, a bucket up to its capacity. What is not there any more is not given.
/// `consumed_at` may be earlier than the time at which the units were counted (a late reading), never later.
template <class P>
concept SettlingPolicy = Policy<P> &&
    requires(const P& policy, typename P::State& state, std::chrono::nanoseconds time, std::uint64_t units) {
    { policy.give_back(state, time, time, units) }
    noexcept;
};

/// A policy whose units may be consumed ahead of the requests that they are for: lease_end(at) noexcept tells until when
/// units that were counted at `at` may be admitted without breaking the policy's word; nanoseconds::max() if at any time.
/// A window's units until it ends; those of a log that knows each unit's time not at all, nor those of a queue, whose
/// delays go by the order of the requests.
template <class P>
concept LeasablePolicy = SettlingPolicy<P> && requires(const P& policy, std::chrono::nanoseconds at) {
    { policy.lease_end(at) }
    noexcept->std::same_as<std::chrono::nanoseconds>;
};

/// A policy whose decisions have delays: wait_for_delay(const State&, now, max_delay) noexcept tells after which time, if
/// nothing else comes, a request would get a delay of at most `max_delay` (not negative); 0 where it would now.
template <class P>
concept PacingPolicy = Policy<P> &&
    requires(const P& policy, const typename P::State& state, std::chrono::nanoseconds time) {
    { policy.wait_for_delay(state, time, time) }
    noexcept->std::same_as<std::chrono::nanoseconds>;
};

/// A pacing policy that admits a request when it takes its place in a queue, so that to wait for a place is to wait outside:
/// `static constexpr bool is_queue = true`. RateLimiter::acquire() asks it once.
template <class P>
concept QueuePolicy = PacingPolicy<P> && requires {
    requires P::is_queue;
};

/// A policy whose state owns memory: reserve(State&, now, cost), called before each step that consumes, makes room for
/// it, or throws std::bad_alloc and leaves the state as it was.
template <class P>
concept GrowingPolicy = Policy<P> &&
    requires(const P& policy, typename P::State& state, std::chrono::nanoseconds now, std::uint64_t cost) {
    policy.reserve(state, now, cost);
};

/// A policy that tells its state in a few integers, so that a store on a server can keep it without knowing the policy:
/// it is read, stepped by the client, and swapped for the new one.
///
///     encode(const State&) const noexcept -> std::array<std::int64_t, n>    // n from 1 to 32
///     decode(const std::array<std::int64_t, n>&) const noexcept -> State
///
/// decode(encode(state)) decides as `state` does. decode() has to take any integers: the server's word is not checked.
template <class P>
concept StateCodec = Policy<P> && !GrowingPolicy<P> && requires(const P& policy, const typename P::State& state) {
    requires std::same_as<typename decltype(policy.encode(state))::value_type, std::int64_t>;
    requires std::tuple_size<decltype(policy.encode(state))>::value >= 1;
    requires std::tuple_size<decltype(policy.encode(state))>::value <= 32;
    { policy.decode(policy.encode(state)) }
    noexcept->std::same_as<typename P::State>;
};

/// How many integers a policy's codec makes of a state.
template <StateCodec P>
inline constexpr std::size_t state_integers =
    std::tuple_size_v<decltype(std::declval<const P&>().encode(std::declval<const typename P::State&>()))>;

/// A policy whose state fits one 64-bit word for most parameters (fits_word() tells), so that a store may swap it
/// atomically. unpack(pack(state)) must decide as `state` does. word_expires_at is static: a store has to know it
/// for a word that another policy of the kind packed, and may be up to one window later than expires_at.
///
/// Optional: step_word(word, now, cost) -> Decision, a step that gets by without unpacking the usual state. What is not
/// usual it may leave undone: the word as it was, and a denial with retry_after 0, which no finished step returns.
template <class P>
concept WordPolicy = Policy<P> && requires(const P& policy, const typename P::State& state, std::uint64_t word) {
    { policy.fits_word() }
    noexcept->std::same_as<bool>;
    { policy.pack(state) }
    noexcept->std::same_as<std::uint64_t>;
    { policy.unpack(word) }
    noexcept->std::same_as<typename P::State>;
    { P::word_expires_at(word) }
    noexcept->std::same_as<std::chrono::nanoseconds>;
};

/// The decision for `cost` now on an unchanged state; `remaining` and `reset_after` are those of the state as it is.
template <Policy P>
Decision peek(const P& policy, const typename P::State& state, std::chrono::nanoseconds now,
              std::uint64_t cost) noexcept {
    if constexpr (requires {
                      { policy.peek(state, now, cost) }
                      noexcept->std::same_as<Decision>;
                  }) {
        return policy.peek(state, now, cost);
    } else {
        static_assert(std::is_nothrow_copy_constructible_v<typename P::State> &&
                          std::is_nothrow_copy_assignable_v<typename P::State>,
                      "sluice: a policy whose state allocates needs a peek() of its own");
        auto copy = state;
        const Decision decision = policy.step(copy, now, cost);
        if (!decision.allowed) return decision;
        copy = state;
        Decision idle = policy.step(copy, now, 0);
        idle.delay = decision.delay;
        return idle;
    }
}

namespace detail {

/// Whether the state is one of a later time than `now`; false of a policy that does not say.
template <Policy P>
bool is_ahead(const P& policy, const typename P::State& state, std::chrono::nanoseconds now) noexcept {
    if constexpr (requires { policy.is_ahead(state, now); }) return policy.is_ahead(state, now);
    return false;
}

}  // namespace detail

/// Makes room for a step where the policy wants that, which may throw std::bad_alloc.
template <Policy P>
void reserve(const P& policy, typename P::State& state, std::chrono::nanoseconds now, std::uint64_t cost) {
    if constexpr (GrowingPolicy<P>) policy.reserve(state, now, cost);
}

/// As policy.step(), but denied, too, where the decision's delay would exceed `max_delay`; retry_after then tells when it
/// would not any more. A denial changes nothing.
template <Policy P>
Decision step_within(const P& policy, typename P::State& state, std::chrono::nanoseconds now, std::uint64_t cost,
                     std::chrono::nanoseconds max_delay) noexcept {
    if constexpr (PacingPolicy<P>) {
        constexpr auto any = std::chrono::nanoseconds::max();
        const std::chrono::nanoseconds none{0};
        const auto wait =
            cost == 0 || max_delay == any ? none : policy.wait_for_delay(state, now, std::max(none, max_delay));
        if (wait > none) {
            Decision decision = peek(policy, state, now, cost);
            // A denial that has reasons of its own may have to write: where the clock was set back.
            if (!decision.allowed) decision = policy.step(state, now, cost);
            decision.allowed = false;
            decision.retry_after = std::max(decision.retry_after, wait);
            decision.delay = {};
            return decision;
        }
    }
    return policy.step(state, now, cost);
}

/// Takes what is there, `most` units at most: how many, with the decision of that cost; 0 with a denial, as of cost 1.
/// Makes room for the step where the policy wants that, which may throw std::bad_alloc and leaves the state as it was.
template <Policy P>
std::uint64_t take(const P& policy, typename P::State& state, std::chrono::nanoseconds now, std::uint64_t most,
                   Decision& decision) noexcept(!GrowingPolicy<P>) {
    const std::uint64_t there = peek(policy, state, now, 0).remaining;
    const std::uint64_t units = std::min(most, std::max<std::uint64_t>(1, there));
    reserve(policy, state, now, units);
    decision = policy.step(state, now, units);
    return decision.allowed ? units : 0;
}

namespace detail {

/// FNV-1a (Fowler, Noll, Vo) over the bytes of integers and strings: the same number in every process and on every
/// machine, since shared stores put it into their keys.
class Fingerprint {
public:
    constexpr void add(std::uint64_t number) noexcept {
        for (int shift = 0; shift < 64; shift += 8) byte(static_cast<unsigned char>(number >> shift));
    }
    constexpr void add(std::string_view text) noexcept {
        for (const char c : text) byte(static_cast<unsigned char>(c));
        add(text.size());
    }
    constexpr std::uint64_t value() const noexcept { return value_; }

private:
    constexpr void byte(unsigned char b) noexcept { value_ = (value_ ^ b) * 0x100000001b3; }
    std::uint64_t value_ = 0xcbf29ce484222325;
};

}  // namespace detail

/// Kind and parameters of a policy as 64 bits; two policies share states only where these are equal.
template <Policy P>
constexpr std::uint64_t fingerprint(const P& policy) noexcept {
    detail::Fingerprint print;
    print.add(P::kind);
    for (const auto parameter : policy.parameters()) print.add(static_cast<std::uint64_t>(parameter));
    return print.value();
}

}  // namespace sluice

#endif
