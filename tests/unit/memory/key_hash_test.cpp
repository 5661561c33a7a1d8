// SPDX-License-Identifier: MIT

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <unordered_set>
#include <vector>

#include <sluice/memory/detail/key_hash.hpp>

#include "support/catch.hpp"
#include "support/random.hpp"

using sluice::detail::KeyHash;
using sluice::detail::SipHash;

TEST_CASE("SipHash-1-3 is what its authors and others compute") {
    // Key bytes 00 .. 0f and messages of bytes 00 01 02 ..., from the test vectors of other implementations.
    if (std::endian::native != std::endian::little) return;
    const SipHash hash{0x0706050403020100, 0x0f0e0d0c0b0a0908};
    std::string message;
    CHECK(hash(0, message) == 0xabac0158050fc4dc);
    message.push_back('\0');
    CHECK(hash(0, message) == 0xc9f49bf37d57ca93);
}

TEST_CASE("keys that differ in length, in one byte or in scope differ in hash") {
    const KeyHash hash;
    std::unordered_set<std::uint64_t> seen;
    std::size_t expected = 0;
    const auto add = [&](std::uint64_t scope, const std::string& key) {
        ++expected;
        seen.insert(hash(scope, key));
    };
    for (std::size_t length = 0; length != 80; ++length) {
        const std::string zeros(length, '\0');
        add(1, zeros);
        add(1'000'000, zeros);  // scopes are hashes themselves, never close to each other
        add(1, zeros + "x");    // differs from those of the next length, which are zeros
        for (std::size_t i = 0; i + 1 < length; ++i) {
            for (const char c : {'\1', '\x80'}) {
                std::string key = zeros;
                key[i] = c;
                add(1, key);
            }
        }
    }
    CHECK(seen.size() == expected);
}

TEST_CASE("random keys hardly ever meet, and their hashes fill the range") {
    Random random{"hash"};
    const int count = cases(200'000);
    const KeyHash hash;
    std::unordered_set<std::uint64_t> seen;
    std::set<std::string> keys;
    std::uint64_t any = 0;
    std::uint64_t all = ~std::uint64_t{0};
    for (int i = 0; i < count; ++i) {
        std::string key(random.between<std::size_t>(0, 40), '\0');
        for (char& c : key) c = static_cast<char>(random.between(0, 3));
        if (!keys.insert(key).second) continue;
        const auto value = hash(7, key);
        seen.insert(value);
        any |= value;
        all &= value;
    }
    CHECK(seen.size() == keys.size());
    CHECK(any == ~std::uint64_t{0});
    CHECK(all == 0);
}

// Without its last step the hash is linear: keys that count up get hashes in arithmetic progression, and the slots of
// many seeds come out crowded or empty.
TEST_CASE("keys that count up are spread evenly, whatever the seed") {
    constexpr std::size_t slots = 4'096, keys = 4 * slots;
    std::size_t fullest = 0;
    for (int seed = 0; seed != 100; ++seed) {
        const KeyHash hash;
        for (const std::uint64_t stride : {1U, 256U, 65'536U}) {
            std::vector<std::size_t> low(slots), high(slots);
            for (std::uint64_t i = 0; i != keys; ++i) {
                const std::uint64_t number = i * stride;
                const auto value = hash(7, {reinterpret_cast<const char*>(&number), sizeof number});
                const auto in_low = static_cast<std::size_t>(value >> 40) & (slots - 1);
                fullest = std::max({fullest, ++low[in_low], ++high[static_cast<std::size_t>(value >> 52)]});
            }
        }
    }
    CHECK(fullest < 28);  // 18 as a rule, over 30 without that step
}

TEST_CASE("every store hashes in a way of its own") {
    CHECK(KeyHash{}(0, "key") != KeyHash{}(0, "key"));
    CHECK(SipHash{}(0, "key") != SipHash{}(0, "key"));
    const KeyHash one;
    const KeyHash copy = one;
    CHECK(one(0, "key") == copy(0, "key"));
}
