// SPDX-License-Identifier: MIT
//
// Rules that are read when there is no memory: an error like all others, and nothing is changed. Requests that need none.
#include "support/catch.hpp"

#include <cstdint>
#include <cstdio>
#include <fstream>
#include <new>
#include <string>
#include <utility>

#include <unistd.h>

#include <sluice/http/guard.hpp>
#include <sluice/http/json/rules.hpp>
#include <sluice/metrics/registry.hpp>
#include <sluice/sluice.hpp>

#include "support/limited_memory.hpp"

using namespace sluice::http;

namespace {

enum class End { read, refused, no_memory_to_tell };

End load_with(std::int64_t allocations, const std::string& file, const LimiterFactory& make,
              sluice::metrics::Registry& registry) {
    auto end = End::read;
    limited_memory::left = allocations;
    try {
        static_cast<void>(load_rules(file, make, &registry));
    } catch (const RulesError&) {
        end = End::refused;
    } catch (const std::bad_alloc&) {
        end = End::no_memory_to_tell;
    }
    limited_memory::left = -1;
    return end;
}

}  // namespace

TEST_CASE("rules that are read without memory are refused, wherever it ran out", "[http][json]") {
    std::string name = "/tmp/sluice_rules_XXXXXX";
    const int file = ::mkstemp(name.data());
    REQUIRE(file >= 0);
    ::close(file);
    std::ofstream{name} << R"({"rules": [
        {"name": "login", "routes": ["/login", "/signin/*"], "methods": ["POST"],
         "limits": [{"name": "per-address-and-rule", "policy": {"kind": "token_bucket", "capacity": 5, "refill": "1/m"},
                     "key": ["address", "rule"], "on_failure": "deny"}],
         "exempt": {"networks": ["10.0.0.0/8"], "users": ["somebody-with-a-long-name"]}},
        {"name": "api", "routes": ["/api/**"], "tiers": [
            {"authenticated": true, "limits": [{"name": "user", "key": ["user"], "shared": false,
                "policy": {"kind": "sliding_window", "limit": 50, "window": "500ms"}}]},
            {"limits": [{"name": "all", "policy": {"kind": "leaky_bucket", "queue": 3, "drain": "1/5s"}}]}]}]})";
    sluice::metrics::Registry registry;
    const MemoryLimiters make{{.max_keys = 1000}};
    const auto without_rules = registry.prometheus();
    // With so few that even the error cannot be made there is no other way than to say so.
    const std::int64_t for_the_error = 16;
    std::int64_t refused = 0;
    for (std::int64_t allocations = 0;; ++allocations) {
        const auto end = load_with(allocations, name, make, registry);
        if (end == End::read) break;
        REQUIRE((end == End::refused || allocations < for_the_error));
        refused += end == End::refused ? 1 : 0;
        REQUIRE(allocations < 100'000);
    }
    CHECK(refused > 100);
    const std::string text = registry.prometheus();  // what it says of reloads comes last, and stays
    CHECK(text.substr(0, text.find("# HELP sluice_rules_last_reload")) == without_rules);
    std::remove(name.c_str());
}

TEST_CASE("a guarded request of a known client allocates nothing", "[http][json]") {
    Rule rule{.name = "api", .routes = {RoutePattern{"/api/*"}}};
    rule.tiers = {{.limits = {{sluice::RateLimiter{sluice::TokenBucket{2, sluice::per_day(1)}, {.name = "api"}},
                               {KeyPart::address, KeyPart::rule}}}}};
    const HeaderOptions both{HeaderStyle::both};
    const Guard guard{RuleSet{{rule}}, {.headers = both}};
    const auto ask = [&] {
        return guard.handle({.method = "GET", .path = "/api/data", .peer = "192.0.2.1", .query = "page=2"});
    };
    REQUIRE(ask().allowed);
    limited_memory::left = 0;
    const Answer allowed = ask();
    const auto moved = allowed;
    const Answer denied = ask();
    limited_memory::left = -1;
    CHECK(moved.allowed);
    REQUIRE(moved.fields.size() == 5);
    CHECK(moved.fields[0].value == "\"api\";r=0;t=172800");
    CHECK(moved.fields[3].value == "0");
    CHECK_FALSE(denied.allowed);
    CHECK(denied.denial.status == 429);
    CHECK(denied.denial.content.empty());  // a body needs memory
}
