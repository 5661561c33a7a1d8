// SPDX-License-Identifier: MIT
#include "support/catch.hpp"

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <sluice/http/client/client_address.hpp>
#include <sluice/http/rules/rules.hpp>
#include <sluice/sluice.hpp>

#include "support/asked.hpp"

using namespace std::chrono_literals;
using namespace sluice::http;
using sluice::AnyLimiter;
using sluice::Decision;
using sluice::FixedWindow;
using sluice::ManualClock;
using sluice::MemoryStore;
using sluice::RateLimiter;
using sluice::TokenBucket;
using Outcome = sluice::metrics::Outcome;

namespace {

struct Fixture {
    ManualClock clock;
    MemoryStore<TokenBucket, ManualClock> store{{.max_keys = 10'000}, clock};

    AnyLimiter bucket(const std::string& name, int capacity) const {
        return RateLimiter{TokenBucket{capacity, sluice::per_second(1)}, store, {.name = name}};
    }
};

Caller from(std::string_view address, std::string user = {}) {
    Caller caller{.user = std::move(user)};
    caller.address = IpAddress::parse(address);
    if (caller.address) caller.block = ClientAddress{}.identity(*caller.address);
    return caller;
}

Rule rule(std::string name, std::vector<Limit> limits, const char* route = "/a") {
    Rule made{.name = std::move(name), .routes = {RoutePattern{route}}};
    if (!limits.empty()) made.tiers.push_back({.limits = std::move(limits)});
    return made;
}

/// A store that answers every consume with one error.
struct FailingStore {
    sluice::Errc error;
    Decision decide(const sluice::Request<TokenBucket>&) const noexcept {
        Decision decision;
        decision.error = error;
        return decision;
    }
};

}  // namespace

TEST_CASE("the first matching rule applies, the default takes the rest", "[http][rules]") {
    const Fixture f;
    auto get = rule("get", {{f.bucket("get", 1)}});
    get.methods = {"GET"};
    const Rules rules{RuleSet{{get, rule("any", {{f.bucket("any", 2)}}), rule("free", {}, "/free")},
                              rule("default", {{f.bucket("default", 3)}})}};
    const auto name = [&](const char* method, const char* path) {
        return rules.check(asked(method, path, from("192.0.2.1"))).rule()->name;
    };
    CHECK(name("GET", "/a") == "get");
    CHECK(name("HEAD", "/a") == "get");
    CHECK(name("POST", "/a") == "any");
    CHECK(name("OPTIONS", "/a") == "any");
    CHECK(name("GET", "/free") == "free");
    CHECK(name("GET", "/nowhere") == "default");
    CHECK(name("GET", "//a") == "default");
    CHECK(Rules{RuleSet{}}.check(asked("GET", "/a", from("192.0.2.1"))).rule() == nullptr);
    CHECK(Rules{RuleSet{}}.check(asked("GET", "/a", from("192.0.2.1"))).allowed());
}

TEST_CASE("a flood of unknown paths shares one limit", "[http][rules]") {
    const Fixture f;
    const Rules rules{RuleSet{{}, rule("default", {{f.bucket("default", 5)}})}};
    int allowed = 0;
    for (int i = 0; i < 50; ++i) {
        allowed += rules.check(asked("GET", "/" + std::to_string(i), from("192.0.2.1"))).allowed() ? 1 : 0;
    }
    CHECK(allowed == 5);
    CHECK(rules.check(asked("GET", "/x", from("192.0.2.2"))).allowed());
}

TEST_CASE("keys are what the rule says", "[http][rules]") {
    const Fixture f;
    const auto exhausts = [&](std::vector<KeySource> key, const Caller& first, const Caller& second) {
        static int n = 0;
        const auto limiter = f.bucket("limit" + std::to_string(n++), 1);
        const Rules rules{RuleSet{{rule("r", {{limiter, key}})}}};
        CHECK(rules.check(asked("GET", "/a", first)).allowed());
        return !rules.check(asked("GET", "/a", second)).allowed();
    };
    using enum KeyPart;
    CHECK(exhausts({address}, from("192.0.2.1"), from("192.0.2.1", "ann")));
    CHECK_FALSE(exhausts({address}, from("192.0.2.1"), from("192.0.2.2")));
    CHECK(exhausts({address}, from("2001:db8::1"), from("2001:db8::2")));
    CHECK_FALSE(exhausts({address}, from("2001:db8::1"), from("2001:db8:0:1::1")));
    CHECK(exhausts({user}, from("192.0.2.1", "ann"), from("192.0.2.2", "ann")));
    CHECK_FALSE(exhausts({user}, from("192.0.2.1", "ann"), from("192.0.2.1", "bob")));
    CHECK_FALSE(exhausts({user}, from("192.0.2.1"), from("192.0.2.2")));
    CHECK(exhausts({user}, from("192.0.2.1"), from("192.0.2.1")));
    CHECK_FALSE(exhausts({user}, from("192.0.2.1"), from("192.0.2.1", "ip:192.0.2.1")));
    CHECK_FALSE(exhausts({user, address}, from("192.0.2.1", "ann"), from("192.0.2.2", "ann")));
    CHECK(exhausts({}, from("192.0.2.1"), from("198.51.100.9", "ann")));
    CHECK(exhausts({address}, from("unix"), from("elsewhere")));
    Caller keyed = from("192.0.2.1");
    keyed.api_key = "k1";
    Caller other = from("192.0.2.9");
    other.api_key = "k1";
    CHECK(exhausts({api_key}, keyed, other));
    other.api_key = "k2";
    CHECK_FALSE(exhausts({api_key}, keyed, other));
}

TEST_CASE("a key's part that a request does not have is counted by the address", "[http][rules]") {
    const Fixture f;
    // The key of a request is what another request that shares its limit has, too.
    int n = 0;
    const auto shares = [&](const KeySource& part, const Asked& first, const Asked& second) {
        const auto limiter = f.bucket("part" + std::to_string(n++), 1);
        const Rules rules{RuleSet{{rule("r", {{limiter, {part}}}, "/{id}/**")}}};
        CHECK(rules.check(first).allowed());
        return !rules.check(second).allowed();
    };
    const auto with = [](const TestHeaders& headers, std::string_view query = {}, std::string_view path = "/7/x") {
        Asked made = asked("GET", path, from("192.0.2.1"));
        made.header = headers;
        made.query = query;
        return made;
    };
    const TestHeaders none, ann{{{"X-Tenant", " ann "}}}, ann_too{{{"x-tenant", "ann"}}}, bob{{{"X-Tenant", "bob"}}},
        both{{{"X-Tenant", "ann"}, {"X-Tenant", "bob"}}}, blank{{{"X-Tenant", " "}}};
    const auto tenant = KeySource::header("X-TENANT");
    CHECK(shares(tenant, with(ann), with(ann_too)));
    CHECK_FALSE(shares(tenant, with(ann), with(bob)));
    for (const TestHeaders* nothing : {&none, &both, &blank}) {
        CHECK_FALSE(shares(tenant, with(ann), with(*nothing)));
        CHECK(shares(tenant, with(none), with(*nothing)));
    }
    const auto of_query = KeySource::query("k");
    CHECK(shares(of_query, with(none, "k=a%4A%6b+c"), with(none, "x=1&k=aJk%20c")));
    CHECK(shares(of_query, with(none, "k=%6f%6A%4F%09"), with(none, "k=ojO\t")));
    for (const std::string bad : {"", "6", "g1", "1g", "G1", "@1", "`1", "/1", ":1", "%"})  // stays as it is
        CHECK(shares(of_query, with(none, "k=%25" + bad), with(none, "k=%" + bad)));
    for (const char* nothing : {"", "k", "k=", "K=a", "k=a&k=a", "kk=a"})
        CHECK(shares(of_query, with(none), with(none, nothing)));
    CHECK(shares(KeySource::query("a b"), with(none, "a+b=1"), with(bob, "a%20b=1")));
    CHECK_FALSE(shares(KeySource::query("a b"), with(none, "a+b=1"), with(none, "a+b=2")));
    const auto cookie = KeySource::cookie("id");
    const TestHeaders plain{{{"Cookie", "a=b; id=7"}}}, spaced{{{"Cookie", "id = 7 ;a=b"}}},
        quoted{{{"Cookie", "id=\"7\""}}}, half{{{"Cookie", "id=\"7"}}}, other_half{{{"Cookie", "id=7\""}}},
        two_lines{{{"Cookie", "id=7"}, {"Cookie", "id=8"}}}, quote{{{"Cookie", "id=\""}}};
    CHECK((shares(cookie, with(plain), with(quoted)) && shares(cookie, with(plain), with(spaced))));
    for (const TestHeaders* other : {&half, &other_half, &quote})
        CHECK_FALSE(shares(cookie, with(plain), with(*other)));
    CHECK(shares(cookie, with(none), with(two_lines)));
    const auto of_path = KeySource::path("id");
    CHECK(shares(of_path, with(none), with(bob, {}, "/7/y/z")));
    CHECK_FALSE(shares(of_path, with(none), with(none, {}, "/8/x")));
    Asked raw = with(none, {}, "/%37/x");
    CHECK_FALSE(shares(of_path, with(none), raw));
    raw.path_is_decoded = false;
    CHECK(shares(of_path, with(none), raw));
    Asked plus = raw, escaped = raw;
    plus.path = "/+/x";
    escaped.path = "/%2B/x";
    CHECK(shares(of_path, plus, escaped));
    const auto host = [&](std::string_view name, const TestHeaders& headers) {
        Asked made = with(headers);
        made.host = name;
        return made;
    };
    const TestHeaders named{{{"Host", "A.example:80"}}}, twice{{{"Host", "a.example"}, {"Host", "b.example"}}};
    for (const char* same : {"a.example", "A.EXAMPLE", "a.example:8080", "a.example.", "a.example.:1"})
        CHECK(shares(KeyPart::host, host(same, none), host({}, named)));
    CHECK(shares(KeyPart::host, host("[2001:DB8::1]", none), host("[2001:db8::1]:443", none)));
    CHECK_FALSE(shares(KeyPart::host, host("[2001:db8::1]", none), host("[2001:db8::2]", none)));
    CHECK(shares(KeyPart::host, host({}, none), host({}, twice)));
    CHECK_FALSE(shares(KeyPart::method, with(none), asked("PUT", "/7/x", from("192.0.2.1"))));
    const auto function = KeySource::function("f", [](const Asked& request) {
        if (request.query == "throw") throw std::runtime_error{"no key"};
        return std::string{request.query};
    });
    CHECK(shares(function, with(none, "a"), with(bob, "a")));
    CHECK_FALSE(shares(function, with(none, "a"), with(none, "b")));
    CHECK(shares(function, with(none), with(none, "throw")));
    // One address for all parts that are missing.
    const auto all = f.bucket("all", 1);
    const Rules rules{RuleSet{{rule("r", {{all, {tenant, cookie}}}, "/**")}}};
    CHECK(rules.check(with(none)).allowed());
    CHECK(all.peek("ip:192.0.2.1").remaining == 0);
}

TEST_CASE("parts of keys that cannot be are refused", "[http][rules]") {
    using enum KeyPart;
    for (const KeyPart part : {header, query, cookie, path, function})
        CHECK_THROWS_AS(KeySource{part}, std::invalid_argument);
    for (const char* bad : {"", "a b", "a:"}) {
        CHECK_THROWS_AS(KeySource::header(bad), std::invalid_argument);
        CHECK_THROWS_AS(KeySource::cookie(bad), std::invalid_argument);
        CHECK_THROWS_AS(KeySource::path(bad), std::invalid_argument);
    }
    CHECK_THROWS_AS(KeySource::query(""), std::invalid_argument);
    CHECK_THROWS_AS(KeySource::function("f", {}), std::invalid_argument);
    CHECK(KeySource::query("a b") == KeySource::query("a b"));
    CHECK_FALSE(KeySource::query("a") == KeySource::query("b"));
    CHECK_FALSE(KeySource::query("a") == KeySource::cookie("a"));
}

TEST_CASE("rules may share a limiter, or count apart with the rule in the key", "[http][rules]") {
    const Fixture f;
    const auto shared = f.bucket("shared", 1);
    const Rules rules{RuleSet{{rule("r1", {{shared}}, "/1"), rule("r2", {{shared}}, "/2"),
                               rule("r3", {{shared, {KeyPart::rule, KeyPart::address}}}, "/3")}}};
    CHECK(rules.check(asked("GET", "/1", from("192.0.2.1"))).allowed());
    CHECK_FALSE(rules.check(asked("GET", "/2", from("192.0.2.1"))).allowed());
    CHECK(rules.check(asked("GET", "/3", from("192.0.2.1"))).allowed());
}

TEST_CASE("a tier is chosen by the caller", "[http][rules]") {
    const Fixture f;
    Rule tiers{.name = "api", .routes = {RoutePattern{"/a"}}};
    tiers.tiers = {{.limits = {{f.bucket("gold", 100), {KeyPart::user}}}, .plan = "gold"},
                   {.limits = {{f.bucket("user", 10), {KeyPart::user}}}, .authenticated = true},
                   {.limits = {{f.bucket("anonymous", 2)}}}};
    const Rules rules{RuleSet{{tiers}}};
    Caller gold = from("192.0.2.1", "ann");
    gold.plan = "gold";
    CHECK(rules.check(asked("GET", "/a", gold)).answers()[0].quota.limit == 100);
    CHECK(rules.check(asked("GET", "/a", from("192.0.2.1", "bob"))).answers()[0].quota.limit == 10);
    CHECK(rules.check(asked("GET", "/a", from("192.0.2.1"))).answers()[0].quota.limit == 2);
    Caller silver = from("192.0.2.1");
    silver.plan = "silver";
    CHECK(rules.check(asked("GET", "/a", silver)).answers()[0].name == "anonymous");
}

TEST_CASE("two limits on one request charge both or none", "[http][rules]") {
    const Fixture f;
    const auto by_address = f.bucket("by-address", 10);
    const auto by_user = f.bucket("by-user", 3);
    const Rules rules{RuleSet{{rule("r", {{by_address, {KeyPart::address}, 2}, {by_user, {KeyPart::user}}})}}};
    const auto caller = from("192.0.2.1", "ann");
    for (int i = 0; i < 3; ++i) {
        const auto verdict = rules.check(asked("GET", "/a", caller));
        CHECK(verdict.allowed());
        CHECK(verdict.answers().size() == 2);
    }
    CHECK(by_address.peek("ip:192.0.2.1").remaining == 4);
    for (int i = 0; i < 5; ++i) {
        const auto verdict = rules.check(asked("GET", "/a", caller));
        CHECK_FALSE(verdict.allowed());
        REQUIRE(verdict.answers().size() == 2);
        CHECK(verdict.answers()[0].decision.remaining == 4);
        CHECK(verdict.answers()[1].name == "by-user");
    }
    CHECK(by_address.peek("ip:192.0.2.1").remaining == 4);
    CHECK(by_address.peek("ip:192.0.2.1").reset_after == 6s);
    CHECK(by_user.peek("user:ann").remaining == 0);
    // The first denies: the second is not charged.
    const auto other = from("192.0.2.1", "bob");
    CHECK(rules.check(asked("GET", "/a", other)).allowed());
    CHECK(rules.check(asked("GET", "/a", other)).allowed());
    const auto denied = rules.check(asked("GET", "/a", other));
    CHECK_FALSE(denied.allowed());
    REQUIRE(denied.answers().size() == 2);
    CHECK(denied.answers()[1].decision.allowed);
    CHECK(by_user.peek("user:bob").remaining == 1);
}

TEST_CASE("many threads on two limits never lose or win a unit", "[http][rules]") {
    const Fixture f;
    const auto wide = f.bucket("wide", 1000);
    const auto narrow = f.bucket("narrow", 100);
    const Rules rules{RuleSet{{rule("r", {{wide}, {narrow}})}}};
    std::atomic<int> allowed{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&] {
            for (int i = 0; i < 2000; ++i) {
                if (rules.check(asked("GET", "/a", from("192.0.2.1"))).allowed()) ++allowed;
            }
        });
    }
    for (auto& thread : threads) thread.join();
    CHECK(allowed == 100);
    CHECK(wide.peek("ip:192.0.2.1").remaining == 900);
}

