// SPDX-License-Identifier: MIT

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <sluice/rate_limiter.hpp>
#include <sluice/sluice.hpp>

#include "support/catch.hpp"

using namespace std::chrono_literals;

namespace {

/// Answers what it is told, and may refuse a policy when a limiter is made.
struct ScriptedStore {
    std::shared_ptr<sluice::Decision> answer = std::make_shared<sluice::Decision>();
    bool refuses = false;

    template <sluice::Policy P>
    sluice::Decision decide(const sluice::Request<P>&) const noexcept {
        return *answer;
    }
    template <sluice::Policy P>
    void check(const sluice::Scope<P>&) const {
        if (refuses) throw std::invalid_argument("not this one");
    }
};

struct Heard {
    std::string limiter;
    std::string key;
    std::uint64_t cost;
    bool allowed;
};

class Recorder : public sluice::Observer {
public:
    void on_decision(const sluice::DecisionEvent& event) override {
        heard.push_back({std::string{event.limiter}, std::string{event.key}, event.cost, event.decision.allowed});
        if (event.latency < 0ns) throw std::runtime_error("time went back");
        if (after) after();
    }
    std::vector<Heard> heard;
    std::function<void()> after;
};

const sluice::TokenBucket bucket{5, sluice::per_second(1)};

}  // namespace

TEST_CASE("the failure mode answers where the store cannot") {
    const auto mode = GENERATE(sluice::FailureMode::allow, sluice::FailureMode::deny);
    ScriptedStore store;
    *store.answer = sluice::Decision{
        .allowed = true, .limit = 7, .remaining = 3, .retry_after = 1s, .reset_after = 2s, .delay = 3s};
    store.answer->error = sluice::Errc::timeout;
    const sluice::RateLimiter limiter{bucket, store, {.on_failure = mode}};
    for (const auto& decision : {limiter.try_consume("key"), limiter.peek("key"), limiter.try_consume("key", 5),
                                 limiter.try_consume("key", 1, sluice::TokenBucket{5, sluice::per_second(2)})}) {
        CHECK(decision.allowed == (mode == sluice::FailureMode::allow));
        CHECK(decision.error == sluice::Errc::timeout);
        CHECK(decision.limit == 5);
        CHECK(decision.remaining == 0);
        CHECK(decision.retry_after == 0ns);
        CHECK(decision.reset_after == 0ns);
        CHECK(decision.delay == 0ns);
    }
    const auto never = limiter.try_consume("key", 6);
    CHECK_FALSE(never);
    CHECK(never.retry_after == sluice::Decision::never);
    CHECK(never.error == sluice::Errc::timeout);
    CHECK(limiter.refund("key", 1) == sluice::Errc::timeout);
    CHECK(limiter.reset("key") == sluice::Errc::timeout);
}

TEST_CASE("a degraded answer and that of a full store stand") {
    const auto error = GENERATE(sluice::Errc::degraded, sluice::Errc::store_full);
    ScriptedStore store;
    *store.answer = sluice::Decision{.allowed = false, .limit = 5, .remaining = 1, .retry_after = 1s};
    store.answer->error = error;
    const auto decision =
        sluice::RateLimiter{bucket, store, {.on_failure = sluice::FailureMode::allow}}.try_consume("key");
    CHECK_FALSE(decision);
    CHECK(decision.error == error);
    CHECK(decision.remaining == 1);
    CHECK(decision.retry_after == 1s);
}

TEST_CASE("a store may refuse a policy") {
    CHECK_THROWS_AS((sluice::RateLimiter{bucket, ScriptedStore{.refuses = true}}), std::invalid_argument);
}

