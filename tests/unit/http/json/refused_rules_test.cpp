// SPDX-License-Identifier: MIT
//
// Rules files that can be read but not be meant: each is refused with the file, the place in it and the reason.
#include "support/catch.hpp"

#include <string>
#include <vector>

#include <sluice/http/json/rules.hpp>

#include "support/asked.hpp"

using namespace sluice::http;

namespace {

/// What is said against a document; empty where it is accepted.
std::string refusal(const std::string& text) {
    try {
        static_cast<void>(parse_rules(text, "f", MemoryLimiters{{.max_keys = 1000}}));
        return {};
    } catch (const RulesError& error) {
        return error.what();
    }
}

std::string limit_named(const std::string& name, int capacity, const std::string& more = {}) {
    return R"({"name":")" + name + R"(","policy":{"kind":"token_bucket","capacity":)" + std::to_string(capacity) +
           R"(,"refill":"1/s"})" + more + "}";
}
std::string rule_named(const std::string& name, const std::string& routes, const std::string& limits,
                       const std::string& more = {}) {
    return R"({"name":")" + name + R"(","routes":[)" + routes + R"(],"limits":[)" + limits + "]" + more + "}";
}
std::string rules_of(const std::vector<std::string>& all) {
    std::string out;
    for (const auto& one : all) out += (out.empty() ? "" : ",") + one;
    return R"({"rules":[)" + out + "]}";
}

std::string limit(const std::string& text) {
    return R"({"rules":[{"name":"r","routes":["/a"],"limits":[)" + text + "]}]}";
}
std::string policy(const std::string& text) { return limit(R"({"name":"l","policy":)" + text + "}"); }
std::string rule(const std::string& text) { return R"({"rules":[{"name":"r","routes":["/a"])" + text + "}]}"; }

}  // namespace

TEST_CASE("a number that no type holds is refused where it stands", "[http][json]") {
    const std::string why = ": a number that is out of range: ";
    CHECK(refusal(policy(R"({"kind":"token_bucket","capacity":1e999,"refill":"1/s"})")) ==
          "f: /rules/0/limits/0/policy/capacity" + why + "1e999");
    CHECK(refusal(policy(R"({"kind":"token_bucket","capacity":-1e999,"refill":"1/s"})")) ==
          "f: /rules/0/limits/0/policy/capacity" + why + "-1e999");
    CHECK(refusal(R"({"rules": [], "x": [{}, [1, 2, 1e400]]})") == "f: /x/1/2" + why + "1e400");
    CHECK(refusal("1e999") == "f" + why + "1e999");
    CHECK(refusal(R"({"rules": [{"a": 1, "b": {}, "a": 2}]})") == "f: /rules/0: member \"a\" is given twice");
}

TEST_CASE("durations and rates are whole numbers with a unit", "[http][json]") {
    const auto window = [](const std::string& text) {
        return refusal(policy(R"({"kind":"fixed_window","limit":1,"window":")" + text + "\"}"));
    };
    const auto refill = [](const std::string& text) {
        return refusal(policy(R"({"kind":"token_bucket","capacity":1,"refill":")" + text + "\"}"));
    };
    for (const char* unit : {"ns", "us", "ms", "s", "m", "h", "d"}) {
        CHECK(window(std::string{"30"} + unit) == "");
        CHECK(refill(std::string{"1/"} + unit) == "");
        CHECK(refill(std::string{"9/90"} + unit) == "");
    }
    // The longest that a duration holds, which is more than a window may be.
    CHECK(window("9223372036854775807ns").find("must be a duration such as") == std::string::npos);
    for (const char* bad :
         {"", "1", "s", "-1s", "+1s", "/s", ":s", "1S", "1sec", "s1", "9223372036854775808ns", "9223372036854776us"}) {
        INFO(bad);
        CHECK(window(bad).find("must be a duration such as") != std::string::npos);
    }
    for (const char* bad : {"", "1", "/s", "-1/s", "1:s", "1/", "1/S", "1/-1s", "1/ s", "1/:s",
                            "18446744073709551616/s", "1/9223372036854775808s", "1/9223372036854776us"}) {
        INFO(bad);
        CHECK(refill(bad).find("must be a rate such as") != std::string::npos);
    }
}