TEST_CASE("exempt callers are not charged", "[http][rules]") {
    const Fixture f;
    auto r = rule("r", {{f.bucket("b", 1)}});
    r.exempt_networks = {Network{"10.0.0.0/8"}, Network{"2001:db8::5"}};
    r.exempt_users = {"monitor"};
    r.counters = std::make_shared<sluice::metrics::RuleCounters>();
    const Rules rules{RuleSet{{r}}};
    for (int i = 0; i < 3; ++i) {
        CHECK(rules.check(asked("GET", "/a", from("10.1.2.3"))).outcome() == Outcome::exempt);
        CHECK(rules.check(asked("GET", "/a", from("2001:db8::5"))).outcome() == Outcome::exempt);
        CHECK(rules.check(asked("GET", "/a", from("192.0.2.1", "monitor"))).outcome() == Outcome::exempt);
    }
    CHECK(rules.check(asked("GET", "/a", from("2001:db8::6"))).outcome() == Outcome::allowed);
    CHECK(rules.check(asked("GET", "/a", from("192.0.2.1"))).told().size() == 1);
    CHECK(rules.check(asked("GET", "/a", from("10.1.2.3"))).told().empty());
    CHECK(r.counters->of(Outcome::exempt) == 10);
    CHECK(r.counters->of(Outcome::allowed) == 2);
}