TEST_CASE("an observer hears of each request, and its trouble stays its own") {
    const auto recorder = std::make_shared<Recorder>();
    const sluice::RateLimiter limiter{bucket, sluice::LimiterOptions{.name = "api", .observer = recorder}};
    CHECK(limiter.try_consume("a"));
    CHECK_FALSE(limiter.try_consume("b", 6));
    static_cast<void>(limiter.peek("a"));
    static_cast<void>(limiter.refund("a", 1));
    const std::array<std::string_view, 2> keys{"c", "d"};
    std::array<sluice::Decision, 2> decisions;
    limiter.try_consume_many(keys, decisions);
    REQUIRE(recorder->heard.size() == 4);
    CHECK(recorder->heard[0].limiter == "api");
    CHECK(recorder->heard[0].key == "a");
    CHECK(recorder->heard[0].allowed);
    CHECK(recorder->heard[1].cost == 6);
    CHECK_FALSE(recorder->heard[1].allowed);
    CHECK(recorder->heard[3].key == "d");

    recorder->after = [] { throw std::runtime_error("full disk"); };
    CHECK(limiter.try_consume("e"));
    limiter.try_consume_many(keys, decisions);
    CHECK(decisions[1].remaining == 3);
}

TEST_CASE("an observer may use the limiter again") {
    const auto recorder = std::make_shared<Recorder>();
    const sluice::RateLimiter limiter{sluice::SlidingWindow{5, 1h}, sluice::LimiterOptions{.observer = recorder}};
    int depth = 0;
    recorder->after = [&] {
        if (depth++ == 0) static_cast<void>(limiter.try_consume("key"));
    };
    CHECK(limiter.try_consume("key"));
    CHECK(limiter.peek("key").remaining == 3);
}

TEST_CASE("a limiter takes the time from a caller who has it") {
    const sluice::ManualClock clock{1h};
    const sluice::RateLimiter limiter{bucket, sluice::MemoryStore<sluice::TokenBucket, sluice::ManualClock>{{}, clock}};
    CHECK(limiter.try_consume_at(1h, "key", 5));
    CHECK_FALSE(limiter.try_consume_at(1h, "key"));
    CHECK(limiter.try_consume_at(1h + 1s, "key"));
    CHECK_FALSE(limiter.try_consume("key"));
}

TEST_CASE("every way to make a limiter") {
    using Store = sluice::MemoryStore<sluice::TokenBucket, sluice::ManualClock>;
    int capacity = 3;  // not a constant expression
    const sluice::RateLimiter plain{sluice::TokenBucket{capacity, sluice::per_second(1)}};
    CHECK(plain.try_consume("key"));
    CHECK(plain.name().empty());
    CHECK(plain.quota() == sluice::Quota{3, 3s});
    CHECK(plain.policy().capacity() == 3);
    const sluice::RateLimiter named{bucket,
                                    sluice::LimiterOptions{.name = "n", .on_failure = sluice::FailureMode::deny}};
    CHECK(named.name() == "n");
    Store store{{.max_keys = 10}};
    sluice::RateLimiter moved{bucket, std::move(store)};
    CHECK(moved.store().max_keys() == 10);
    sluice::RateLimiter copy{moved};  // shares the states
    CHECK(moved.try_consume("key", 5));
    CHECK_FALSE(copy.try_consume("key"));
}

TEST_CASE("what the caller or the operator did wrong is denied, whatever the failure mode") {
    const auto mode = GENERATE(sluice::FailureMode::allow, sluice::FailureMode::deny);
    const auto error = GENERATE(sluice::Errc::invalid_argument, sluice::Errc::misconfigured);
    ScriptedStore store;
    store.answer->error = error;
    const sluice::RateLimiter limiter{bucket, store, {.on_failure = mode}};
    std::vector<sluice::Decision> decisions(2);
    limiter.try_consume_many(std::vector<std::string>{"a", "b"}, decisions);
    decisions.push_back(limiter.try_consume("key"));
    decisions.push_back(limiter.try_consume("key", 6));
    decisions.push_back(limiter.peek("key"));
    for (const auto& decision : decisions) {
        CHECK_FALSE(decision);
        CHECK(decision.error == error);
        CHECK(decision.limit == 5);
        CHECK(decision.retry_after == 0ns);
    }
}

