// SPDX-License-Identifier: MIT
#ifndef SLUICE_UNITS_HPP
#define SLUICE_UNITS_HPP

#include <cstdint>
#include <type_traits>

#include <sluice/detail/validate.hpp>

namespace sluice {

/// A cost, or what is given back: made from any integral type, not from bool or a fraction. A negative number does not
/// become a huge one: it is remembered as such, and a limiter refuses it with Errc::invalid_argument.
class Units {
public:
    template <detail::Integer I>
    constexpr Units(I count) noexcept
        : count_(count < 0 ? 0 : detail::saturated_units(count)), is_negative_(count < 0) {}

    /// What converts to a number by itself: an unscoped enumerator, a std::atomic.
    template <class T>
    requires(!std::is_arithmetic_v<T> &&
             std::is_convertible_v<const T&, std::int64_t>) constexpr Units(const T& count) noexcept
        : Units(static_cast<std::int64_t>(count)) {}

    constexpr bool is_negative() const noexcept { return is_negative_; }
    /// 0 where they are negative.
    constexpr std::uint64_t count() const noexcept { return count_; }

    friend constexpr bool operator==(const Units&, const Units&) = default;

private:
    std::uint64_t count_;
    bool is_negative_;
};

}  // namespace sluice

#endif
