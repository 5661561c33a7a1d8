// SPDX-License-Identifier: MIT
#ifndef SLUICE_TESTS_SUPPORT_THREADS_HPP
#define SLUICE_TESTS_SUPPORT_THREADS_HPP

#include <sluice/testing/detail/threads.hpp>

using sluice::detail::conformance::run_threads;

/// Calls story(), then end(), which joins threads, also where the story throws: else its message would be lost.
template <class Story, class End>
void run_then(Story story, End end) {
    try {
        story();
    } catch (...) {
        end();
        throw;
    }
    end();
}

#endif
