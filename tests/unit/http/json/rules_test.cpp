// SPDX-License-Identifier: MIT
#include "support/catch.hpp"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <unistd.h>

#include <sluice/http/guard.hpp>
#include <sluice/http/json/rules.hpp>
#include <sluice/sluice.hpp>

#include "support/asked.hpp"

using namespace sluice::http;
using Outcome = sluice::metrics::Outcome;

namespace {

constexpr std::string_view good = R"({"rules": [
    {"name": "free", "routes": ["/free"]},
    {"name": "login", "routes": ["/login", "/signin/*"], "methods": ["POST"],
     "limits": [{"name": "per-address", "policy": {"kind": "token_bucket", "capacity": 5, "refill": "1/m"},
                 "key": ["address", "rule"], "on_failure": "deny"},
                {"name": "all", "policy": {"kind": "fixed_window", "limit": 1000, "window": "1h"}, "key": []}],
     "exempt": {"networks": ["10.0.0.0/8"], "users": ["monitor"]}, "enforce_percent": 50},
    {"name": "api", "routes": ["/api/**"], "tiers": [
        {"plan": "gold", "limits": [{"name": "gold", "key": ["api_key"], "cost": 5,
            "policy": {"kind": "sliding_window", "limit": 100, "window": "10s"}}]},
        {"authenticated": true, "limits": [{"name": "user", "key": ["user"],
            "policy": {"kind": "sliding_window_counter", "limit": 50, "window": "500ms"}}]},
        {"limits": [{"name": "anonymous", "policy": {"kind": "leaky_bucket", "queue": 3, "drain": "1/5s", "burst": 2}}]}]}],
  "default": {"name": "default", "limits": [{"name": "default",
      "policy": {"kind": "token_bucket", "capacity": 20, "refill": "10/s"}}]}})";

std::string limit(const std::string& text) {
    return R"({"rules":[{"name":"r","routes":["/a"],"limits":[)" + text + "]}]}";
}
std::string policy(const std::string& text) { return limit(R"({"name":"l","policy":)" + text + "}"); }
std::string rule(const std::string& text) { return R"({"rules":[{"name":"r","routes":["/a"])" + text + "}]}"; }

struct BrokenStore {
    template <class P>
    sluice::Decision decide(const sluice::Request<P>&) const noexcept {
        sluice::Decision decision;
        decision.error = sluice::Errc::refused;
        return decision;
    }
};

}  // namespace

TEST_CASE("a rules file becomes the rules that it says", "[http][json]") {
    sluice::metrics::Registry registry;
    const auto set = parse_rules(good, "rules.json", MemoryLimiters{{.max_keys = 1000}, &registry}, &registry);
    REQUIRE(set.rules().size() == 3);
    CHECK(set.rules()[0].tiers.empty());
    const Rule& login = set.rules()[1];
    CHECK(login.routes[1].text() == "/signin/*");
    CHECK(login.methods == std::vector<std::string>{"POST"});
    CHECK(login.enforce_percent == 50);
    CHECK(login.exempt_users == std::vector<std::string>{"monitor"});
    CHECK(login.exempt_networks[0].contains(*IpAddress::parse("10.1.1.1")));
    REQUIRE(login.tiers.at(0).limits.size() == 2);
    CHECK(login.tiers[0].limits[0].limiter.name() == "per-address");
    CHECK(login.tiers[0].limits[0].limiter.quota().limit == 5);
    CHECK(login.tiers[0].limits[0].key == std::vector<KeySource>{KeyPart::address, KeyPart::rule});
    CHECK(login.tiers[0].limits[1].key.empty());
    CHECK(login.tiers[0].limits[1].limiter.quota() == sluice::Quota{1000, std::chrono::hours{1}});
    const Rule& api = set.rules()[2];
    REQUIRE(api.tiers.size() == 3);
    CHECK(api.tiers[0].plan == "gold");
    CHECK(api.tiers[0].limits[0].cost.units() == 5);
    CHECK(api.tiers[1].authenticated);
    CHECK(api.tiers[1].limits[0].limiter.quota() == sluice::Quota{50, std::chrono::milliseconds{500}});
    CHECK(api.tiers[2].limits[0].limiter.quota() == sluice::Quota{3, std::chrono::seconds{15}});
    CHECK(set.otherwise()->tiers[0].limits[0].limiter.quota().limit == 20);

    const Rules rules{set};
    Caller caller;
    CHECK(rules.check(asked("GET", "/nowhere", caller)).allowed());
    CHECK(registry.rule("default")->of(Outcome::allowed) == 1);
    CHECK(registry.limiter("default")->allowed() == 1);
}

