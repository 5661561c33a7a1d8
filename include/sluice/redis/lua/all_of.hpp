// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_LUA_ALL_OF_HPP
#define SLUICE_REDIS_LUA_ALL_OF_HPP

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include <sluice/policies/all_of.hpp>
#include <sluice/redis/redis_policy.hpp>

namespace sluice {

/// One key for each part, all in one hash slot; the script looks at all before it writes any.
template <class... Policies>
requires(detail::redis::ScriptedPolicy<Policies>&&...) struct RedisPolicy<AllOf<Policies...>> {
    using All = AllOf<Policies...>;
    static constexpr std::size_t keys = (RedisPolicy<Policies>::keys + ...);
    static constexpr std::array<std::size_t, 1> values{(RedisPolicy<Policies>::values[0] + ...)};
    static_assert(keys <= 9, "sluice: RedisStore runs an AllOf of nine policies at most");

    static constexpr std::array<std::array<detail::redis::ScriptPart, keys>, 1> parts = [] {
        std::array<std::array<detail::redis::ScriptPart, keys>, 1> all{};
        std::size_t count = 0;
        const auto append = [&](const auto& more) {
            for (std::size_t i = 0; i != more.size(); ++i) all[0][count++] = more[i];
        };
        (append(RedisPolicy<Policies>::parts[0]), ...);
        return all;
    }();

    static constexpr std::size_t variant(const All&) noexcept { return 0; }
    static std::string_view problem(const All& policy) {
        std::string_view first;
        for_each(policy, [&]<class P>(const P& part) {
            if (first.empty()) first = RedisPolicy<P>::problem(part);
        });
        return first;
    }

    static void arguments(const All& policy, std::size_t, std::int64_t min_life_ms, detail::redis::Arguments& out) {
        for_each(policy, [&]<class P>(const P& part) { RedisPolicy<P>::arguments(part, 0, min_life_ms, out); });
    }

    static void bounds(const All& policy, std::chrono::nanoseconds max_delay, detail::redis::Arguments& out) {
        for_each(policy, [&]<class P>(const P& part) { RedisPolicy<P>::bounds(part, max_delay, out); });
    }

    using View = AllOf<
        std::remove_cvref_t<decltype(RedisPolicy<Policies>::at_server_resolution(std::declval<const Policies&>()))>...>;
    static View at_server_resolution(const All& policy) {
        return std::apply(
            [](const auto&... part) { return View{RedisPolicy<Policies>::at_server_resolution(part)...}; },
            policy.policies());
    }
    /// Only for an AllOf of one policy: such a reply carries no time.
    static std::chrono::nanoseconds now(const All& policy, std::size_t,
                                        const std::int64_t* answer) requires(sizeof...(Policies) == 1 && keys == 1) {
        return std::apply([&]<class P>(const P& part) { return RedisPolicy<P>::now(part, 0, answer); },
                          policy.policies());
    }
    static typename View::State state(const All& policy, std::size_t, const std::int64_t* answer,
                                      std::chrono::nanoseconds now) {
        const auto next = [&]<class P>(const P& part) {
            const auto* const mine = std::exchange(answer, answer + RedisPolicy<P>::values[0]);
            return RedisPolicy<P>::state(part, 0, mine, now);
        };
        // Braces, because they are evaluated from left to right.
        return std::apply([&](const auto&... part) { return typename View::State{next(part)...}; }, policy.policies());
    }

private:
    template <class Visit>
    static void for_each(const All& policy, Visit visit) {
        std::apply([&](const auto&... part) { (visit(part), ...); }, policy.policies());
    }
};

}  // namespace sluice

#endif
