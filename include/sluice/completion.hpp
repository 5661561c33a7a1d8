// SPDX-License-Identifier: MIT
#ifndef SLUICE_COMPLETION_HPP
#define SLUICE_COMPLETION_HPP

#include <concepts>
#include <memory>
#include <utility>

#include <sluice/decision.hpp>

namespace sluice {

/// Who is told the Decision of a call that did not wait for it: called once, as done(Decision), and moved before. Must not
/// throw.
///
/// Optional: get_allocator(), with which memory for the call is obtained, and given back before done is called; and
/// is_abandoned() const noexcept -> bool, asked before the call is sent: true, and it is not sent, but completed with
/// Errc::cancelled.
template <class F>
concept Completion = std::move_constructible<F> && std::invocable<F, Decision>;

template <class F>
auto completion_allocator(const F& done) noexcept {
    if constexpr (requires { done.get_allocator(); }) {
        return done.get_allocator();
    } else {
        return std::allocator<void>{};
    }
}
template <class F>
using completion_allocator_t = decltype(completion_allocator(std::declval<const F&>()));

template <class F>
bool is_abandoned(const F& done) noexcept {
    if constexpr (requires { done.is_abandoned(); }) return done.is_abandoned();
    return false;
}

namespace detail {

/// For a completion that calls another one: passes on what is asked of it otherwise.
template <class F>
struct CompletionBefore {
    F done;

    auto get_allocator() const noexcept { return completion_allocator(done); }
    bool is_abandoned() const noexcept { return sluice::is_abandoned(done); }
};

}  // namespace detail

}  // namespace sluice

#endif