TEST_CASE("a bad rules file gives the right message and leaves the old rules in force", "[http][json]") {
    struct Row {
        std::string text, message;
    };
    const std::string token = R"({"kind":"token_bucket","capacity":1,"refill":"1/s"})";
    const std::string good_limit = R"({"name":"l","policy":)" + token + "}";
    const Row rows[] = {
        {"", "f: not JSON, at byte 1"},
        {"{", "f: not JSON, at byte 2"},
        {"{\"rules\": [}", "f: not JSON, at byte 12"},
        {"{\"rules\": []} x", "f: not JSON, at byte 15"},
        {"\xff", "f: not JSON, at byte 1"},
        {std::string(40, '[') + std::string(40, ']'),
         "f: /0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0: nested deeper than 16 levels"},
        {"[]", "f: must be an object, not []"},
        {"null", "f: must be an object, not null"},
        {"{}", "f: member \"rules\" is missing"},
        {R"({"rules": {}})", "f: /rules: must be an array, not {}"},
        {R"({"rules": [], "rules": []})", "f: member \"rules\" is given twice"},
        {R"({"rules": [], "defaults": {}})", "f: unknown member \"defaults\"; known are rules, default"},
        {R"({"rules": [7]})", "f: /rules/0: must be an object, not 7"},
        {R"({"rules": [{"routes": ["/a"]}]})", "f: /rules/0: member \"name\" is missing"},
        {R"({"rules": [{"name": "r"}]})", "f: /rules/0: member \"routes\" is missing"},
        {R"({"rules": [{"name": 5, "routes": ["/a"]}]})", "f: /rules/0/name: must be a string, not 5"},
        {R"({"rules": [{"name": "", "routes": ["/a"]}]})",
         "f: /rules/0/name: a policy's name must be 1 to 64 printable ASCII characters, not ''"},
        {R"({"rules": [{"name": "a\nb", "routes": ["/a"]}]})",
         "f: /rules/0/name: a policy's name must be 1 to 64 printable ASCII characters, not 'a?b'"},
        {R"({"rules": [{"name": "r", "routes": []}]})", "f: /rules/0/routes: is an empty list, which cannot be meant"},
        {R"({"rules": [{"name": "r", "routes": "/a"}]})", "f: /rules/0/routes: must be an array, not \"/a\""},
        {R"({"rules": [{"name": "r", "routes": ["/a", "b"]}]})",
         "f: /rules/0/routes/1: route 'b': must start with '/'"},
        {R"({"rules": [{"name": "r", "routes": ["/a"]}, {"name": "r", "routes": ["/b"]}]})",
         "f: /rules/1/name: two rules have the name 'r'"},
        {R"({"rules": [], "default": {"name": "d", "routes": ["/a"]}})",
         "f: /default: unknown member \"routes\"; known are name, skip, blocked, answer, limits, tiers, exempt, "
         "enforce_percent"},
        {rule(R"(,"limit":[])"),
         "f: /rules/0: unknown member \"limit\"; known are name, routes, methods, hosts, headers, query, skip, "
         "blocked, answer, limits, tiers, exempt, enforce_percent"},
        {rule(R"(,"methods":["get"])"), "f: /rules/0/methods/0: rule 'r': there is no method \"get\""},
        {rule(R"(,"enforce_percent":101)"),
         "f: /rules/0/enforce_percent: must be a whole number from 0 to 100, not 101"},
        {rule(R"(,"enforce_percent":-1)"), "f: /rules/0/enforce_percent: must be a whole number from 0 to 100, not -1"},
        {rule(R"(,"enforce_percent":"50")"),
         "f: /rules/0/enforce_percent: must be a whole number from 0 to 100, not \"50\""},
        {rule(R"(,"exempt":{"networks":["10.0.0.1/8"]})"),
         "f: /rules/0/exempt/networks/0: network '10.0.0.1/8': bits are set beyond the prefix"},
        {rule(R"(,"exempt":{"users":[1]})"), "f: /rules/0/exempt/users/0: must be a string, not 1"},
        {rule(R"(,"exempt":{"keys":[]})"), "f: /rules/0/exempt: unknown member \"keys\"; known are networks, users"},
        {rule(R"(,"limits":[],"tiers":[])"), "f: /rules/0: has both \"limits\" and \"tiers\""},
        {rule(R"(,"tiers":[{"plan":"gold"}])"), "f: /rules/0/tiers/0: member \"limits\" is missing"},
        {rule(R"(,"tiers":[{"plan":"gold","limits":[)" + good_limit + "]}]"),
         "f: /rules/0/tiers/0: rule 'r': the last tier must take every caller"},
        {rule(R"(,"tiers":[{"authenticated":1,"limits":[)" + good_limit + "]}]"),
         "f: /rules/0/tiers/0/authenticated: must be true or false, not 1"},
        {limit("7"), "f: /rules/0/limits/0: must be an object, not 7"},
        {limit(R"({"name":"l"})"), "f: /rules/0/limits/0: member \"policy\" is missing"},
        {limit(R"({"name":"l","policy":)" + token + R"(,"key":["ip"]})"),
         "f: /rules/0/limits/0/key/0: must be \"address\", \"user\", \"api_key\", \"rule\", \"host\", \"method\", or "
         "one of "
         "header, query, cookie, path and function with its name, such as {\"header\": \"X-Tenant\"}, not \"ip\""},
        {limit(R"({"name":"l","policy":)" + token + R"(,"on_failure":"open"})"),
         "f: /rules/0/limits/0/on_failure: must be \"allow\" or \"deny\", not \"open\""},
        {limit(R"({"name":"l","policy":)" + token + R"(,"cost":2})"),
         "f: /rules/0/limits/0/cost: rule 'r': limit 'l': cost must be from 1 to 1, not 2"},
        {limit(R"({"name":"l","policy":)" + token + R"(,"cost":0})"),
         "f: /rules/0/limits/0/cost: must be a whole number from 1 to 9007199254740991, not 0"},
        {limit(good_limit + "," + good_limit + "," + good_limit + "," + good_limit + "," + good_limit),
         "f: /rules/0/limits: rule 'r': a tier has at most 4 limits, not 5"},
        {policy(R"("token_bucket")"), "f: /rules/0/limits/0/policy: member \"kind\" is missing"},
        {policy(R"({"kind":"bucket"})"),
         "f: /rules/0/limits/0/policy/kind: must be token_bucket, leaky_bucket, "
         "fixed_window, sliding_window or sliding_window_counter, not \"bucket\""},
        {policy(R"({"kind":"token_bucket","capacity":1.5,"refill":"1/s"})"),
         "f: /rules/0/limits/0/policy/capacity: must be a whole number from 0 to 9007199254740991, not 1.5"},
        {policy(R"({"kind":"token_bucket","capacity":1e3,"refill":"1/s"})"),
         "f: /rules/0/limits/0/policy/capacity: must be a whole number from 0 to 9007199254740991, not 1e3"},
        {policy(R"({"kind":"token_bucket","capacity":99999999999999999999,"refill":"1/s"})"),
         "f: /rules/0/limits/0/policy/capacity: must be a whole number from 0 to 9007199254740991, not "
         "99999999999999999999"},
        {policy(R"({"kind":"token_bucket","capacity":1,"refill":"1"})"),
         "f: /rules/0/limits/0/policy/refill: must be a rate such as \"10/s\" or \"1/5m\" (ns, us, ms, s, m, h, d), "
         "not \"1\""},
        {policy(R"({"kind":"token_bucket","capacity":1,"refill":"1/s","burst":1})"),
         "f: /rules/0/limits/0/policy: unknown member \"burst\"; known are "},
        {policy(R"({"kind":"leaky_bucket","queue":5,"drain":"1/s","burst":6})"),
         "f: /rules/0/limits/0/policy/burst: must be a whole number from 1 to 5, not 6"},
        {policy(R"({"kind":"token_bucket","capacity":1,"refill":"0/s"})"),
         "f: /rules/0/limits/0/policy/refill: rate count must be from 1 to 9007199254740991, not 0"},
        {policy(R"({"kind":"token_bucket","capacity":1,"refill":"1/0s"})"),
         "f: /rules/0/limits/0/policy/refill: rate period must be from 1 ns to 100 years, not 0 x 1/1000000000 s"},
        {policy(R"({"kind":"token_bucket","limit":1,"refill":"1/s"})"),
         "f: /rules/0/limits/0/policy: unknown member \"limit\"; known are kind, capacity, refill"},
        {policy(R"({"kind":"fixed_window","limit":1})"), "f: /rules/0/limits/0/policy: member \"window\" is missing"},
        {policy(R"({"kind":"fixed_window","limit":1,"window":"1 m"})"),
         "f: /rules/0/limits/0/policy/window: must be a duration such as \"500ms\" (ns, us, ms, s, m, h, d), not \"1 "
         "m\""},
        {policy(R"({"kind":"fixed_window","limit":1,"window":"999999d"})"),
         "f: /rules/0/limits/0/policy/window: must be a duration such as \"500ms\" (ns, us, ms, s, m, h, d), not "
         "\"999999d\""},
        {policy(R"({"kind":"sliding_window","limit":9999999,"window":"1s"})"),
         "f: /rules/0/limits/0/policy: limit must be"},
    };
    STATIC_REQUIRE(std::size(rows) >= 40);
    const MemoryLimiters make{{.max_keys = 1000}};
    Rules rules{parse_rules(good, "f", make)};
    const auto before = rules.current();
    for (const auto& [text, message] : rows) {
        INFO(text);
        try {
            rules.replace(parse_rules(text, "f", make));
            FAIL_CHECK("accepted");
        } catch (const RulesError& error) {
            CHECK(std::string{error.what()}.substr(0, message.size()) == message);
        }
        CHECK(rules.current() == before);
    }
}

