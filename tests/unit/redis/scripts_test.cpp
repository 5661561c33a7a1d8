// SPDX-License-Identifier: MIT

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <span>
#include <string>
#include <string_view>

#include <sluice/redis.hpp>
#include <sluice/sluice.hpp>

#include "support/catch.hpp"

// The scripts as they are sent, in full, stand in golden/: to be read, and to see what a change does to them.
// SLUICE_WRITE_GOLDEN=1 and a run of this test write them anew.

namespace {

namespace fs = std::filesystem;

const fs::path golden = fs::path{__FILE__}.parent_path() / "golden";

void add(std::map<std::string, std::string>& all, const std::string& name,
         std::span<const sluice::detail::redis::ScriptPart> parts) {
    const sluice::detail::redis::ScriptFrame frame{parts, false};
    all[name + ".lua"] = frame.single();
    all[name + ".batch.lua"] = frame.batch();
}

template <sluice::Policy P>
void add_variants(std::map<std::string, std::string>& all, const std::string& name) {
    std::size_t variant = 0;
    all[name + ".settling.lua"] = sluice::detail::redis::SettlingFrame{sluice::RedisPolicy<P>::parts[0], false}.batch();
    for (const auto& parts : sluice::RedisPolicy<P>::parts) {
        add(all, variant == 0 ? name : name + ".variant" + std::to_string(variant), parts);
        ++variant;
    }
}

template <sluice::Policy First, sluice::Policy... Others>
void add_pairs(std::map<std::string, std::string>& all) {
    const auto pair = [&]<class Second>(const Second*) {
        const auto& parts = sluice::RedisPolicy<sluice::AllOf<First, Second>>::parts[0];
        const std::string name = std::string{"all_of."} + std::string{First::kind} + '.' + std::string{Second::kind};
        add(all, name, parts);
        all[name + ".settling.lua"] = sluice::detail::redis::SettlingFrame{parts, false}.batch();
    };
    pair(static_cast<First*>(nullptr));
    (pair(static_cast<Others*>(nullptr)), ...);
    if constexpr (sizeof...(Others) != 0) add_pairs<Others...>(all);
}

/// By file name. A LeakyBucket's scripts are a TokenBucket's.
std::map<std::string, std::string> scripts() {
    using namespace sluice;
    std::map<std::string, std::string> all;
    add_variants<TokenBucket>(all, "token_bucket");
    add_variants<FixedWindow>(all, "fixed_window");
    add_variants<SlidingWindow>(all, "sliding_window");
    add_variants<SlidingWindowCounter>(all, "sliding_window_counter");
    add_pairs<TokenBucket, FixedWindow, SlidingWindow, SlidingWindowCounter>(all);
    const sluice::detail::redis::ScriptFrame timed{RedisPolicy<TokenBucket>::parts[1], true};
    all["token_bucket.variant1.timed.lua"] = timed.single();
    return all;
}

std::string read(const fs::path& path) {
    std::ifstream file{path, std::ios::binary};
    return {std::istreambuf_iterator<char>{file}, {}};
}

}  // namespace

TEST_CASE("the scripts are those in the golden files") {
    const auto all = scripts();
    if (std::getenv("SLUICE_WRITE_GOLDEN") != nullptr) {
        fs::remove_all(golden);
        fs::create_directories(golden);
        for (const auto& [name, text] : all) std::ofstream{golden / name, std::ios::binary} << text;
    }
    for (const auto& [name, text] : all) {
        INFO(name);
        CHECK(text == read(golden / name));
    }
    std::size_t files = 0;
    for ([[maybe_unused]] const auto& file : fs::directory_iterator{golden}) ++files;
    CHECK(files == all.size());
}

TEST_CASE("the golden files are Lua 5.1") {
    if (std::system("command -v luac5.1 > /dev/null") != 0) {
        WARN("left out: there is no luac5.1 (Debian and Ubuntu: lua5.1)");
        return;
    }
    for (const auto& file : fs::directory_iterator{golden}) {
        INFO(file.path());
        CHECK(std::system(("luac5.1 -p '" + file.path().string() + "'").c_str()) == 0);
    }
}

TEST_CASE("a policy's own Lua is at most 60 lines, comments not counted") {
    const auto check = [](const auto& variants) {
        for (const auto& parts : variants) {
            std::size_t lines = 0;
            std::string_view text = parts[0].lua;
            while (!text.empty()) {
                const auto line = text.substr(0, text.find('\n'));
                text.remove_prefix(std::min(text.size(), line.size() + 1));
                if (!line.empty() && !line.starts_with("--")) ++lines;
            }
            INFO(parts[0].function << ": " << lines);
            CHECK(lines <= 60);
        }
    };
    check(sluice::RedisPolicy<sluice::TokenBucket>::parts);
    check(sluice::RedisPolicy<sluice::FixedWindow>::parts);
    check(sluice::RedisPolicy<sluice::SlidingWindow>::parts);
    check(sluice::RedisPolicy<sluice::SlidingWindowCounter>::parts);
}
