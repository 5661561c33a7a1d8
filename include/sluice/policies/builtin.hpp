// SPDX-License-Identifier: MIT
#ifndef SLUICE_POLICIES_BUILTIN_HPP
#define SLUICE_POLICIES_BUILTIN_HPP

#include <type_traits>

#include <sluice/policies/all_of.hpp>
#include <sluice/policies/fixed_window.hpp>
#include <sluice/policies/leaky_bucket.hpp>
#include <sluice/policies/sliding_window.hpp>
#include <sluice/policies/sliding_window_counter.hpp>
#include <sluice/policies/token_bucket.hpp>

namespace sluice {

/// A list of types. `Apply` makes another template of them, as in BuiltinPolicies::Apply<std::variant>; `any` tells whether
/// f(std::type_identity<T>{}) is true for one of them, and stops there.
template <class... T>
struct TypeList {
    template <template <class...> class Template>
    using Apply = Template<T...>;

    template <class F>
    static constexpr bool any(F f) {
        return (f(std::type_identity<T>{}) || ...);
    }
};

/// Every policy that decides by itself; AllOf combines them. The one list: all others are made of it.
using BuiltinPolicies = TypeList<TokenBucket, LeakyBucket, FixedWindow, SlidingWindow, SlidingWindowCounter>;

}  // namespace sluice

#endif
