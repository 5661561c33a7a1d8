// SPDX-License-Identifier: MIT
#include <cstdint>
#include <set>

#include <sluice/detail/entropy.hpp>

#include "support/catch.hpp"

TEST_CASE("random words have all their bits and do not repeat") {
    std::set<std::uint64_t> words;
    std::uint64_t ones = 0;
    std::uint64_t zeros = 0;
    for (int i = 0; i != 100; ++i) {
        const std::uint64_t word = sluice::detail::random_word();
        words.insert(word);
        ones |= word;
        zeros |= ~word;
    }
    CHECK(words.size() == 100);
    CHECK(ones == ~std::uint64_t{0});
    CHECK(zeros == ~std::uint64_t{0});
}
