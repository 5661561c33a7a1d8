// SPDX-License-Identifier: MIT
#ifndef SLUICE_TESTS_SUPPORT_CATCH_HPP
#define SLUICE_TESTS_SUPPORT_CATCH_HPP

#include <string>

// Catch2, whichever of its two layouts is installed.
#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>

using Catch::Approx;

inline auto contains_text(const std::string& text) { return Catch::Matchers::ContainsSubstring(text); }
#else
#include <catch2/catch.hpp>

inline auto contains_text(const std::string& text) { return Catch::Matchers::Contains(text); }
#pragma GCC poison Contains  // is something else in Catch2 3: tests that say it would not compile there
#endif

#endif