TEST_CASE("what a limiter's factory throws is an error at the policy", "[http][json]") {
    const LimiterFactory fails = [](const AnyPolicy&, sluice::LimiterOptions) -> sluice::AnyLimiter {
        throw std::runtime_error{"the store is gone"};
    };
    const auto text = policy(R"({"kind":"fixed_window","limit":1,"window":"1s"})");
    CHECK_THROWS_WITH(parse_rules(text, "f", fails), "f: /rules/0/limits/0/policy: the store is gone");
}

TEST_CASE("a file is read from disk; one that cannot be read is named with the reason", "[http][json]") {
    std::string folder = "/tmp/sluice_rules_XXXXXX";
    REQUIRE(::mkdtemp(folder.data()) != nullptr);
    const std::string name = folder + "/rules.json";
    const MemoryLimiters make{{.max_keys = 1000}};
    const auto refused = [&](const std::string& file) {
        try {
            static_cast<void>(load_rules(file, make));
            return std::string{};
        } catch (const RulesError& error) {
            return std::string{error.what()};
        }
    };
    const auto reason = [](int error) { return ": cannot be read: " + std::generic_category().message(error); };
    std::ofstream{name} << good;
    CHECK(load_rules(name, make).rules().size() == 3);
    std::ofstream{name} << "{\"rules\": 5}";
    CHECK(refused(name) == name + ": /rules: must be an array, not 5");
    const std::string most = std::string{good} + std::string(1'048'576 - good.size(), ' ');
    std::ofstream{name} << most;
    CHECK(refused(name) == "");
    CHECK_NOTHROW(parse_rules(most, "f", make));
    std::ofstream{name} << most << ' ';
    CHECK(refused(name) == name + ": is larger than 1048576 bytes");
    CHECK_THROWS_WITH(parse_rules(most + ' ', "f", make), "f: is larger than 1048576 bytes");
    std::remove(name.c_str());
    CHECK(refused(name) == name + reason(ENOENT));
    CHECK(refused(folder) == folder + reason(EISDIR));
    CHECK(refused(name + "/x") == name + "/x" + reason(ENOENT));
    CHECK(refused("") == "" + reason(ENOENT));
    ::rmdir(folder.c_str());
}

