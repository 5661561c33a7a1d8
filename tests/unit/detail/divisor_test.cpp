// SPDX-License-Identifier: MIT

#include <cstdint>
#include <limits>

#include <sluice/detail/divisor.hpp>

#include "support/catch.hpp"
#include "support/random.hpp"

using sluice::detail::Divisor;

TEST_CASE("a Divisor divides as the processor does") {
    Random random{"divisor"};
    const int count = cases(1'000'000);
    constexpr std::uint64_t most = (std::uint64_t{1} << 63) - 1;
    for (int i = 0; i < count; ++i) {
        const auto d = random.magnitude<std::uint64_t>(1, most);
        const Divisor divisor{d};
        const auto near = random.magnitude<std::uint64_t>(1, most / d) * d;  // quotients change here
        for (const auto n : {near, near - 1, random.magnitude<std::uint64_t>(1, most), most, std::uint64_t{0}}) {
            if (divisor.divide(n) != n / d) FAIL(n << " / " << d);
            if (n < most - d && divisor.divide_up(n) != n / d + (n % d != 0)) FAIL(n << " / " << d << ", up");
        }
        const auto signed_n = static_cast<std::int64_t>(random.bits());
        const auto signed_d = static_cast<std::int64_t>(d);
        const auto floor = signed_n / signed_d - (signed_n % signed_d < 0 ? 1 : 0);
        if (divisor.floor(signed_n) != floor) FAIL(signed_n << " / " << d << ", floor");
    }
    CHECK(Divisor{7}.value() == 7);
    CHECK(Divisor{std::uint64_t{1} << 63}.divide(most) == 0);
    CHECK(Divisor{1}.floor(std::numeric_limits<std::int64_t>::min()) == std::numeric_limits<std::int64_t>::min());
}
