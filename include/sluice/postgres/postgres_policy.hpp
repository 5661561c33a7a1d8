// SPDX-License-Identifier: MIT
#ifndef SLUICE_POSTGRES_POSTGRES_POLICY_HPP
#define SLUICE_POSTGRES_POSTGRES_POLICY_HPP

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <tuple>

#include <sluice/detail/saturate.hpp>
#include <sluice/detail/ticks.hpp>
#include <sluice/policies/all_of.hpp>
#include <sluice/policies/fixed_window.hpp>
#include <sluice/policies/leaky_bucket.hpp>
#include <sluice/policies/sliding_window.hpp>
#include <sluice/policies/sliding_window_counter.hpp>
#include <sluice/policies/token_bucket.hpp>
#include <sluice/policy.hpp>
#include <sluice/rate.hpp>

namespace sluice {

namespace detail::postgres {

/// What describes policies to the server, each text as an array's elements: for each policy the function that decides
/// on it (see sql/decide.hpp) and five numbers.
struct Parts {
    std::string kinds{};
    std::string numbers{};

    void add(std::string_view kind, std::uint64_t limit, std::uint64_t span, std::uint64_t per_unit = 0,
             std::uint64_t per_period = 0, std::int64_t bound = -1) {
        if (!kinds.empty()) kinds += ',';
        kinds += kind;
        for (const std::uint64_t number : {limit, span, per_unit, per_period}) {
            if (!numbers.empty()) numbers += ',';
            numbers += std::to_string(number);
        }
        numbers += ',' + std::to_string(bound);
    }
};

/// The numbers of a state that the server saw, taken one after the other; 0 where there are too few.
class Seen {
public:
    explicit Seen(std::span<const std::int64_t> numbers) noexcept : numbers_(numbers) {}

    std::int64_t next() noexcept { return next_ == numbers_.size() ? 0 : numbers_[next_++]; }