TEST_CASE("shadow mode counts and never denies", "[http][rules]") {
    const Fixture f;
    auto r = rule("r", {{f.bucket("b", 2)}});
    r.enforce_percent = 0;
    r.counters = std::make_shared<sluice::metrics::RuleCounters>();
    const Rules rules{RuleSet{{r}}};
    for (int i = 0; i < 5; ++i) {
        const auto verdict = rules.check(asked("GET", "/a", from("192.0.2.1")));
        CHECK(verdict.allowed());
        CHECK(verdict.told().empty());
    }
    CHECK(r.counters->of(Outcome::allowed) == 2);
    CHECK(r.counters->of(Outcome::would_deny) == 3);
    CHECK(r.counters->of(Outcome::denied) == 0);
    r.enforce_percent = 1;
    CHECK(Rules{RuleSet{{r}}}.check(asked("GET", "/a", from("192.0.2.2"))).told().size() == 1);
}

TEST_CASE("a percentage of clients is enforced, always the same ones", "[http][rules]") {
    const Fixture f;
    auto r = rule("r", {{f.bucket("b", 1)}});
    r.enforce_percent = 30;
    const Rules rules{RuleSet{{r}}};
    r.enforce_percent = 0;
    const Rules shadow{RuleSet{{r}}};
    int enforced = 0;
    for (int client = 0; client < 2000; ++client) {
        const auto caller = from("198.51." + std::to_string(client / 250) + "." + std::to_string(client % 250));
        CHECK(rules.check(asked("GET", "/a", caller)).allowed());
        const bool denied = !rules.check(asked("GET", "/a", caller)).allowed();
        CHECK(rules.check(asked("GET", "/a", caller)).allowed() == !denied);
        CHECK(shadow.check(asked("GET", "/a", caller)).allowed());
        enforced += denied ? 1 : 0;
    }
    CHECK(enforced > 500);
    CHECK(enforced < 700);
}

