// SPDX-License-Identifier: MIT
#ifndef SLUICE_TESTS_SUPPORT_RANDOM_HPP
#define SLUICE_TESTS_SUPPORT_RANDOM_HPP

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <random>

// Random cases that can be repeated: every test that uses them prints its seed, and SLUICE_SEED sets it.

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
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

class Random {
public:
    explicit Random(const char* what) {
        const char* given = std::getenv("SLUICE_SEED");
        const std::uint64_t seed = given ? std::strtoull(given, nullptr, 10) : std::random_device{}();
        std::cout << what << ": seed " << seed << '\n';
        engine_.seed(seed);
    }

    /// Any of the 2^64 values.
    std::uint64_t bits() { return engine_(); }

    /// Uniform in [low, high].
    template <class T>
    T between(T low, T high) {
        return std::uniform_int_distribution<T>{low, high}(engine_);
    }

    /// In [low, high] for 1 <= low, every order of magnitude as likely as any other.
    template <class T>
    T magnitude(T low, T high) {
        const int least = bit_length(static_cast<std::uint64_t>(low));
        const int most = bit_length(static_cast<std::uint64_t>(high));
        const int length = between(least, most);
        const auto floor = static_cast<T>(std::uint64_t{1} << (length - 1));
        const auto top = static_cast<T>(((std::uint64_t{1} << (length - 1)) - 1) * 2 + 1);
        return between(floor < low ? low : floor, top > high ? high : top);
    }

    bool one_in(unsigned n) { return engine_() % n == 0; }

    template <class... T>
    auto pick(T... choices) {
        const std::common_type_t<T...> all[] = {choices...};
        return all[static_cast<std::size_t>(engine_() % sizeof...(T))];
    }

private:
    static int bit_length(std::uint64_t n) {
        int bits = 0;
        for (; n != 0; n >>= 1) ++bits;
        return bits;
    }

    std::mt19937_64 engine_;
};

/// How many random cases to run: all of them, or a part of them under a sanitizer.
inline int cases(int all) {
    const int run = slow_build ? all / 5 : all;
    std::cout << run << " of " << all << " random cases\n";
    return run;
}

#endif
