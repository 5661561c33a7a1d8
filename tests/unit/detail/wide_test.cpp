// SPDX-License-Identifier: MIT

#include <cstdint>
#include <type_traits>

#include <sluice/detail/int128.hpp>
#include <sluice/detail/wide.hpp>

#include "support/catch.hpp"
#include "support/random.hpp"

using sluice::detail::Wide;

TEST_CASE("a 128-bit integer where the compiler has none") {
    using Unsigned = Wide<false>;
    using Signed = Wide<true>;
    constexpr auto most = ~std::uint64_t{0};
    STATIC_REQUIRE((Unsigned{most} * most >> 64) == most - 1);  // (2^64 - 1)^2 = (2^64 - 2) 2^64 + 1
    STATIC_REQUIRE(static_cast<std::uint64_t>(Unsigned{most} * most) == 1);
    STATIC_REQUIRE((Unsigned{1} << 127) / 3 == (Unsigned{0x2aaa'aaaa'aaaa'aaaa} << 64) + 0xaaaa'aaaa'aaaa'aaaa);
    STATIC_REQUIRE((Unsigned{1} << 127) % 3 == 2);
    STATIC_REQUIRE(Unsigned{5} / 7 == 0);
    STATIC_REQUIRE(Signed{-7} / 2 == -3);
    STATIC_REQUIRE(Signed{-7} % 2 == -1);
    STATIC_REQUIRE(-Signed{7} < Signed{-6});
    STATIC_REQUIRE(Signed{-1} < 0);
    STATIC_REQUIRE(Unsigned{Signed{-1}} > most);
    STATIC_REQUIRE(static_cast<std::int64_t>(Signed{-5}) == -5);
    STATIC_REQUIRE_FALSE(std::is_convertible_v<Signed, std::int64_t>);
}

#if defined(__SIZEOF_INT128__)

namespace {

/// A number of any length, with long runs of equal bits now and then.
sluice::detail::uint128 any_number(Random& random) {
    const auto number = sluice::detail::uint128{random.bits()} << 64 | random.bits();
    const auto shift = random.bits() % 128;
    return random.bits() % 2 == 0 ? number >> shift : (sluice::detail::uint128{1} << shift) - random.bits() % 3;
}

/// Whether the class gives what the compiler's integers give. Sums and products are those of unsigned ones, whose bits are the
/// same and which may overflow.
template <bool is_signed, class Native>
bool agrees(sluice::detail::uint128 a, sluice::detail::uint128 b, int shift) {
    using W = Wide<is_signed>;
    const auto wide = [](auto n) {
        const auto bits = static_cast<sluice::detail::uint128>(n);
        return W{(Wide<false>{static_cast<std::uint64_t>(bits >> 64)} << 64) + static_cast<std::uint64_t>(bits)};
    };
    const W x = wide(a), y = wide(b);
    const auto c = static_cast<Native>(a), d = static_cast<Native>(b);
    bool same = x + y == wide(a + b) && x - y == wide(a - b) && x * y == wide(a * b) && -x == wide(0 - a) &&
                (x << shift) == wide(a << shift) && (x < y) == (c < d) && (x <= y) == (c <= d) &&
                (x == y) == (c == d) && static_cast<std::int32_t>(x) == static_cast<std::int32_t>(c);
    const bool overflows = is_signed && b + 1 == 0;
    if (b != 0 && !overflows) same = same && x / y == wide(c / d) && x % y == wide(c % d);
    if constexpr (!is_signed) same = same && (x >> shift) == wide(a >> shift);
    return same;
}

}  // namespace

TEST_CASE("a 128-bit integer computes as the compiler's does") {
    Random random{"wide"};
    const int count = cases(200'000);
    for (int i = 0; i < count; ++i) {
        const auto a = any_number(random), b = any_number(random);
        const auto shift = static_cast<int>(random.bits() % 128);
        if (agrees<false, sluice::detail::uint128>(a, b, shift) && agrees<true, sluice::detail::int128>(a, b, shift))
            continue;
        FAIL(static_cast<std::uint64_t>(a >> 64)
             << ' ' << static_cast<std::uint64_t>(a) << ", " << static_cast<std::uint64_t>(b >> 64) << ' '
             << static_cast<std::uint64_t>(b) << ", " << shift);
    }
}

#endif
