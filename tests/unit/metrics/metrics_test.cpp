// SPDX-License-Identifier: MIT
#include "support/catch.hpp"

#include <chrono>
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
    sluice::metrics::ShardedCounters<3> counters;
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
    STATIC_REQUIRE(alignof(sluice::metrics::ShardedCounters<3>) >= 64);
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
    registry.rule("login")->count(Outcome::denied);
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
    CHECK(samples.at(R"(sluice_decision_seconds_bucket{limiter="a\"p\\i",le="1e-07"})") == 0);
    CHECK(samples.at(R"(sluice_decision_seconds_bucket{limiter="a\"p\\i",le="2.5e-07"})") == 1);
    CHECK(samples.at(R"(sluice_decision_seconds_bucket{limiter="a\"p\\i",le="1"})") == 1);
    CHECK(samples.at(R"(sluice_decision_seconds_bucket{limiter="a\"p\\i",le="+Inf"})") == 2);
    CHECK(samples.at(R"(sluice_decision_seconds_count{limiter="a\"p\\i"})") == 2);
    CHECK(samples.at(R"(sluice_decision_seconds_sum{limiter="a\"p\\i"})") == Approx(2.0000002));
    CHECK(samples.at(R"(sluice_rule_requests_total{rule="login",outcome="denied"})") == 1);
    CHECK(samples.at(R"(sluice_rule_requests_total{rule="login",outcome="would_deny"})") == 0);
    CHECK(samples.at(R"(sluice_store_keys{store="main"})") == 1);
    CHECK(samples.at(R"(sluice_store_overflowed_total{store="other"})") == 0);
    CHECK(samples.count(R"(broken{store="main"})") == 0);
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