TEST_CASE("a reload keeps the states of limits that did not change", "[http][json]") {
    const std::string one = policy(R"({"kind":"token_bucket","capacity":1,"refill":"1/h"})");
    const std::string two = policy(R"({"kind":"token_bucket","capacity":2,"refill":"1/h"})");
    const MemoryLimiters make{{.max_keys = 1000}};
    Rules rules{parse_rules(one, "f", make)};
    CHECK(rules.check(asked("GET", "/a", {})).allowed());
    rules.replace(parse_rules(one, "f", make));
    CHECK_FALSE(rules.check(asked("GET", "/a", {})).allowed());
    rules.replace(parse_rules(two, "f", make));
    CHECK(rules.check(asked("GET", "/a", {})).allowed());
    CHECK_FALSE(rules.check(asked("GET", "/a", {})).allowed());  // one of the two was used before
    const std::string fresh = R"({"rules":[{"name":"r","routes":["/a"],"limits":[{"name":"l","reset":true,
        "policy":{"kind":"token_bucket","capacity":3,"refill":"1/h"}}]}]})";
    rules.replace(parse_rules(fresh, "f", make));
    CHECK(rules.check(asked("GET", "/a", {})).answers()[0].decision.remaining == 2);
}

TEST_CASE("what a reload has left out is gone from the metrics, what stays goes on counting", "[http][json][metrics]") {
    sluice::metrics::Registry registry;
    const auto make = [&](const char* other) {
        return parse_rules(R"({"rules":[{"name":"stays","routes":["/a"],"limits":[{"name":"kept","policy":
                               {"kind":"token_bucket","capacity":9,"refill":"1/h"}}]},
                               {"name":")" +
                               std::string{other} + R"(","routes":["/b"],"limits":[{"name":")" + other +
                               R"( limit","policy":{"kind":"fixed_window","limit":9,"window":"1h"}}]}]})",
                           "f", MemoryLimiters{{.max_keys = 1000}, &registry}, &registry);
    };
    const auto has = [&](const std::string& text) { return registry.prometheus().find(text) != std::string::npos; };
    {
        Rules rules{make("old")};
        static_cast<void>(rules.check(asked("GET", "/a", {})));
        CHECK(has("limiter=\"old limit\""));
        CHECK(has("rule=\"old\""));
        // The factory is gone, its stores are in use.
        CHECK(has("sluice_store_keys{store=\"memory token_bucket\"} 1\n"));
        CHECK(has("store=\"memory fixed_window\""));
        rules.replace(make("new"));
        static_cast<void>(rules.check(asked("GET", "/a", {})));
        CHECK_FALSE(has("\"old"));
        CHECK(has("limiter=\"new limit\""));
        CHECK(has("sluice_decisions_total{limiter=\"kept\",outcome=\"allowed\"} 2\n"));
        CHECK(has("sluice_rule_requests_total{rule=\"stays\",outcome=\"allowed\"} 2\n"));
        // Of the second factory, and alone.
        CHECK(has("sluice_store_keys{store=\"memory token_bucket 2\"} 1\n"));
        CHECK_FALSE(has("store=\"memory token_bucket\""));
    }
    CHECK_FALSE(has("{"));
}

