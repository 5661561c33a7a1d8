// SPDX-License-Identifier: MIT
#ifndef SLUICE_TESTS_SUPPORT_CATCH_HPP
#define SLUICE_TESTS_SUPPORT_CATCH_HPP

// Catch2, whichever of its two layouts is installed.
#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
#else
#include <catch2/catch.hpp>
#endif

#endif
