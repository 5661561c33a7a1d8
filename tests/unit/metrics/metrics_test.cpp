// SPDX-License-Identifier: MIT
#include "support/catch.hpp"

#include <chrono>
#include <cstdint>
#include <limits>
#include <map>
#include <regex>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <sluice/metrics/registry.hpp>
#include <sluice/sluice.hpp>

using namespace std::chrono_literals;
using sluice::Decision;
using sluice::Errc;
using sluice::metrics::LimiterCounters;
using sluice::metrics::Outcome;
using sluice::metrics::Registry;

namespace {

/// Samples by name and labels; fails on a line that the text format does not have, and on metrics that are mixed.
std::map<std::string, double> parse(const std::string& text) {
    static const std::regex comment{R"(# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+))"};
    static const std::regex sample{
        R"rx(([a-zA-Z_:][a-zA-Z0-9_:]*)(\{([a-z]+="([^"\\]|\\["\\n])*")(,[a-z]+="([^"\\]|\\["\\n])*")*\})? ([-+.e0-9]+))rx"};
    std::map<std::string, double> samples;
    std::string metric;
    std::istringstream lines{text};
    for (std::string line; std::getline(lines, line);) {
        INFO(line);
        std::smatch match;
        if (std::regex_match(line, match, comment)) {
            metric = match[2];
        } else {
            REQUIRE(std::regex_match(line, match, sample));
            REQUIRE(match[1].str().substr(0, metric.size()) == metric);
            REQUIRE(samples.emplace(line.substr(0, line.rfind(' ')), std::stod(match[7])).second);
        }
    }
    REQUIRE(text.back() == '\n');
    return samples;
}

void observe(LimiterCounters& counters, bool allowed, std::chrono::nanoseconds latency, std::error_code error = {}) {
    Decision decision;
    decision.allowed = allowed;
    decision.error = error;
    counters.on_decision({"l", "key", 1, decision, latency});
}

}  // namespace