TEST_CASE("two factories of memory limiters have a series each", "[http][json][metrics]") {
    sluice::metrics::Registry registry;
    const auto one = policy(R"({"kind":"token_bucket","capacity":1,"refill":"1/h"})");
    const MemoryLimiters first{{.max_keys = 1000}, &registry};
    const MemoryLimiters second{{.max_keys = 1000}, &registry};
    const Rules rules{parse_rules(one, "f", first)};
    const Rules others{parse_rules(one, "f", second)};
    static_cast<void>(others.check(asked("GET", "/a", {})));
    const auto text = registry.prometheus();
    CHECK_THAT(text, contains_text("sluice_store_keys{store=\"memory token_bucket\"} 0\n"));
    CHECK_THAT(text, contains_text("sluice_store_keys{store=\"memory token_bucket 2\"} 1\n"));
}

TEST_CASE("a failure mode from the file is the limiter's", "[http][json]") {
    const auto check = [](const char* mode) {
        const auto text = limit(R"({"name":"l","on_failure":")" + std::string{mode} +
                                R"(","policy":{"kind":"fixed_window","limit":1,"window":"1s"}})");
        return Rules{parse_rules(text, "f", limiters_in(BrokenStore{}))}.check(asked("GET", "/a", {})).allowed();
    };
    CHECK(check("allow"));
    CHECK_FALSE(check("deny"));
}

TEST_CASE("rules may stand on a store with memory behind it", "[http][json]") {
    const Guard guard{parse_rules(policy(R"({"kind":"fixed_window","limit":10,"window":"1h"})"), "f",
                                  limiters_in(BrokenStore{}, MemoryLimiters{}, 2))};
    int allowed = 0;
    for (int i = 0; i < 20; ++i) {
        const auto answer = guard.handle({"GET", "/a", "192.0.2.1"});
        allowed += answer.allowed ? 1 : 0;
        CHECK(answer.verdict.answers()[0].decision.error == sluice::Errc::degraded);
    }
    CHECK(allowed == 5);  // half of the limit, which is this instance's share
    CHECK_THROWS_AS(limiters_in(BrokenStore{}, MemoryLimiters{}, 0), std::invalid_argument);
}
