// SPDX-License-Identifier: MIT
#include "support/catch.hpp"

#include <map>
#include <random>
#include <string>
#include <vector>

#include <sluice/http/rules/key.hpp>

using sluice::http::Key;

TEST_CASE("parts are joined readably", "[http][key]") {
    CHECK(Key{}.view().empty());
    CHECK(Key{}.add("user", "42").view() == "user:42");
    CHECK(Key{}.add("user", "42").add("route", "search").view() == "user:42|route:search");
    CHECK(Key{}.add("ip", "2001:db8::1").view() == "ip:2001:db8::1");
    CHECK(Key{}.add("user", "").add("ip", "").view() == "user:|ip:");
}

TEST_CASE("one part cannot be forged into two", "[http][key]") {
    CHECK(Key{}.add("user", "1|route:admin").view() == "user:1%7Croute:admin");
    CHECK(Key{}.add("user", "1%7Croute:admin").view() == "user:1%257Croute:admin");
    CHECK(Key{}.add("user", "1|route:admin").view() != Key{}.add("user", "1").add("route", "admin").view());
}

TEST_CASE("long keys are kept whole", "[http][key]") {
    for (const std::size_t size : {249U, 250U, 251U, 252U, 1000U, 65536U}) {
        const std::string value(size, 'x');
        const Key key = Key{}.add("user", value);
        CHECK(key.view() == "user:" + value);
        const Key copy = key;
        CHECK(copy.view() == key.view());
    }
    const std::string bars(200, '|');
    CHECK(Key{}.add("a", bars).view().size() == 602);
}

TEST_CASE("keys take any bytes", "[http][key]") {
    const std::string bytes{"\0\xff\r\n{}", 6};
    CHECK(Key{}.add("user", bytes).view() == "user:" + bytes);
}

TEST_CASE("different parts never make one key", "[http][key][property]") {
    const auto seed = std::random_device{}();
    INFO("seed " << seed);
    std::mt19937 random{seed};
    const std::vector<std::string> alphabet{"a", "|", "%", ":", "7C", "25", "%7C", "b:", "|b:", ""};
    const std::vector<std::string> labels{"a", "b"};
    std::map<std::string, std::vector<std::string>> seen;
    for (int i = 0; i < 200'000; ++i) {
        std::vector<std::string> parts;
        Key key;
        for (auto n = 1 + random() % 3; n > 0; --n) {
            const auto& label = labels[random() % labels.size()];
            std::string value;
            for (auto m = random() % 4; m > 0; --m) value += alphabet[random() % alphabet.size()];
            key.add(label, value);
            parts.push_back(label);
            parts.push_back(value);
        }
        const auto [found, added] = seen.try_emplace(std::string{key.view()}, parts);
        if (!added && found->second != parts) FAIL("two meanings of " << key.view());
    }
    CHECK(seen.size() > 1000);
}