TEST_CASE("what a file may say of costs, denials and counting is told", "[http][json]") {
    const auto of_limit = [](const std::string& more) { return refusal(limit(limit_named("l", 9, more))); };
    CHECK(of_limit(R"(,"cost":{"body_bytes":1024})") == "");
    CHECK(of_limit(R"(,"cost":{})").find("a number, {\"body_bytes\": 1024} or {\"function\": \"name\"}") !=
          std::string::npos);
    CHECK(of_limit(R"(,"cost":{"body_bytes":1,"function":"f"})").find("a number, {") != std::string::npos);
    CHECK(of_limit(R"(,"cost":{"function":"f"})").find("of which the program gives none here") != std::string::npos);
    const auto of_rule = [](const std::string& more) {
        return refusal(rules_of({rule_named("r", "\"/a\"", limit_named("l", 9), more)}));
    };
    CHECK(of_rule(R"(,"answer":{})").find("is empty, which cannot be meant") != std::string::npos);
    CHECK(of_rule(R"(,"answer":{"body":"no"})").find("which need each other") != std::string::npos);
    CHECK(of_rule(R"(,"answer":{"status":420})") == "");
}

TEST_CASE("one limit twice in a tier is refused", "[http][json]") {
    CHECK(refusal(limit(limit_named("tw", 4) + "," + limit_named("tw", 4))) ==
          "f: /rules/0/limits/1: rule 'r': limit 'tw' is twice in one tier");
    CHECK(refusal(rule(R"(,"tiers":[{"plan":"gold","limits":[)" + limit_named("a", 4) + "]},{\"limits\":[" +
                       limit_named("b", 1) + "," + limit_named("b", 2) + "]}]")) ==
          "f: /rules/0/tiers/1/limits/1: rule 'r': limit 'b' is twice in one tier");
    CHECK(refusal(R"({"rules":[],"default":{"name":"d","limits":[)" + limit_named("b", 1) + "," + limit_named("b", 2) +
                  "]}}") == "f: /default/limits/1: rule 'd': limit 'b' is twice in one tier");
}

TEST_CASE("a rule that never applies is refused", "[http][json]") {
    const auto taken = [](const std::string& place, const std::string& name, const std::string& route,
                          const std::string& by) {
        return "f: /rules/" + place + ": rule '" + name + "': can never apply to route '" + route + "': rule '" + by +
               "', before it, takes all its requests";
    };
    CHECK(refusal(rules_of({rule_named("all", "\"/**\"", limit_named("a", 100)),
                            rule_named("login", "\"/login\"", limit_named("l", 1))})) ==
          taken("1/routes/0", "login", "/login", "all"));
    CHECK(refusal(rules_of({rule_named("one", "\"/a\"", limit_named("a", 100)),
                            rule_named("two", "\"/b\",\"/a\"", limit_named("l", 1))})) ==
          taken("1/routes/1", "two", "/a", "one"));
    CHECK(refusal(rules_of({rule_named("one", "\"/a\"", limit_named("a", 1), R"(,"methods":["GET","POST"])"),
                            rule_named("two", "\"/a\"", limit_named("l", 1), R"(,"methods":["POST","HEAD"])")})) ==
          taken("1/routes/0", "two", "/a", "one"));
    // Something is left for the second.
    CHECK(refusal(rules_of({rule_named("one", "\"/a\"", limit_named("a", 1), R"(,"methods":["POST"])"),
                            rule_named("two", "\"/a\"", limit_named("l", 1))})) == "");
}

TEST_CASE("a method that is none is refused", "[http][json]") {
    CHECK(refusal(rule(R"(,"methods":["GET","GTE"])")) ==
          "f: /rules/0/methods/1: rule 'r': there is no method \"GTE\"");
    CHECK(refusal(rule(R"(,"methods":["GET","PROPFIND","PATCH"])")) == "");
}

TEST_CASE("an empty list is refused where it would mean no limit, or all methods", "[http][json]") {
    const std::string why = ": is an empty list, which cannot be meant";
    CHECK(refusal(rule(R"(,"limits":[])")) == "f: /rules/0/limits" + why);
    CHECK(refusal(rule(R"(,"tiers":[])")) == "f: /rules/0/tiers" + why);
    CHECK(refusal(rule(R"(,"tiers":[{"limits":[]}])")) == "f: /rules/0/tiers/0/limits" + why);
    CHECK(refusal(rule(R"(,"methods":[])")) == "f: /rules/0/methods" + why);
    CHECK(refusal(R"({"rules":[],"default":{"name":"d","limits":[]}})") == "f: /default/limits" + why);
}

