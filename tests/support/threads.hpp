// SPDX-License-Identifier: MIT
#ifndef SLUICE_TESTS_SUPPORT_THREADS_HPP
#define SLUICE_TESTS_SUPPORT_THREADS_HPP

#include <sluice/testing/detail/threads.hpp>

using sluice::detail::conformance::run_threads;

#endif
