// SPDX-License-Identifier: MIT
#ifndef SLUICE_POLICIES_ALL_OF_HPP
#define SLUICE_POLICIES_ALL_OF_HPP

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <new>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include <sluice/detail/algorithm.hpp>
#include <sluice/policy.hpp>

namespace sluice {

namespace detail {

template <class P>
concept StepsWords = requires(const P& policy, std::uint64_t& word, std::chrono::nanoseconds now) {
    policy.step_word(word, now, std::uint64_t{1});
};

}  // namespace detail

/// Several limits on one key, all or nothing: a request passes if every policy allows it, and then consumes from all;
/// denied by one, it consumes from none.
///
///     AllOf{TokenBucket{10, per_second(1)}, FixedWindow{1000, 24h}}
///
/// The Decision's `limit` is that of the binding policy: denied, the one with the longest wait, whose wait is
/// `retry_after`; allowed, the one with the least remaining; the first listed on a tie. `remaining` is always the
/// least, `reset_after` and `delay` the most. State: the sum of the parts'.
template <Policy... Policies>
requires(sizeof...(Policies) > 0) class AllOf {
public:
    using State = std::tuple<typename Policies::State...>;
    static constexpr std::string_view kind = "all_of";

    constexpr explicit AllOf(Policies... policies) : policies_(std::move(policies)...) {}

    constexpr const std::tuple<Policies...>& policies() const noexcept { return policies_; }
    /// That of the policy with the least limit: a larger cost can never pass.
    constexpr Quota quota() const {
        return std::apply(
            [](const auto& first, const auto&... others) {
                Quota least = first.quota();
                ((others.quota().limit < least.limit ? static_cast<void>(least = others.quota()) : void()), ...);
                return least;
            },
            policies_);
    }
    constexpr std::array<std::uint64_t, sizeof...(Policies)> parameters() const noexcept {
        return std::apply([](const auto&... policy) { return std::array{fingerprint(policy)...}; }, policies_);
    }

    Decision step(State& state, std::chrono::nanoseconds now, std::uint64_t cost) const noexcept {
        if constexpr ((std::is_trivially_copyable_v<typename Policies::State> && ...)) {
            return step_copies(state, StepState{now, cost});
        } else {
            const Decision whole = peek(state, now, cost);
            if (whole.allowed) {
                return combine(state, [&](const auto& policy, auto& part) { return policy.step(part, now, cost); });
            }
            // A part denies again, and writes at most what a clock that was set back makes necessary.
            for_each(state, [&](const auto& policy, auto& part) {
                if (!sluice::peek(policy, part, now, cost).allowed) static_cast<void>(policy.step(part, now, cost));
            });
            return whole;
        }
    }

    /// A step on words that the parts have packed, as theirs on a word.
    [[gnu::always_inline]] Decision step_words(std::array<std::uint64_t, sizeof...(Policies)>& words,
                                               std::chrono::nanoseconds now, std::uint64_t cost) const noexcept
        requires(detail::StepsWords<Policies>&&...) {
        return step_copies(words, StepWord{now, cost});
    }

    Decision peek(const State& state, std::chrono::nanoseconds now, std::uint64_t cost) const noexcept {
        return combine(state,
                       [&](const auto& policy, const auto& part) { return sluice::peek(policy, part, now, cost); });
    }

    bool is_ahead(const State& state, std::chrono::nanoseconds now) const noexcept {
        bool is_any = false;
        for_each(state,
                 [&](const auto& policy, const auto& part) { is_any = is_any || detail::is_ahead(policy, part, now); });
        return is_any;
    }

    void refund(State& state, std::chrono::nanoseconds now, std::uint64_t units) const noexcept
        requires(RefundablePolicy<Policies>&&...) {
        for_each(state, [&](const auto& policy, auto& part) { policy.refund(part, now, units); });
    }

    void give_back(State& state, std::chrono::nanoseconds now, std::chrono::nanoseconds consumed_at,
                   std::uint64_t units) const noexcept requires(SettlingPolicy<Policies>&&...) {
        for_each(state, [&](const auto& policy, auto& part) { policy.give_back(part, now, consumed_at, units); });
    }

    std::chrono::nanoseconds wait_for_delay(const State& state, std::chrono::nanoseconds now,
                                            std::chrono::nanoseconds max_delay) const noexcept
        requires(PacingPolicy<Policies> || ...) {
        std::chrono::nanoseconds longest{0};
        for_each(state, [&]<class P>(const P& policy, const auto& part) {
            if constexpr (PacingPolicy<P>) longest = std::max(longest, policy.wait_for_delay(part, now, max_delay));
        });
        return longest;
    }

    void reserve(State& state, std::chrono::nanoseconds now, std::uint64_t cost) const
        requires(GrowingPolicy<Policies> || ...) {
        for_each(state, [&](const auto& policy, auto& part) { sluice::reserve(policy, part, now, cost); });
    }

    std::chrono::nanoseconds lease_end(std::chrono::nanoseconds at) const noexcept
        requires(LeasablePolicy<Policies>&&...) {
        return std::apply(
            [&](const auto&... policy) {
                auto first = std::chrono::nanoseconds::max();
                ((first = std::min(first, policy.lease_end(at))), ...);
                return first;
            },
            policies_);
    }

    /// Those of the parts, one after the other.
    auto encode(const State& state) const noexcept requires(StateCodec<Policies>&&...) {
        std::array<std::int64_t, (state_integers<Policies> + ...)> integers{};
        auto next = integers.begin();
        for_each(state, [&](const auto& policy, const auto& part) {
            const auto some = policy.encode(part);
            next = std::copy(some.begin(), some.end(), next);
        });
        return integers;
    }
    State decode(const auto& integers) const noexcept requires(StateCodec<Policies>&&...) {
        State state;
        auto next = integers.begin();
        for_each(state, [&]<class P>(const P& policy, auto& part) {
            std::array<std::int64_t, state_integers<P>> some{};
            for (std::int64_t& integer : some) integer = *next++;
            part = policy.decode(some);
        });
        return state;
    }

    std::chrono::nanoseconds expires_at(const State& state) const noexcept {
        std::chrono::nanoseconds latest = std::chrono::nanoseconds::min();
        for_each(state,
                 [&](const auto& policy, const auto& part) { latest = std::max(latest, policy.expires_at(part)); });
        return latest;
    }

private:
    template <class States, class Visit>
    constexpr void for_each(States& states, Visit visit) const {
        [&]<std::size_t... I>(std::index_sequence<I...>) { (visit(std::get<I>(policies_), std::get<I>(states)), ...); }
        (std::index_sequence_for<Policies...>{});
    }

    // Objects and not lambdas, which could not be forced inline.
    struct StepState {
        std::chrono::nanoseconds now;
        std::uint64_t cost;
        [[gnu::always_inline]] Decision operator()(const auto& policy, auto& part) const noexcept {
            return policy.step(part, now, cost);
        }
    };
    struct StepWord {
        std::chrono::nanoseconds now;
        std::uint64_t cost;
        [[gnu::always_inline]] Decision operator()(const auto& policy, std::uint64_t& word) const noexcept {
            return policy.step_word(word, now, cost);
        }
    };

    /// Steps copies of the parts, and takes them over where all of them allow.
    template <class Parts, class Step>
    [[gnu::always_inline]] Decision step_copies(Parts& parts, Step step) const noexcept {
        return step_copies(parts, step, std::index_sequence_for<Policies...>{});
    }
    template <class Parts, class Step, std::size_t... I>
    [[gnu::always_inline]] Decision step_copies(Parts& parts, Step step, std::index_sequence<0, I...>) const noexcept {
        Parts after = parts;
        // One object on its way to the caller: a copy would wait for the stores of its members.
        Decision whole = step(std::get<0>(policies_), std::get<0>(after));
        if (whole.allowed && (add_allowed(whole, step(std::get<I>(policies_), std::get<I>(after))) && ...)) [[likely]] {
            parts = after;
        } else {
            Parts denied = parts;  // not `parts`, whose address would keep the usual step from having it in registers
            ::new (static_cast<void*>(&whole)) Decision(deny(denied, step));
            parts = denied;
        }
        return whole;
    }
    /// False if this one denies.
    [[gnu::always_inline]] static bool add_allowed(Decision& whole, const Decision& one) noexcept {
        if (!one.allowed) return false;
        if (one.remaining < whole.remaining) whole.limit = one.limit;
        whole.remaining = std::min(whole.remaining, one.remaining);
        whole.reset_after = std::max(whole.reset_after, one.reset_after);
        whole.delay = std::max(whole.delay, one.delay);
        return true;
    }

    /// Who denies writes at most what a clock that was set back makes necessary; the others stay as they are.
    template <class Parts, class Step>
    [[gnu::noinline]] Decision deny(Parts& parts, Step step) const noexcept {
        const Parts before = parts;
        bool is_undone = false;  // what a part leaves undone on its word, all do
        Decision whole = combine(parts, [&](const auto& policy, auto& part) {
            auto stepped = part;
            Decision one = step(policy, stepped);
            if (one.allowed) {
                stepped = part;
                ::new (static_cast<void*>(&one)) Decision(Step{step.now, 0}(policy, stepped));
            } else {
                is_undone = is_undone || one.retry_after.count() == 0;
                part = stepped;
            }
            return one;
        });
        if (is_undone && !std::is_same_v<Parts, State>) {
            parts = before;
            whole = Decision{};
        }
        return whole;
    }

    /// One decision out of those that `decide` makes with each part.
    template <class Parts, class Decide>
    [[gnu::always_inline]] Decision combine(Parts& parts, Decide decide) const noexcept {
        return combine(parts, decide, std::index_sequence_for<Policies...>{});
    }
    template <class Parts, class Decide, std::size_t... I>
    [[gnu::always_inline]] Decision combine(Parts& parts, Decide& decide, std::index_sequence<0, I...>) const noexcept {
        Decision whole = decide(std::get<0>(policies_), std::get<0>(parts));
        (merge(whole, decide(std::get<I>(policies_), std::get<I>(parts))), ...);
        if (!whole.allowed) whole.delay = {};
        return whole;
    }
    [[gnu::always_inline]] static void merge(Decision& whole, const Decision& one) noexcept {
        // Waits are 0 where a part allows, so the longest decides among denials; else the least remaining does.
        const bool binds = one.retry_after != whole.retry_after
                               ? one.retry_after > whole.retry_after
                               : whole.allowed && one.allowed && one.remaining < whole.remaining;
        if (binds) whole.limit = one.limit;
        whole.allowed = whole.allowed && one.allowed;
        whole.retry_after = std::max(whole.retry_after, one.retry_after);
        whole.remaining = std::min(whole.remaining, one.remaining);
        whole.reset_after = std::max(whole.reset_after, one.reset_after);
        whole.delay = std::max(whole.delay, one.delay);
    }

    std::tuple<Policies...> policies_;
};

template <Policy... Policies>
AllOf<Policies...> share_of(const AllOf<Policies...>& policy, std::uint32_t instances) noexcept {
    return std::apply([&](const auto&... part) { return AllOf<Policies...>{share_of(part, instances)...}; },
                      policy.policies());
}

}  // namespace sluice

#endif