TEST_CASE("a tier that never applies is refused", "[http][json]") {
    const std::string open = R"({"limits":[)" + limit_named("o", 1) + "]}";
    const std::string gold = R"({"plan":"gold","limits":[)" + limit_named("g", 1) + "]}";
    const std::string known = R"({"authenticated":true,"limits":[)" + limit_named("k", 1) + "]}";
    const std::string known_gold = R"({"authenticated":true,"plan":"gold","limits":[)" + limit_named("kg", 1) + "]}";
    const auto tiers = [](const std::string& text) { return rule(R"(,"tiers":[)" + text + "]"); };
    const auto never = [](int tier, int by) {
        return "f: /rules/0/tiers/" + std::to_string(tier) + ": rule 'r': this tier can never apply: tier " +
               std::to_string(by) + ", before it, takes all its callers";
    };
    CHECK(refusal(tiers(open + "," + gold)) == never(1, 0));
    CHECK(refusal(tiers(known + "," + open + "," + gold)) == never(2, 1));
    CHECK(refusal(tiers(gold + "," + gold + "," + open)) == never(1, 0));
    CHECK(refusal(tiers(gold + "," + known_gold + "," + open)) == never(1, 0));
    CHECK(refusal(tiers(known + "," + known_gold + "," + open)) == never(1, 0));
    CHECK(refusal(tiers(known_gold + "," + gold + "," + known + "," + open)) == "");
    CHECK(refusal(tiers(R"({"plan":"","limits":[)" + limit_named("g", 1) + "]}," + open)) ==
          "f: /rules/0/tiers/0/plan: is empty; leave it out for callers of any plan");
    CHECK(refusal(tiers(R"({"plan":"gold","unlimited":true},)" + open)) == "");
    CHECK(refusal(tiers(R"({"plan":"gold","unlimited":false},)" + open)) ==
          "f: /rules/0/tiers/0: member \"limits\" is missing");
}

TEST_CASE("a user without a name, and a key with a part twice, are refused", "[http][json]") {
    CHECK(refusal(rule(R"(,"exempt":{"users":["ann",""]})")).substr(0, 69) ==
          "f: /rules/0/exempt/users/1: rule 'r': an exempt user without a name w");
    CHECK(refusal(limit(limit_named("l", 1, R"(,"key":["user","user"])"))) ==
          "f: /rules/0/limits/0/key/1: rule 'r': limit 'l': a part is twice in its key");
}

TEST_CASE("rules share a bucket only where both say so", "[http][json]") {
    const auto two = [](const std::string& first, const std::string& second) {
        return rules_of({rule_named("search", "\"/search\"", first), rule_named("upload", "\"/upload\"", second)});
    };
    const std::string shared = R"(,"shared":true)";
    const std::string silent =
        "f: /rules/1/limits/0: limit \"burst\" has the name and the policy of /rules/0/limits/0, so both rules count "
        "in "
        "one bucket: give it another name, put \"rule\" into its key, or write \"shared\": true in both";
    const std::string alone =
        ": limit \"burst\" says \"shared\": true, but no other rule has a limit of this name and policy";
    CHECK(refusal(two(limit_named("burst", 5), limit_named("burst", 5))) == silent);
    CHECK(refusal(two(limit_named("burst", 5, shared), limit_named("burst", 5))) == silent);
    CHECK(refusal(two(limit_named("burst", 5), limit_named("burst", 5, shared))) == silent);
    CHECK(refusal(two(limit_named("burst", 5, R"(,"key":["user"])"), limit_named("burst", 5))) == silent);
    CHECK(refusal(two(limit_named("burst", 5, shared), limit_named("burst", 5, shared))) == "");
    const std::string first = R"({"rules":[)" + rule_named("search", "\"/search\"", limit_named("burst", 5)) + "]";
    CHECK(refusal(first + R"(,"default":{"name":"d","limits":[)" + limit_named("burst", 5) + "]}}") ==
          "f: /default/limits/0" + silent.substr(silent.find(": limit")));
    // A changed number would part them without a word.
    CHECK(refusal(two(limit_named("burst", 5, shared), limit_named("burst", 6, shared))) ==
          "f: /rules/0/limits/0" + alone);
    CHECK(refusal(two(limit_named("burst", 5, shared), limit_named("other", 5))) == "f: /rules/0/limits/0" + alone);
    CHECK(refusal(two(limit_named("burst", 5), limit_named("burst", 6))) == "");
    CHECK(refusal(two(limit_named("burst", 5, R"(,"key":["address","rule"])"), limit_named("burst", 5))) == "");
    CHECK(refusal(two(limit_named("burst", 5, R"(,"key":[])"), limit_named("burst", 5))) == "");

    const Rules rules{parse_rules(two(limit_named("burst", 1, shared), limit_named("burst", 1, shared)), "f",
                                  MemoryLimiters{{.max_keys = 1000}})};
    CHECK(rules.check(asked("GET", "/search", {})).allowed());
    CHECK_FALSE(rules.check(asked("GET", "/upload", {})).allowed());
}