TEST_CASE("a failed store is answered by the limiter's mode and not given back", "[http][rules]") {
    const Fixture f;
    const auto failing = [](const char* name, sluice::FailureMode mode, sluice::Errc error = sluice::Errc::timeout) {
        return AnyLimiter{RateLimiter{
            TokenBucket{5, sluice::per_second(1)}, FailingStore{error}, {.name = name, .on_failure = mode}}};
    };
    using enum sluice::FailureMode;
    CHECK(Rules{RuleSet{{rule("r", {{failing("x", allow)}})}}}.check(asked("GET", "/a", from("192.0.2.1"))).allowed());
    CHECK_FALSE(
        Rules{RuleSet{{rule("r", {{failing("x", deny)}})}}}.check(asked("GET", "/a", from("192.0.2.1"))).allowed());

    const auto good = f.bucket("good", 5);
    const Rules rules{RuleSet{{rule("r", {{good}, {failing("x", deny)}})}}};
    CHECK_FALSE(rules.check(asked("GET", "/a", from("192.0.2.1"))).allowed());
    CHECK(good.peek("ip:192.0.2.1").remaining == 5);
    // A key that the store refuses must not be a way around the limit.
    const auto refusing = failing("x", allow, sluice::Errc::invalid_argument);
    CHECK_FALSE(Rules{RuleSet{{rule("r", {{refusing}})}}}.check(asked("GET", "/a", from("192.0.2.1"))).allowed());
}

