// SPDX-License-Identifier: MIT
#ifndef SLUICE_TESTS_SUPPORT_RANDOM_HPP
#define SLUICE_TESTS_SUPPORT_RANDOM_HPP

#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <random>

#include <sluice/testing/detail/random.hpp>

// Random cases that can be repeated: every test that uses them prints its seed, and SLUICE_SEED sets it.

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__SIZEOF_INT128__)
inline constexpr bool slow_build = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
inline constexpr bool slow_build = true;
#else
inline constexpr bool slow_build = false;
#endif
#else
inline constexpr bool slow_build = false;
#endif

class Random : public sluice::detail::conformance::Random {
public:
    explicit Random(const char* what) : sluice::detail::conformance::Random(seed_of(what)) {}

private:
    static std::uint64_t seed_of(const char* what) {
        const char* given = std::getenv("SLUICE_SEED");
        const std::uint64_t seed = given ? std::strtoull(given, nullptr, 10) : std::random_device{}();
        std::cout << what << ": seed " << seed << '\n';
        return seed;
    }
};

/// How many random cases to run: all of them, or a part of them under a sanitizer or on a 32-bit processor.
inline int cases(int all) {
    const int run = slow_build ? all / 5 : all;
    std::cout << run << " of " << all << " random cases\n";
    return run;
}

#endif