TEST_CASE("a negative cost is refused, and negative units give nothing back") {
    const auto recorder = std::make_shared<Recorder>();
    const sluice::RateLimiter observed{bucket, sluice::LimiterOptions{.observer = recorder}};
    const sluice::RateLimiter plain{bucket};
    const sluice::AnyLimiter any = plain;
    const sluice::TokenBucket tier{5, sluice::per_second(2)};
    const int cost = -1;  // a difference that came out wrong
    for (const auto& decision :
         {observed.try_consume("key", cost), plain.try_consume("key", cost), plain.try_consume("key", cost, tier),
          plain.try_consume_at(1h, "key", cost), plain.peek("key", cost), plain.peek("key", cost, tier),
          any.try_consume("key", cost), any.peek("key", cost)}) {
        CHECK_FALSE(decision);
        CHECK(decision.error == sluice::Errc::invalid_argument);
        CHECK(decision.limit == 5);
    }
    CHECK(recorder->heard.size() == 1);

    REQUIRE(plain.try_consume("key", 5));
    REQUIRE(plain.try_consume("key", 5, tier));
    CHECK(plain.refund("key", cost) == sluice::Errc::invalid_argument);
    CHECK(plain.refund("key", cost, tier) == sluice::Errc::invalid_argument);
    CHECK(any.refund("key", cost) == sluice::Errc::invalid_argument);
    CHECK_FALSE(plain.peek("key"));
    CHECK_FALSE(plain.peek("key", 1, tier));
    CHECK(plain.try_consume("key", std::uint64_t{1} << 63).retry_after == sluice::Decision::never);
    CHECK_FALSE(plain.try_consume("key", std::uint64_t{1} << 63).error);
}

TEST_CASE("keys for a batch come from any container of strings") {
    const sluice::RateLimiter limiter{sluice::TokenBucket{2, sluice::per_day(1)}};
    const sluice::AnyLimiter any = limiter;
    std::vector<sluice::Decision> decisions(3);
    const auto remaining = [&] {
        std::vector<std::uint64_t> all;
        for (const auto& decision : decisions) all.push_back(decision.remaining);
        return all;
    };
    limiter.try_consume_many(std::vector<std::string>{"a", "b", "a"}, decisions);
    CHECK(remaining() == std::vector<std::uint64_t>{1, 1, 0});
    any.try_consume_many(std::array<std::string, 3>{"c", "d", "c"}, decisions);
    CHECK(remaining() == std::vector<std::uint64_t>{1, 1, 0});
    limiter.try_consume_many(std::array<const char*, 3>{"e", "f", "g"}, decisions);
    CHECK(remaining() == std::vector<std::uint64_t>{1, 1, 1});
    const std::vector<std::string_view> views{"h", "h", "h"};
    limiter.try_consume_many(views, decisions);
    CHECK(remaining() == std::vector<std::uint64_t>{1, 0, 0});
    limiter.try_consume_many(std::vector<std::string>{"i"}, decisions);
    for (const auto& decision : decisions) CHECK(decision.error == sluice::Errc::invalid_argument);
    CHECK(limiter.peek("i").remaining == 2);
}

TEST_CASE("keys that occur twice in a batch are decided one after the other, on the default clock, too") {
    for (int run = 0; run != 100; ++run) {
        const sluice::RateLimiter limiter{sluice::TokenBucket{2, sluice::per_day(1)}};
        std::vector<sluice::Decision> decisions(5);
        limiter.try_consume_many(std::vector<std::string>{"a", "b", "a", "a", "b"}, decisions);
        for (std::size_t i = 0; i != 5; ++i) CHECK(decisions[i].allowed == (i != 3));
    }
}

TEST_CASE("a limiter has a name for a member's type") {
    struct Service {
        sluice::MemoryLimiter<sluice::TokenBucket> limiter{sluice::TokenBucket{1, sluice::per_day(1)}};
        sluice::MemoryLimiter<sluice::FixedWindow, sluice::ManualClock> daily{
            sluice::FixedWindow{1, 24h}, sluice::MemoryStore<sluice::FixedWindow, sluice::ManualClock>{}};
    };
    const Service service;
    CHECK(service.limiter.try_consume("key"));
    CHECK(service.daily.try_consume("key"));
}