TEST_CASE("rules can be replaced while requests are checked", "[http][rules]") {
    const Fixture f;
    const auto set = [&](int capacity) { return RuleSet{{rule("r", {{f.bucket("b", capacity)}})}}; };
    Rules rules{set(1)};
    const auto old = rules.check(asked("GET", "/a", from("192.0.2.1")));
    CHECK_FALSE(rules.check(asked("GET", "/a", from("192.0.2.1"))).allowed());
    rules.replace(set(1));  // unchanged limits keep their states
    CHECK_FALSE(rules.check(asked("GET", "/a", from("192.0.2.1"))).allowed());
    rules.replace(set(3));
    CHECK(rules.check(asked("GET", "/a", from("192.0.2.1"))).allowed());
    CHECK(old.rule()->name == "r");
    CHECK(old.answers()[0].name == "b");

    std::atomic<bool> stop{false};
    std::atomic<int> wrong{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 3; ++t) {
        threads.emplace_back([&] {
            while (!stop) {
                const auto verdict = rules.check(asked("GET", "/a", from("192.0.2.7")));
                if (verdict.rule() == nullptr || verdict.answers().size() != 1) ++wrong;
            }
        });
    }
    for (int i = 0; i < 500; ++i) rules.replace(set(1 + i % 7));
    stop = true;
    for (auto& thread : threads) thread.join();
    CHECK(wrong == 0);
}

