// SPDX-License-Identifier: MIT

#include <atomic>
#include <cstdint>
#include <limits>
#include <type_traits>

#include <sluice/units.hpp>

#include "support/catch.hpp"

using sluice::Units;

TEST_CASE("units are made from any integral type") {
    CHECK(Units{7}.count() == 7);
    CHECK(Units{short{7}} == Units{std::uint64_t{7}});
    CHECK(Units{std::numeric_limits<std::uint64_t>::max()}.count() == std::numeric_limits<std::uint64_t>::max());
    CHECK_FALSE(Units{std::numeric_limits<std::uint64_t>::max()}.is_negative());
    CHECK_FALSE(std::is_convertible_v<bool, Units>);
    CHECK_FALSE(std::is_convertible_v<double, Units>);
    CHECK_FALSE(std::is_convertible_v<const char*, Units>);
    enum Cost { cheap = 1, dear = 5 };
    CHECK(Units{dear}.count() == 5);
    const std::atomic<int> shared{7};
    CHECK(Units{shared}.count() == 7);
#if defined(__SIZEOF_INT128__)
    using Wide = sluice::detail::int128;
    if constexpr (sluice::detail::Integer<Wide>) CHECK(Units{Wide{1} << 64}.count() == ~std::uint64_t{0});
#endif
}

TEST_CASE("negative units stay negative") {
    CHECK(Units{-1}.is_negative());
    CHECK(Units{std::numeric_limits<std::int64_t>::min()}.is_negative());
    CHECK(Units{static_cast<signed char>(-1)}.count() == 0);
    CHECK_FALSE(Units{0}.is_negative());
}
