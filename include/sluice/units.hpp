// SPDX-License-Identifier: MIT
#ifndef SLUICE_UNITS_HPP
#define SLUICE_UNITS_HPP

#include <cstdint>

#include <sluice/detail/validate.hpp>

namespace sluice {

/// A cost, or what is given back: made from any integral type, not from bool or a fraction. A negative number does not
/// become a huge one: it is remembered as such, and a limiter refuses it with Errc::invalid_argument.
class Units {
public:
    template <detail::Integer I>
    constexpr Units(I count) noexcept
        : count_(count < 0 ? 0 : static_cast<std::uint64_t>(count)), is_negative_(count < 0) {}

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