TEST_CASE("sharded counters lose nothing between threads", "[metrics]") {
    sluice::detail::ShardedCounters<3> counters;
    std::vector<std::thread> threads;
    for (int t = 0; t < 20; ++t) {
        threads.emplace_back([&] {
            for (int i = 0; i < 10'000; ++i) counters.add(static_cast<std::size_t>(i % 2), 3);
        });
    }
    for (auto& thread : threads) thread.join();
    CHECK(counters.sum(0) == 300'000);
    CHECK(counters.sum(1) == 300'000);
    CHECK(counters.sum(2) == 0);
    STATIC_REQUIRE(alignof(sluice::detail::ShardedCounters<3>) >= 64);
}

TEST_CASE("a limiter's decisions are counted by outcome, error and latency", "[metrics]") {
    LimiterCounters counters;
    observe(counters, true, 50ns);
    observe(counters, true, 100ns);
    observe(counters, false, 101ns);
    observe(counters, true, 3ms, Errc::timeout);
    observe(counters, false, 5s, std::make_error_code(std::errc::io_error));
    observe(counters, true, -1ns, Errc::degraded);
    CHECK(counters.allowed() == 4);
    CHECK(counters.denied() == 2);
    CHECK(counters.with_error(Errc::timeout) == 1);
    CHECK(counters.with_error(Errc::degraded) == 1);
    CHECK(counters.with_error(Errc::server_error) == 1);
    CHECK(counters.with_error(Errc::no_memory) == 0);
    CHECK(counters.latency_bucket(0) == 3);
    CHECK(counters.latency_bucket(1) == 1);
    CHECK(counters.latency_bucket(LimiterCounters::edges_ns.size()) == 1);
    CHECK(counters.latency_sum() == 5s + 3ms + 251ns);
}

TEST_CASE("the exposition is Prometheus' text format", "[metrics]") {
    Registry registry;
    const auto api = registry.limiter("a\"p\\i");
    CHECK(registry.limiter("a\"p\\i") == api);
    observe(*api, true, 200ns);
    observe(*api, false, 2s, Errc::breaker_open);
    const auto login = registry.rule("login");
    login->count(Outcome::denied);
    sluice::MemoryStore<sluice::TokenBucket> store{{.max_keys = 100}};
    registry.add_store("main", store);
    registry.add_store("other", store);
    registry.add("broken", "gauge", "Throws.", "main", []() -> double { throw std::runtime_error{"gone"}; });
    const sluice::RateLimiter limiter{sluice::TokenBucket{1, sluice::per_second(1)}, store};
    static_cast<void>(limiter.try_consume("secret-user"));

    const auto text = registry.prometheus();
    CHECK(text.find("secret-user") == std::string::npos);
    auto samples = parse(text);
    CHECK(samples.at(R"(sluice_decisions_total{limiter="a\"p\\i",outcome="allowed"})") == 1);
    CHECK(samples.at(R"(sluice_decisions_total{limiter="a\"p\\i",outcome="denied"})") == 1);
    CHECK(samples.at(R"(sluice_errors_total{limiter="a\"p\\i",reason="breaker_open"})") == 1);
    CHECK(samples.at(R"(sluice_decision_duration_seconds_bucket{limiter="a\"p\\i",le="1e-07"})") == 0);
    CHECK(samples.at(R"(sluice_decision_duration_seconds_bucket{limiter="a\"p\\i",le="2.5e-07"})") == 1);
    CHECK(samples.at(R"(sluice_decision_duration_seconds_bucket{limiter="a\"p\\i",le="1"})") == 1);
    CHECK(samples.at(R"(sluice_decision_duration_seconds_bucket{limiter="a\"p\\i",le="+Inf"})") == 2);
    CHECK(samples.at(R"(sluice_decision_duration_seconds_count{limiter="a\"p\\i"})") == 2);
    CHECK(samples.at(R"(sluice_decision_duration_seconds_sum{limiter="a\"p\\i"})") == Approx(2.0000002));
    CHECK(samples.at(R"(sluice_rule_requests_total{rule="login",outcome="denied"})") == 1);
    CHECK(samples.at(R"(sluice_rule_requests_total{rule="login",outcome="would_deny"})") == 0);
    CHECK(samples.at(R"(sluice_store_keys{store="main"})") == 1);
    CHECK(samples.at(R"(sluice_store_overflowed_total{store="other"})") == 0);
    CHECK(samples.count(R"(broken{store="main"})") == 0);
}

TEST_CASE("numbers are written with all their digits", "[metrics]") {
    using sluice::metrics::PrometheusText;
    Registry registry;
    registry.add("a_total", "counter", "Large.", "s", [] { return 12345678901.0; });
    registry.add("b_total", "counter", "Larger.", "s", [] { return std::uint64_t{18446744073709551615u}; });
    registry.add("c", "gauge", "Signed.", "s", [] { return -3; });
    registry.add("d", "gauge", "Yes or no.", "s", [] { return true; });
    const auto counters = registry.limiter("l");
    observe(*counters, true, 1'000'000'000s + 1ns);
    const auto text = registry.prometheus();
    CHECK_THAT(text, contains_text("a_total{store=\"s\"} 12345678901\n"));
    CHECK_THAT(text, contains_text("b_total{store=\"s\"} 18446744073709551615\n"));
    CHECK_THAT(text, contains_text("c{store=\"s\"} -3\n"));
    CHECK_THAT(text, contains_text("d{store=\"s\"} 1\n"));
    CHECK_THAT(text, contains_text("sluice_decision_duration_seconds_sum{limiter=\"l\"} 1000000000.000000001\n"));
    CHECK(PrometheusText::number(0.1) == "0.1");
    CHECK(PrometheusText::number(1.0 / 3) == "0.3333333333333333");
    CHECK(PrometheusText::number(2.5e-7) == "2.5e-07");
    CHECK(PrometheusText::number(98765432109.0) == "98765432109");
    CHECK(PrometheusText::number(0.1 + 0.2) == "0.30000000000000004");
    CHECK(PrometheusText::number(std::numeric_limits<double>::quiet_NaN()) == "NaN");
    CHECK(PrometheusText::number(-std::numeric_limits<double>::infinity()) == "-Inf");
    CHECK(PrometheusText::seconds(1'500ms) == "1.5");
    CHECK(PrometheusText::seconds(0s) == "0");
    CHECK(PrometheusText::seconds(10s + 1ns) == "10.000000001");
}

TEST_CASE("texts and names are escaped as the format wants it", "[metrics]") {
    Registry registry;
    registry.add("a", "gauge", "Two\nlines, a \\ and a \"quote\".", "C:\\x\n\"y\"", [] { return 1; });
    const auto text = registry.prometheus();
    CHECK_THAT(text, contains_text("# HELP a Two\\nlines, a \\\\ and a \"quote\".\n"));
    CHECK_THAT(text, contains_text("a{store=\"C:\\\\x\\n\\\"y\\\"\"} 1\n"));
    const auto odd = registry.limiter(std::string{"a\xff\0", 3});
    const auto good = registry.limiter("\xc3\xa4");
    CHECK_THAT(registry.prometheus(),
               contains_text("sluice_decisions_total{limiter=\"a\\\\xff\\\\x00\",outcome=\"allowed\"} 0\n"));
    CHECK_THAT(registry.prometheus(), contains_text("limiter=\"\xc3\xa4\""));
    using sluice::metrics::detail::is_utf8;
    for (const char* text_of_bytes :
         {"\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82", "\x80", "\xf5\x80\x80\x80", "\xc1\xbf",
          "\xe0\x9f\xbf", "\xed\xbf\xbf", "\xf0\x8f\xbf\xbf", "\xc3(", "\xe2\x82(", "\xe2(\x82", "a\xc3", "\xff",
          "\xc3\xc3"}) {
        CHECK_FALSE(is_utf8(text_of_bytes));
    }
    CHECK(is_utf8("\xf0\x9f\x92\xa7 \xe2\x82\xac \xf4\x8f\xbf\xbf"));
    CHECK(is_utf8("\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xf0\x90\x80\x80"));
    CHECK_THAT((static_cast<void>(registry.limiter("\x80")), registry.prometheus()),
               contains_text("limiter=\"\\\\x80\""));
}

TEST_CASE("a metric that the format does not have, or that the registry writes itself, is refused", "[metrics]") {
    Registry registry;
    const auto add = [&](const char* name, const char* type) {
        registry.add(name, type, "Help.", "s", [] { return 1; });
    };
    CHECK_THROWS_AS(add("", "gauge"), std::invalid_argument);
    for (const char* good : {"a", "z", "A", "Z", "_", ":", "a0", "a9"}) CHECK_NOTHROW(add(good, "gauge"));
    CHECK_THROWS_AS(add("1a", "gauge"), std::invalid_argument);
    CHECK_THROWS_AS(add("a b", "gauge"), std::invalid_argument);
    CHECK_THROWS_AS(add("a", "histogram"), std::invalid_argument);
    CHECK_THROWS_AS(add("sluice_decisions_total", "counter"), std::invalid_argument);
    CHECK_THROWS_AS(add("sluice_decision_duration_seconds_sum", "counter"), std::invalid_argument);
    CHECK_NOTHROW(add("a:b_1", "gauge"));
}

TEST_CASE("counters are there as long as somebody holds them", "[metrics]") {
    Registry registry;
    {
        const auto first = registry.limiter("old");
        const auto rule = registry.rule("old rule");
        observe(*first, true, 1ns);
        CHECK(registry.limiter("old") == first);
        CHECK(registry.limiter("old")->allowed() == 1);
        const auto samples = parse(registry.prometheus());
        CHECK(samples.count(R"(sluice_decisions_total{limiter="old",outcome="allowed"})") == 1);
        CHECK(samples.count(R"(sluice_rule_requests_total{rule="old rule",outcome="allowed"})") == 1);
    }
    CHECK_THAT(registry.prometheus(), !contains_text("old"));
}

TEST_CASE("no series is written twice", "[metrics]") {
    Registry registry;
    sluice::MemoryStore<sluice::TokenBucket> one{{.max_keys = 100}};
    sluice::MemoryStore<sluice::TokenBucket> two{{.max_keys = 100}};
    const sluice::RateLimiter limiter{sluice::TokenBucket{1, sluice::per_second(1)}, two};
    static_cast<void>(limiter.try_consume("k"));
    registry.add_store("main", one);
    registry.add_store("main", two);  // takes the first one's place
    registry.add("level", "gauge", "A level.", "main", [] { return 1; });
    registry.add("level", "gauge", "A level.", "main", [] { return 2; });
    auto samples = parse(registry.prometheus());  // which fails where one is there twice
    CHECK(samples.at(R"(sluice_store_keys{store="main"})") == 1);
    CHECK(samples.at(R"(level{store="main"})") == 2);

    auto tracked = registry.track_store("main", one);  // a further one beside it
    const auto third = registry.track_store("main", one);
    samples = parse(registry.prometheus());
    CHECK(samples.at(R"(sluice_store_keys{store="main 2"})") == 0);
    CHECK(samples.at(R"(sluice_store_keys{store="main 3"})") == 0);
    tracked.reset();
    CHECK(parse(registry.prometheus()).count(R"(sluice_store_keys{store="main 2"})") == 0);
    registry.add_store("main 3", two);
    CHECK(parse(registry.prometheus()).at(R"(sluice_store_keys{store="main 3"})") == 1);
    registry.remove_store("main");
    samples = parse(registry.prometheus());
    CHECK(samples.count(R"(sluice_store_keys{store="main"})") == 0);
    CHECK(samples.count(R"(level{store="main"})") == 0);
}

namespace {

/// What a remote store's stats() look like.
struct RemoteStore {
    struct Stats {
        std::uint64_t decisions = 12345678901, failures = 2, round_trips = 3, scripts = 4, dials = 5;
        std::uint64_t breaker_openings = 6;
        bool breaker_is_open = true;
        std::size_t connections = 7;
    };
    Stats stats() const noexcept { return {}; }
};

}  // namespace

TEST_CASE("a remote store's statistics are metrics, too", "[metrics]") {
    Registry registry;
    registry.add_store("redis", RemoteStore{});
    const auto samples = parse(registry.prometheus());
    CHECK(samples.at(R"(sluice_store_decisions_total{store="redis"})") == 12345678901);
    CHECK(samples.at(R"(sluice_store_failures_total{store="redis"})") == 2);
    CHECK(samples.at(R"(sluice_store_round_trips_total{store="redis"})") == 3);
    CHECK(samples.at(R"(sluice_store_scripts_total{store="redis"})") == 4);
    CHECK(samples.at(R"(sluice_store_dials_total{store="redis"})") == 5);
    CHECK(samples.at(R"(sluice_store_breaker_openings_total{store="redis"})") == 6);
    CHECK(samples.at(R"(sluice_store_breaker_open{store="redis"})") == 1);
    CHECK(samples.at(R"(sluice_store_connections{store="redis"})") == 7);
    CHECK(samples.count(R"(sluice_store_statements_total{store="redis"})") == 0);
}

TEST_CASE("counters are a limiter's observer", "[metrics]") {
    Registry registry;
    const sluice::RateLimiter limiter{sluice::TokenBucket{2, sluice::per_hour(1)},
                                      sluice::LimiterOptions{.name = "api", .observer = registry.limiter("api")}};
    for (int i = 0; i < 5; ++i) static_cast<void>(limiter.try_consume("k"));
    CHECK(registry.limiter("api")->allowed() == 2);
    CHECK(registry.limiter("api")->denied() == 3);
    CHECK(registry.limiter("api")->latency_sum() > 0ns);
}
