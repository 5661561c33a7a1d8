// SPDX-License-Identifier: MIT
#include "support/catch.hpp"

#include <filesystem>
#include <string>
#include <vector>

#include <sluice/http/json/rules.hpp>
#include <sluice/sluice.hpp>

// docs/rules.schema.json is held against the same files.
TEST_CASE("rules files are taken or refused as their schema says", "[http][json][files]") {
    const auto folder = std::filesystem::path{__FILE__}.parent_path() / "files";
    int good = 0;
    int bad = 0;
    for (const auto& entry : std::filesystem::directory_iterator{folder}) {
        const std::string file = entry.path().string();
        INFO(file);
        const auto load = [&] { static_cast<void>(sluice::http::load_rules(file, sluice::http::MemoryLimiters{})); };
        if (entry.path().filename().string().substr(0, 5) == "good-") {
            CHECK_NOTHROW(load());
            ++good;
        } else {
            CHECK_THROWS_AS(load(), sluice::http::RulesError);
            ++bad;
        }
    }
    CHECK(good >= 2);
    CHECK(bad >= 20);
}