TEST_CASE("who is on the deny list is counted as denied", "[http][rules]") {
    const Fixture f;
    const auto counters = std::make_shared<sluice::metrics::RuleCounters>();
    const Rules rules{RuleSet{{rule("r", {{f.bucket("b", 5)}})}, std::nullopt, {{Network{"192.0.2.0/24"}}, counters}}};
    const auto verdict = rules.check(asked("GET", "/a", from("192.0.2.1")));
    CHECK(verdict.outcome() == Outcome::denied);
    CHECK(verdict.is_forbidden());
    CHECK(verdict.rule()->name == "deny");
    CHECK(rules.check(asked("GET", "/a", from("198.51.100.1"))).allowed());
    CHECK(counters->of(Outcome::denied) == 1);
}

TEST_CASE("a limit whose numbers change takes over what is used, unless it says otherwise", "[http][rules]") {
    const Fixture f;
    const auto ask = [](const Rules& rules, const char* path) {
        const auto verdict = rules.check(asked("GET", path, from("192.0.2.1")));
        return verdict.answers().empty() ? 99 : verdict.answers().back().decision.remaining;
    };
    // Before: "kept", "own" and "other" with 10 each, of which 4 are used, and "day" for those with an account.
    std::vector<Rule> before{
        rule("kept", {{f.bucket("kept", 10)}}, "/kept"), rule("own", {{f.bucket("own", 10)}}, "/own"),
        rule("other", {{f.bucket("other", 10)}}, "/other"), rule("users", {{f.bucket("day", 10)}}, "/users")};
    Rules rules{RuleSet{before, rule("default", {{f.bucket("default", 10)}})}};
    for (const char* path : {"/kept", "/own", "/other", "/users", "/elsewhere"}) {
        for (int i = 0; i < 4; ++i) ask(rules, path);
        REQUIRE(ask(rules, path) == 5);
    }
    std::vector<Rule> after{rule("kept", {{f.bucket("kept", 20)}}, "/kept"),
                            rule("own", {{.limiter = f.bucket("own", 20), .carries_over = false}}, "/own"),
                            rule("other", {{f.bucket("other", 20), {KeyPart::rule}}}, "/other"),
                            rule("users", {{f.bucket("day", 20)}}, "/users"),
                            rule("new", {{f.bucket("day", 10)}}, "/new")};
    CHECK(rules.replace(RuleSet{after, rule("default", {{f.bucket("default", 6)}})}).empty());
    CHECK(ask(rules, "/kept") == 14);
    CHECK(ask(rules, "/own") == 19);    // by its own wish
    CHECK(ask(rules, "/other") == 19);  // counted by something else now
    CHECK(ask(rules, "/users") == 19);  // its old states are those of /new
    CHECK(ask(rules, "/new") == 4);
    CHECK(ask(rules, "/elsewhere") == 0);

    // Another change before a key was asked: what was used before both is not forgotten.
    after[1].tiers[0].limits[0] = {f.bucket("own", 30)};
    rules.replace(RuleSet{after});
    after[1].tiers[0].limits[0] = {f.bucket("own", 40)};
    rules.replace(RuleSet{after});
    rules.replace(RuleSet{after});
    CHECK(ask(rules, "/own") == 38);

    // Tiers do not share; a store that is elsewhere says so.
    const AnyLimiter remote =
        RateLimiter{TokenBucket{5, sluice::per_second(1)}, FailingStore{sluice::Errc::timeout}, {.name = "kept"}};
    Rule tiers{.name = "kept", .routes = {RoutePattern{"/kept"}}};
    tiers.tiers = {{.limits = {{f.bucket("kept", 50)}}, .authenticated = true}, {.limits = {{remote}}}};
    CHECK(rules.replace(RuleSet{{tiers}}) == std::vector<std::string>{"kept"});
    CHECK(rules.replace(RuleSet{{tiers}}).empty());  // it has not changed
    CHECK(rules.check(asked("GET", "/kept", from("192.0.2.1", "ann"))).answers()[0].decision.remaining == 49);
}

