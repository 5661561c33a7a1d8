// SPDX-License-Identifier: MIT
#ifndef SLUICE_TESTS_CONFORMANCE_OWN_OWN_POLICY_HPP
#define SLUICE_TESTS_CONFORMANCE_OWN_OWN_POLICY_HPP

#include <array>
#include <chrono>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>

#include <sluice/sluice.hpp>

namespace conformance {

/// A policy that no store on a server knows, and that decides as P: states are read, stepped by the client, and swapped.
template <sluice::StateCodec P>
class Own {
public:
    using State = typename P::State;
    using Time = std::chrono::nanoseconds;
    static constexpr std::string_view kind = "own";

    explicit Own(P policy) : policy_(std::move(policy)) {}

    std::array<std::uint64_t, 1> parameters() const { return {sluice::fingerprint(policy_)}; }
    sluice::Quota quota() const { return policy_.quota(); }
    sluice::Decision step(State& state, Time now, std::uint64_t cost) const noexcept {
        return policy_.step(state, now, cost);
    }
    Time expires_at(const State& state) const noexcept { return policy_.expires_at(state); }
    auto encode(const State& state) const noexcept { return policy_.encode(state); }
    State decode(const auto& integers) const noexcept { return policy_.decode(integers); }

    void refund(State& state, Time now, std::uint64_t units) const noexcept { policy_.refund(state, now, units); }
    void give_back(State& state, Time now, Time consumed_at, std::uint64_t units) const noexcept {
        policy_.give_back(state, now, consumed_at, units);
    }
    Time wait_for_delay(const State& state, Time now, Time max_delay) const noexcept requires sluice::PacingPolicy<P> {
        return policy_.wait_for_delay(state, now, max_delay);
    }

private:
    P policy_;
};

/// Asks a store for an Own<P> whenever it is asked for a P.
template <class S>
struct OwnStore {
    S store;

    template <sluice::Policy P>
    sluice::Decision decide(const sluice::Request<P>& request) const noexcept {
        return with_own(request, [&](const auto& own) { return store.decide(own); });
    }
    template <sluice::Policy P>
    sluice::Consumption consume(
        const sluice::Request<P>& request) const noexcept requires sluice::SettlingStore<S, Own<P>> {
        return with_own(request, [&](const auto& own) { return store.consume(own); });
    }
    template <sluice::Policy P>
    void decide_many(const sluice::Request<P>& request, std::span<const std::string_view> keys,
                     std::span<sluice::Decision> out) const noexcept {
        with_own(request, [&](const auto& own) { store.decide_many(own, keys, out); });
    }

private:
    template <sluice::Policy P, class F>
    static auto with_own(const sluice::Request<P>& request, F f) {
        const Own<P> own{request.scope.policy};
        return f(sluice::Request<Own<P>>{{request.scope.name, own},
                                         request.key,
                                         request.units,
                                         request.operation,
                                         request.max_delay,
                                         request.consumed_at,
                                         request.source});
    }
};

/// A store's kit, with policies of one's own in place of those that have a codec.
template <class Kit>
struct OwnKit : Kit {
    static constexpr int sequences = 100;
    static constexpr int requests_per_thread = Kit::requests_per_thread / 10;

    template <sluice::Policy P>
    auto store() {
        if constexpr (sluice::StateCodec<P>) {
            auto inner = this->Kit::template store<Own<P>>();
            return OwnStore<decltype(inner)>{std::move(inner)};
        } else {
            return Kit::template store<P>();
        }
    }
};

}  // namespace conformance

#endif