    /// A state of a policy whose function shows what the policy's codec makes of it.
    template <StateCodec P>
    typename P::State state(const P& policy) noexcept {
        std::array<std::int64_t, state_integers<P>> integers{};
        for (std::int64_t& integer : integers) integer = next();
        return policy.decode(integers);
    }

private:
    std::span<const std::int64_t> numbers_;
    std::size_t next_ = 0;
};

/// The longest delay that a request may get, of policies that have delays; for others it says nothing.
using MaxDelay = std::chrono::nanoseconds;

inline void add_bucket(Parts& parts, std::uint64_t capacity, const Rate& rate, std::int64_t bound = -1) {
    const detail::Ticks ticks{rate};
    parts.add("bucket", capacity, ticks.period_ns(), ticks.per_unit(), ticks.per_period(), bound);
}

template <Policy P>
void add_window(Parts& parts, std::string_view kind, const P& policy) {
    parts.add(kind, policy.limit(), static_cast<std::uint64_t>(policy.window().count()));
}

}  // namespace detail::postgres

/// How a policy runs in Postgres: specialised for each policy that can. The server answers with the state as it was
/// before the request, and the policy itself makes the Decision out of it.
///
///     static std::string_view problem(const P&);              // why it cannot, in the words of "a policy that"; or nothing
///     static void parts(const P&, detail::postgres::MaxDelay, detail::postgres::Parts&);   // may throw std::bad_alloc
///     static State state(const P&, detail::postgres::Seen&);          // the same
template <Policy P>
struct PostgresPolicy {};

namespace detail::postgres {

/// A policy that has a function in the database. Others are read, stepped here, and swapped, if they have a codec.
template <class P>
concept SqlPolicy = Policy<P> && requires(const P& policy, Parts& parts) {
    PostgresPolicy<P>::parts(policy, MaxDelay{}, parts);
};

}  // namespace detail::postgres

template <>
struct PostgresPolicy<TokenBucket> {
    static std::string_view problem(const TokenBucket&) noexcept { return {}; }
    static void parts(const TokenBucket& policy, detail::postgres::MaxDelay, detail::postgres::Parts& parts) {
        detail::postgres::add_bucket(parts, policy.capacity(), policy.refill());
    }
    static auto state(const TokenBucket& policy, detail::postgres::Seen& seen) { return seen.state(policy); }
};

template <>
struct PostgresPolicy<LeakyBucket> {
    static std::string_view problem(const LeakyBucket&) noexcept { return {}; }
    static void parts(const LeakyBucket& policy, detail::postgres::MaxDelay max_delay, detail::postgres::Parts& parts) {
        std::int64_t bound = -1;
        if (max_delay != detail::postgres::MaxDelay::max()) {
            const detail::Ticks ticks{policy.drain()};
            bound = detail::add(ticks.at(std::max(max_delay, detail::postgres::MaxDelay{0}).count()),
                                static_cast<std::int64_t>((policy.burst() - 1) * ticks.per_unit()));
        }
        detail::postgres::add_bucket(parts, policy.queue(), policy.drain(), bound);
    }
    static auto state(const LeakyBucket& policy, detail::postgres::Seen& seen) { return seen.state(policy); }
};

template <>
struct PostgresPolicy<FixedWindow> {
    static std::string_view problem(const FixedWindow&) noexcept { return {}; }
    static void parts(const FixedWindow& policy, detail::postgres::MaxDelay, detail::postgres::Parts& parts) {
        detail::postgres::add_window(parts, "fixed_window", policy);
    }
    static auto state(const FixedWindow& policy, detail::postgres::Seen& seen) { return seen.state(policy); }
};

template <>
struct PostgresPolicy<SlidingWindowCounter> {
    static std::string_view problem(const SlidingWindowCounter&) noexcept { return {}; }
    static void parts(const SlidingWindowCounter& policy, detail::postgres::MaxDelay, detail::postgres::Parts& parts) {
        detail::postgres::add_window(parts, "sliding_window_counter", policy);
    }
    static auto state(const SlidingWindowCounter& policy, detail::postgres::Seen& seen) { return seen.state(policy); }
};

/// The server tells three numbers of a log: its units, the time that has to leave before the request fits, and the
/// newest. Each admission writes the whole log anew: 2 ms of the server's time for 10,000 entries, 40 for 100,000, while
/// the key's row is locked. A log of so many units, all but the newest of the time that has to leave, decides as the real one does.
template <>
struct PostgresPolicy<SlidingWindow> {
    static constexpr std::uint64_t max_limit = 10'000;
    static std::string_view problem(const SlidingWindow& policy) noexcept {
        return policy.limit() > max_limit ? "remembers more than 10,000 admissions" : "";
    }
    static void parts(const SlidingWindow& policy, detail::postgres::MaxDelay, detail::postgres::Parts& parts) {
        detail::postgres::add_window(parts, "sliding_window", policy);
    }
    static SlidingWindow::State state(const SlidingWindow& policy, detail::postgres::Seen& seen) {
        const std::uint64_t units = detail::count_within(policy.limit(), seen.next());
        const std::int64_t leaving = seen.next();
        const std::int64_t newest = seen.next();
        SlidingWindow::State state;
        if (units == 0) return state;
        state.log.reserve(2, 2);
        if (units > 1) state.log.append(std::min(leaving, newest), units - 1);
        state.log.append(newest, 1);
        return state;
    }
};

template <Policy... Policies>
requires(detail::postgres::SqlPolicy<Policies>&&...) struct PostgresPolicy<AllOf<Policies...>> {
    static std::string_view problem(const AllOf<Policies...>& policy) noexcept {
        std::string_view first;
        std::apply(
            [&](const auto&... part) {
                ((first = first.empty() ? PostgresPolicy<Policies>::problem(part) : first), ...);
            },
            policy.policies());
        return first;
    }
    static void parts(const AllOf<Policies...>& policy, detail::postgres::MaxDelay max_delay,
                      detail::postgres::Parts& parts) {
        std::apply([&](const auto&... part) { (PostgresPolicy<Policies>::parts(part, max_delay, parts), ...); },
                   policy.policies());
    }
    static typename AllOf<Policies...>::State state(const AllOf<Policies...>& policy, detail::postgres::Seen& seen) {
        // Braces: evaluated from left to right, as the numbers come.
        return std::apply(
            [&](const auto&... part) {
                return typename AllOf<Policies...>::State{PostgresPolicy<Policies>::state(part, seen)...};
            },
            policy.policies());
    }
};

}  // namespace sluice

#endif
