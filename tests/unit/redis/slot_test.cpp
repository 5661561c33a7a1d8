// SPDX-License-Identifier: MIT

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <sluice/redis/wire/encoded_keys.hpp>
#include <sluice/redis/wire/key.hpp>
#include <sluice/redis/wire/script.hpp>
#include <sluice/redis/wire/sha1.hpp>
#include <sluice/redis/wire/slot.hpp>

#include "support/catch.hpp"

using sluice::detail::redis::crc16;
using sluice::detail::redis::EncodedKeys;
using sluice::detail::redis::hash_tag;
using sluice::detail::redis::key_prefix;
using sluice::detail::redis::slot_of;

TEST_CASE("CRC16 is that of XMODEM") {
    CHECK(crc16("") == 0);
    CHECK(crc16("123456789") == 0x31C3);
    CHECK(crc16("A") == 0x58E5);
    CHECK(crc16(std::string_view{"\0", 1}) == 0);
    CHECK(crc16("\xFF") == 0x1EF0);
}

TEST_CASE("SHA-1 is that of FIPS 180-4, by which a server knows a script") {
    using sluice::detail::redis::sha1_hex;
    CHECK(sha1_hex("") == "da39a3ee5e6b4b0d3255bfef95601890afd80709");
    CHECK(sha1_hex("abc") == "a9993e364706816aba3e25717850c26c9cd0d89d");
    CHECK(sha1_hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq") ==
          "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
    CHECK(sluice::detail::redis::Script{"return 1"}.by_sha ==
          "$7\r\nEVALSHA\r\n$40\r\ne0e1f9fabfc9d4800c877a703b823ac0578ff8db\r\n");
}

TEST_CASE("slots are those that CLUSTER KEYSLOT tells") {  // asked of Redis 7.0
    CHECK(slot_of("foo") == 12182);
    CHECK(slot_of("bar") == 5061);
    CHECK(slot_of("hello") == 866);
    CHECK(slot_of("a") == 15495);
    CHECK(slot_of("{a}b") == 15495);
    CHECK(slot_of("x{a}y{b}") == 15495);
    CHECK(slot_of("{}a") == 10875);
    CHECK(slot_of("{a") == 10276);
    CHECK(slot_of("{{a}}") == 10276);
    CHECK(slot_of("") == 0);
}

TEST_CASE("a hash tag is what stands between the first braces, unless that is nothing") {
    CHECK(hash_tag("user:{42}:x") == "42");
    CHECK(hash_tag("}{42}") == "42");
    CHECK(hash_tag("{}{42}") == "{}{42}");
    CHECK(hash_tag("{42") == "{42");
    CHECK(hash_tag("4}2{") == "4}2{");
    CHECK(hash_tag("{4{2}}") == "4{2");
}

TEST_CASE("all keys of a decision lie in one slot, and a user's braces choose none") {
    const auto slots = [](std::string_view prefix, std::size_t parts, std::string_view user_key) {
        const std::array keys{user_key};
        const EncodedKeys encoded{key_prefix(prefix, "api", 7, parts > 1), parts, keys, sluice::Operation::consume, 1};
        std::vector<std::uint16_t> found;
        for (std::string_view rest = encoded.keys(); !rest.empty();) {
            const auto end = rest.find("\r\n");
            const auto size = std::stoul(std::string{rest.substr(1, end - 1)});
            found.push_back(slot_of(rest.substr(end + 2, size)));
            rest.remove_prefix(end + 4 + size);
        }
        CHECK(found.size() == parts);
        CHECK(encoded.slot() == found.front());
        return found;
    };
    for (const std::string_view prefix : {"sluice", "{limits}", "a{b", "a}b", "a}{b", ""}) {
        for (const std::string_view key : {"user", "{a}", "{", "}", "{}", "}{x}", "a}0", ""}) {
            for (const auto slot : slots(prefix, 3, key)) CHECK(slot == slots(prefix, 3, key).front());
        }
    }
    CHECK(slots("sluice", 1, "{a}1") != slots("sluice", 1, "{a}2"));
    CHECK(slots("sluice", 2, "}{a}1") != slots("sluice", 2, "}{a}2"));
    CHECK(slots("{limits}", 1, "1") == slots("{limits}", 1, "2"));
}
