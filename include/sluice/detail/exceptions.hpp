// SPDX-License-Identifier: MIT
#ifndef SLUICE_DETAIL_EXCEPTIONS_HPP
#define SLUICE_DETAIL_EXCEPTIONS_HPP

#include <cstdio>
#include <cstdlib>
#include <utility>

#include <sluice/detail/cpp20.hpp>

// The one place that knows whether the language has exceptions. Without them (-fno-exceptions) what would be thrown is
// printed, and the program aborts.
namespace sluice::detail {

template <class Exception>
[[noreturn]] void throw_or_abort(Exception&& exception) {
#ifdef __cpp_exceptions
    throw std::forward<Exception>(exception);
#else
    std::fprintf(stderr, "%s\n", exception.what());
    std::abort();
#endif
}

/// What attempt() returns, or recover() if that throws anything. Both return the same type.
template <class Attempt, class Recover>
auto try_or(Attempt&& attempt, [[maybe_unused]] Recover&& recover) -> decltype(attempt()) {
#ifdef __cpp_exceptions
    try {
        return attempt();
    } catch (...) {
        return recover();
    }
#else
    return attempt();
#endif
}

}  // namespace sluice::detail

#endif
