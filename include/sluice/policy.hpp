// SPDX-License-Identifier: MIT
#ifndef SLUICE_POLICY_HPP
#define SLUICE_POLICY_HPP

#include <chrono>
#include <concepts>
#include <cstdint>
#include <ranges>
#include <string_view>
#include <type_traits>
#include <utility>

#include <sluice/decision.hpp>

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
/// its clock again before it decides; refund, peek, reserve, and the one-word form below.
template <class P>
concept Policy = std::copyable<P> && std::default_initializable<typename P::State> &&
    requires(const P& policy, typename P::State& state, const typename P::State& seen, std::chrono::nanoseconds now,
             std::uint64_t cost) {
    { P::kind } -> std::convertible_to<std::string_view>;
    { policy.parameters() } -> std::ranges::input_range;
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

/// A policy whose state owns memory: reserve(State&, now, cost), called before each step that consumes, makes room for
/// it, or throws std::bad_alloc and leaves the state as it was.
template <class P>
concept GrowingPolicy = Policy<P> &&
    requires(const P& policy, typename P::State& state, std::chrono::nanoseconds now, std::uint64_t cost) {
    policy.reserve(state, now, cost);
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