TEST_CASE("two rules that share a limit share what it takes over", "[http][rules]") {
    const Fixture f;
    const auto set = [&](int capacity) {
        return RuleSet{{rule("a", {{f.bucket("l", capacity)}}, "/a"), rule("b", {{f.bucket("l", capacity)}}, "/b")}};
    };
    Rules rules{set(10)};
    const auto ask = [&](const char* path) {
        return rules.check(asked("GET", path, from("192.0.2.1"))).answers()[0].decision.remaining;
    };
    CHECK(ask("/a") == 9);
    CHECK(ask("/b") == 8);
    rules.replace(set(20));
    CHECK(ask("/a") == 17);
    CHECK(ask("/b") == 16);
}

TEST_CASE("rules that cannot be meant are refused", "[http][rules]") {
    const Fixture f;
    const auto refused = [](auto make) {
        try {
            make();
        } catch (const std::invalid_argument& error) {
            return std::string{error.what()};
        }
        return std::string{};
    };
    const Limit limit{f.bucket("b", 1)};
    CHECK(refused([&] { RuleSet{{rule("r", {limit}), rule("r", {limit})}}; }) == "sluice: two rules have the name 'r'");
    CHECK(refused([&] { RuleSet({rule("r", {limit})}, rule("r", {limit})); }) == "sluice: two rules have the name 'r'");
    CHECK(refused([&] { RuleSet{{Rule{.name = "r"}}}; }) == "sluice: rule 'r': has no route");
    CHECK(refused([&] { RuleSet{{rule("", {limit})}}; }) != "");
    CHECK(refused([&] { RuleSet{{rule("r", {{f.bucket("", 1)}})}}; }) != "");
    CHECK(refused([&] {
              RuleSet{{rule("r", {limit, limit, limit, limit, limit})}};
          }) == "sluice: rule 'r': a tier has at most 4 limits, not 5");
    auto percent = rule("r", {limit});
    percent.enforce_percent = 101;
    CHECK(refused([&] { RuleSet{{percent}}; }) == "sluice: rule 'r': enforce_percent must be from 0 to 100, not 101");
    auto tiers = rule("r", {limit});
    tiers.tiers[0].authenticated = true;
    CHECK(refused([&] { RuleSet{{tiers}}; }) == "sluice: rule 'r': the last tier must take every caller");
    tiers.tiers.insert(tiers.tiers.begin(), Tier{});  // no limit for all, before a tier for some
    CHECK(refused([&] { RuleSet{{tiers}}; }) ==
          "sluice: rule 'r': this tier can never apply: tier 0, before it, takes all its callers");
    CHECK(refused([&] { RuleSet{{rule("r", {limit, limit})}}; }) == "sluice: rule 'r': limit 'b' is twice in one tier");
    auto methods = rule("r", {limit});
    methods.methods = {"GTE"};
    CHECK(refused([&] { RuleSet{{methods}}; }) == "sluice: rule 'r': there is no method \"GTE\"");
    auto exempt = rule("r", {limit});
    exempt.exempt_users = {""};
    CHECK(refused([&] { RuleSet{{exempt}}; }).substr(0, 40) == "sluice: rule 'r': an exempt user without");
    for (const std::uint64_t cost : {std::uint64_t{0}, std::uint64_t{2}, static_cast<std::uint64_t>(-1)}) {
        CHECK(refused([&] {
                  RuleSet{{rule("r", {{f.bucket("b", 1), {KeyPart::address}, cost}})}};
              }) == "sluice: rule 'r': limit 'b': cost must be from 1 to 1, not " + std::to_string(cost));
    }
    CHECK(refused([&] {
              RuleSet{{rule("r", {{f.bucket("b", 1), {KeyPart::rule, KeyPart::rule}}})}};
          }) == "sluice: rule 'r': limit 'b': a part is twice in its key");
    auto blocked = rule("r", {limit});
    blocked.tiers[0].blocked = true;
    CHECK(refused([&] { RuleSet{{blocked}}; }) == "sluice: rule 'r': a tier that is blocked has no limits");
    const auto by_host = [&](std::string host) {
        auto made = rule("r", {limit});
        made.condition.hosts = {std::move(host)};
        return refused([&] { RuleSet{{made}}; });
    };
    for (const char* good : {"a", "api.example.com", "*.example.com", "[2001:db8::1]"}) CHECK(by_host(good) == "");
    for (const char* bad :
         {"", "*.", "*", "a b", "A.example", "a/b", "a.*.b", "a:80", "[::1", "[::1]:80", "a\x7f", "\t"})
        CHECK(by_host(bad).substr(0, 40) == "sluice: rule 'r': a host is a name in sm");
    CHECK(by_host("a\x01\x80:").find("not \"a??:\"") != std::string::npos);
    auto named = rule("r", {limit});
    named.condition.headers = {{"X Y", "1"}};
    CHECK(refused([&] { RuleSet{{named}}; }) == "sluice: rule 'r': \"X Y\" cannot be such a name");
    named.condition.headers.clear();
    named.condition.query = {{"X Y", "1"}};
    CHECK(refused([&] { RuleSet{{named}}; }) == "");
    named.condition.query = {{"", "1"}};
    CHECK(refused([&] { RuleSet{{named}}; }) == "sluice: rule 'r': \"\" cannot be such a name");
    const auto by_path = rule("r", {{f.bucket("b", 1), {KeySource::path("id")}}});
    CHECK(refused([&] { RuleSet{{by_path}}; }) ==
          "sluice: rule 'r': route '/a' has no \"{id}\", so the path has no \"id\" to count by");
    auto by_no_path = by_path;
    by_no_path.routes.clear();
    CHECK(refused([&] { RuleSet({}, by_no_path); }).find("the default rule has no route") != std::string::npos);
    CHECK(refused([&] { RuleSet({}, methods); }) == "sluice: rule 'r': there is no method \"GTE\"");
}

