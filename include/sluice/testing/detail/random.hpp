// SPDX-License-Identifier: MIT
#ifndef SLUICE_TESTING_DETAIL_RANDOM_HPP
#define SLUICE_TESTING_DETAIL_RANDOM_HPP

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <random>
#include <type_traits>

namespace sluice::detail::conformance {

/// Random cases that a seed repeats.
class Random {
public:
    explicit Random(std::uint64_t seed) : engine_(seed) {}

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
        const auto length_of = [](T n) { return static_cast<int>(std::bit_width(static_cast<std::uint64_t>(n))); };
        const int length = between(length_of(low), length_of(high));
        const std::uint64_t least = std::uint64_t{1} << (length - 1);
        return between((std::max)(static_cast<T>(least), low), (std::min)(static_cast<T>((least - 1) * 2 + 1), high));
    }
    bool one_in(unsigned n) { return engine_() % n == 0; }
    template <class... T>
    auto pick(T... choices) {
        const std::common_type_t<T...> all[] = {choices...};
        return all[static_cast<std::size_t>(engine_() % sizeof...(T))];
    }

private:
    std::mt19937_64 engine_;
};

}  // namespace sluice::detail::conformance

#endif
