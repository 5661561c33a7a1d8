// SPDX-License-Identifier: MIT
#include "support/catch.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <sluice/metrics/registry.hpp>
#include <sluice/metrics/top_keys.hpp>
#include <sluice/sluice.hpp>

#include "support/random.hpp"

using sluice::metrics::Registry;
using sluice::metrics::TopKeys;

TEST_CASE("keys are counted exactly while there is room for all", "[metrics][top_keys]") {
    TopKeys keys{3};
    for (const char* key : {"a", "b", "a", "c", "a", "b"}) keys.add("l", key);
    const auto top = keys.top();
    REQUIRE(top.size() == 3);
    CHECK(top[0].key == "a");
    CHECK(top[0].count == 3);
    CHECK(top[1].key == "b");
    CHECK(top[2].count == 1);
    CHECK(top[0].error == 0);
    CHECK(keys.top(1).size() == 1);
    keys.add("other", "a");  // another limiter's key
    CHECK(keys.top()[0].limiter == "l");
    keys.clear();
    CHECK(keys.top().empty());
    for (const char* key : {"a", "b", "c", "c", "d"}) keys.add("l", key);  // as if it were new
    REQUIRE(keys.top().size() == 3);
    CHECK((keys.top()[0].key == "d" || keys.top()[0].key == "c"));
    CHECK(keys.top()[0].count == 2);
    CHECK((TopKeys::Entry{}.count == 0 && TopKeys::Entry{}.error == 0));
    CHECK_THROWS_AS(TopKeys{0}, std::invalid_argument);
}

TEST_CASE("a key with more than its share of the denials is always among them, and its count bounds the truth",
          "[metrics][top_keys]") {
    Random random{"top keys"};
    for (int round = 0; round < 20; ++round) {
        constexpr std::size_t capacity = 10;
        TopKeys keys{capacity};
        std::map<std::string, std::uint64_t> truth;
        std::uint64_t total = 0;
        for (int i = 0; i < 5000; ++i) {
            // Two heavy keys among 1,000 light ones.
            const auto draw = random.between(0, 9);
            const std::string key = draw < 2   ? "heavy"
                                    : draw < 4 ? "second"
                                               : "k" + std::to_string(random.between(0, 999));
            keys.add("l", key);
            ++truth[key];
            ++total;
        }
        std::map<std::string, TopKeys::Entry> found;
        std::uint64_t sum = 0;
        for (const auto& entry : keys.top(capacity)) {
            CHECK(entry.count >= truth[entry.key]);
            CHECK(entry.count - entry.error <= truth[entry.key]);
            sum += entry.count;
            found.emplace(entry.key, entry);
        }
        CHECK(sum == total);
        for (const auto& [key, count] : truth) {
            if (count > total / capacity) CHECK(found.count(key) == 1);
        }
    }
}

TEST_CASE("long keys are cut, and threads may add at once", "[metrics][top_keys]") {
    TopKeys keys{4};
    keys.add("l", std::string(1000, 'x'));
    CHECK(keys.top()[0].key == std::string(128, 'x'));
    keys.clear();
    std::vector<std::thread> threads;
    for (int t = 0; t < 3; ++t) {
        threads.emplace_back([&, t] {
            for (int i = 0; i < 1000; ++i) keys.add("l", std::to_string(t));
        });
    }
    for (auto& thread : threads) thread.join();
    for (const auto& entry : keys.top()) CHECK(entry.count == 1000);
}

TEST_CASE("a registry tracks denied keys where it is told to, and never as labels", "[metrics][top_keys]") {
    Registry registry;
    CHECK(registry.denied_keys() == nullptr);
    registry.track_denied_keys(10);
    const sluice::RateLimiter limiter{sluice::TokenBucket{1, sluice::per_hour(1)},
                                      {.name = "login", .observer = registry.limiter("login")}};
    for (int i = 0; i < 4; ++i) static_cast<void>(limiter.try_consume("ip:192.0.2.1"));
    const auto top = registry.denied_keys()->top();
    REQUIRE(top.size() == 1);
    CHECK(top[0].limiter == "login");
    CHECK(top[0].key == "ip:192.0.2.1");
    CHECK(top[0].count == 3);
    CHECK(registry.prometheus().find("192.0.2.1") == std::string::npos);
}

TEST_CASE("near the limit and the last reload are told", "[metrics]") {
    Registry registry;
    const sluice::RateLimiter limiter{sluice::FixedWindow{10, std::chrono::hours{24 * 365}},
                                      {.name = "l", .observer = registry.limiter("l")}};
    for (int i = 0; i < 12; ++i) static_cast<void>(limiter.try_consume("k"));
    const auto has = [&](const std::string& line) {
        return registry.prometheus().find(line + "\n") != std::string::npos;
    };
    CHECK(has("sluice_near_limit_total{limiter=\"l\"} 3"));  // 2, 1 and 0 left
    CHECK_FALSE(has("sluice_rules_last_reload_successful 0"));
    registry.reload_status().failed();
    CHECK(has("sluice_rules_last_reload_successful 0"));
    CHECK(has("sluice_rules_last_reload_success_timestamp_seconds 0"));
    registry.reload_status().succeeded();
    CHECK(has("sluice_rules_last_reload_successful 1"));
    CHECK(registry.reload_status().last_success().count() > 1.7e9);
}