TEST_CASE("a rule that an earlier one leaves nothing is refused", "[http][rules]") {
    const auto routes = [](std::string name, std::vector<const char*> patterns, std::vector<std::string> methods = {}) {
        Rule made{.name = std::move(name), .methods = std::move(methods)};
        for (const char* pattern : patterns) made.routes.emplace_back(pattern);
        return made;
    };
    const auto refused = [](std::vector<Rule> rules) {
        try {
            RuleSet{std::move(rules)};
        } catch (const std::invalid_argument& error) {
            return std::string{error.what()};
        }
        return std::string{};
    };
    const auto never = [](const char* route, const char* by) {
        return std::string{"sluice: rule 'last': can never apply to route '"} + route + "': rule '" + by +
               "', before it, takes all its requests";
    };
    CHECK(refused({routes("a", {"/**"}), routes("last", {"/b"})}) == never("/b", "a"));
    CHECK(refused({routes("a", {"/a"}), routes("last", {"/b", "/a"})}) == never("/a", "a"));
    CHECK(refused({routes("a", {"/x/*"}), routes("last", {"/x/y"})}) == never("/x/y", "a"));
    CHECK(refused({routes("a", {"/a"}), routes("b", {"/b/**"}), routes("last", {"/b"})}) == never("/b", "b"));
    CHECK(refused({routes("a", {"/a"}, {"GET"}), routes("last", {"/a"}, {"GET"})}) == never("/a", "a"));
    CHECK(refused({routes("a", {"/a"}, {"GET"}), routes("last", {"/a"}, {"HEAD"})}) == never("/a", "a"));
    CHECK(refused({routes("a", {"/a"}, {"GET"}), routes("b", {"/**"}, {"POST"}),
                   routes("last", {"/a"}, {"POST", "GET"})}) != "");
    // Here something is left.
    CHECK(refused({routes("a", {"/a"}, {"HEAD"}), routes("last", {"/a"}, {"GET"})}) == "");
    CHECK(refused({routes("a", {"/a"}, {"GET"}), routes("last", {"/a"})}) == "");
    CHECK(refused({routes("a", {"/a"}, {"GET"}), routes("last", {"/a"}, {"GET", "PUT"})}) == "");
    CHECK(refused({routes("a", {"/x/y"}), routes("last", {"/x/*"})}) == "");
    CHECK(refused({routes("a", {"/x/*"}), routes("last", {"/x/**"})}) == "");
}

TEST_CASE("keys of any length are kept apart", "[http][rules]") {
    const Fixture f;
    const Rules rules{RuleSet{{rule("r", {{f.bucket("b", 1), {KeyPart::user}}})}}};
    const std::string user(5000, 'x');
    CHECK(rules.check(asked("GET", "/a", from("192.0.2.1", user + "1"))).allowed());
    CHECK(rules.check(asked("GET", "/a", from("192.0.2.1", user + "2"))).allowed());
    CHECK_FALSE(rules.check(asked("GET", "/a", from("192.0.2.1", user + "1"))).allowed());
}
