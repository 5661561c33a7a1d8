// SPDX-License-Identifier: MIT

#include <array>
#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sluice/layers/fallback.hpp>
#include <sluice/layers/share.hpp>
#include <sluice/sluice.hpp>

#include "support/catch.hpp"
#include "support/failing_store.hpp"
#include "support/threads.hpp"

using namespace std::chrono_literals;
using sluice::Errc;
using Bucket = sluice::TokenBucket;
using Memory = sluice::MemoryStore<Bucket, sluice::ManualClock>;

namespace {

const sluice::ManualClock stopped;  // at the epoch

FailingStore<Memory> new_store() { return FailingStore{Memory{{}, stopped}}; }

}  // namespace

TEST_CASE("the secondary decides while the primary fails, and no longer") {
    const auto primary = new_store();
    const auto secondary = new_store();
    const sluice::RateLimiter limiter{
        Bucket{2, sluice::per_second(1)}, sluice::Fallback{primary, secondary}, {.name = "api"}};

    CHECK(limiter.try_consume("key").remaining == 1);
    CHECK(secondary.calls() == 0);

    for (const auto error :
         {Errc::timeout, Errc::breaker_open, Errc::disconnected, Errc::server_error, Errc::unsupported}) {
        INFO(sluice::make_error_code(error).message());
        primary.fail(error);
        CHECK(limiter.reset("key") == error);  // the secondary counts anew
        const auto first = limiter.try_consume("key");
        CHECK(first);
        CHECK(first.remaining == 1);
        CHECK(first.limit == 2);
        CHECK(first.error == Errc::degraded);
        CHECK(limiter.try_consume("key"));
        const auto denied = limiter.try_consume("key");
        CHECK_FALSE(denied);
        CHECK(denied.error == Errc::degraded);
        CHECK(denied.retry_after == 1s);
    }

    primary.recover();
    const auto back = limiter.try_consume("key");
    CHECK(back.remaining == 0);  // what the primary knew
    CHECK_FALSE(back.error);
}

TEST_CASE("a denial of the primary is no reason to ask the secondary") {
    const auto primary = new_store();
    const auto secondary = new_store();
    const sluice::RateLimiter limiter{Bucket{1, sluice::per_second(1)}, sluice::Fallback{primary, secondary}};
    CHECK(limiter.try_consume("key"));
    for (int i = 0; i != 10; ++i) CHECK_FALSE(limiter.try_consume("key"));
    CHECK_FALSE(limiter.try_consume("key", 2));
    CHECK(limiter.peek("key").remaining == 0);
    CHECK(secondary.calls() == 0);
}

TEST_CASE("what the caller or the operator did wrong is denied without asking the secondary") {
    const auto primary = new_store();
    const auto secondary = new_store();
    const sluice::RateLimiter limiter{Bucket{1, sluice::per_second(1)},
                                      sluice::Fallback{primary, secondary},
                                      {.on_failure = sluice::FailureMode::allow}};
    for (const auto error : {Errc::invalid_argument, Errc::misconfigured}) {
        primary.fail(error);
        CHECK_FALSE(limiter.try_consume("key"));
        CHECK(limiter.try_consume("key").error == error);
        std::vector<sluice::Decision> decisions(2);
        limiter.try_consume_many(std::vector<std::string>{"key", "other"}, decisions);
        for (const auto& decision : decisions) {
            CHECK_FALSE(decision);
            CHECK(decision.error == error);
        }
        CHECK(limiter.refund("key", 1) == error);
    }
    CHECK(secondary.calls() == 0);
}

TEST_CASE("a full store's answer stands") {
    const auto primary = new_store();
    const auto secondary = new_store();
    const sluice::RateLimiter limiter{Bucket{1, sluice::per_second(1)}, sluice::Fallback{primary, secondary}};
    primary.fail(Errc::store_full);
    CHECK(limiter.try_consume("key").error == Errc::store_full);
    CHECK(secondary.calls() == 0);
    primary.fail(Errc::timeout);
    secondary.fail(Errc::store_full);
    CHECK(limiter.try_consume("key").error == Errc::store_full);
}

TEST_CASE("the failure mode decides only where both stores fail") {
    const auto primary = new_store();
    const auto secondary = new_store();
    primary.fail(Errc::timeout);
    secondary.fail(Errc::refused);
    const sluice::Fallback store{primary, secondary};
    const Bucket policy{1, sluice::per_second(1)};
    const sluice::RateLimiter open{policy, store, {.on_failure = sluice::FailureMode::allow}};
    const sluice::RateLimiter closed{policy, store, {.on_failure = sluice::FailureMode::deny}};
    CHECK(open.try_consume("key").allowed);
    CHECK(open.try_consume("key").error == Errc::refused);
    CHECK_FALSE(closed.try_consume("key").allowed);
    secondary.recover();
    CHECK(closed.try_consume("key").allowed);
    CHECK_FALSE(open.try_consume("key").allowed);
}

TEST_CASE("peek and refund go to the store that answers, reset to both") {
    const auto primary = new_store();
    const auto secondary = new_store();
    const sluice::RateLimiter limiter{Bucket{3, sluice::per_second(1)}, sluice::Fallback{primary, secondary}};
    CHECK(limiter.try_consume("key", 3));
    primary.fail(Errc::timeout);
    CHECK(limiter.peek("key").remaining == 3);
    CHECK(limiter.try_consume("key", 3));
    CHECK(limiter.refund("key", 1) == Errc::degraded);
    CHECK(limiter.peek("key").remaining == 1);
    CHECK(limiter.reset("key") == Errc::timeout);
    CHECK(limiter.peek("key").remaining == 3);
    CHECK(limiter.try_consume("key", 3));

    primary.recover();
    CHECK(limiter.peek("key").remaining == 0);
    CHECK_FALSE(limiter.refund("key", 2));
    CHECK(limiter.peek("key").remaining == 2);
    CHECK_FALSE(limiter.reset("key"));
    CHECK(limiter.peek("key").remaining == 3);
    primary.fail(Errc::timeout);
    CHECK(limiter.peek("key").remaining == 3);
}

TEST_CASE("fallbacks nest") {
    const auto first = new_store();
    const auto second = new_store();
    const auto third = new_store();
    const sluice::RateLimiter limiter{Bucket{10, sluice::per_second(1)},
                                      sluice::Fallback{first, sluice::Fallback{second, sluice::Share{third, 5}}}};
    CHECK(limiter.try_consume("key").limit == 10);
    first.fail(Errc::timeout);
    CHECK(limiter.try_consume("key").error == Errc::degraded);
    CHECK(limiter.try_consume("key").remaining == 8);
    second.fail(Errc::timeout);
    const auto decision = limiter.try_consume("key");
    CHECK(decision);
    CHECK(decision.error == Errc::degraded);
    CHECK(decision.limit == 2);
    CHECK(decision.remaining == 1);
    third.fail(Errc::busy);
    CHECK(limiter.try_consume("key").error == Errc::busy);
    second.recover();
    CHECK(limiter.try_consume("key").remaining == 7);
}

TEST_CASE("what is given back goes to the store that took it") {
    const auto first = new_store();
    const auto second = new_store();
    const auto third = new_store();
    const Bucket policy{10, sluice::per_second(1)};
    const auto run_with = [&](const auto& decide, const auto& consume) {
        using sluice::Operation;
        const auto request = [&](Operation operation, std::uint64_t units) {
            return sluice::Request<Bucket>{{"", policy}, "key", units, operation};
        };
        const auto left = [&](const auto& of) { return of.decide(request(Operation::peek, 1)).remaining; };
        const auto give_back = [&](const sluice::Consumption& taken, std::uint64_t units) {
            auto asked = request(Operation::give_back, units);
            asked.consumed_at = taken.at;
            asked.source = taken.source;
            return decide(asked).error;
        };
        for (const auto* one : {&first, &second, &third}) {
            one->recover();
            CHECK_FALSE(one->decide(request(Operation::reset, 0)).error);
        }
        const auto one = consume(request(Operation::consume, 5));
        CHECK_FALSE(one.decision.error);
        first.fail(Errc::timeout);
        const auto two = consume(request(Operation::take, 20));
        CHECK(two.units == 10);
        CHECK(two.decision.error == Errc::degraded);
        second.fail(Errc::timeout);
        const auto three = consume(request(Operation::consume, 5));
        CHECK(three.decision.error == Errc::degraded);
        CHECK(three.units == 5);
        CHECK(give_back(two, 3) == Errc::timeout);
        CHECK(give_back(one, 3) == Errc::timeout);
        CHECK_FALSE(give_back(three, 3));
        first.recover();
        second.recover();
        CHECK_FALSE(give_back(two, 1));
        CHECK_FALSE(give_back(one, 2));
        CHECK(left(first) == 7);
        CHECK(left(second) == 1);
        CHECK(left(third) == 8);
    };
    const auto run = [&](const auto& store) {
        using Request = sluice::Request<Bucket>;
        run_with([&](const Request& request) { return store.decide(request); },
                 [&](const Request& request) { return store.consume(request); });
        run_with(
            [&](const Request& request) {
                std::optional<sluice::Decision> told;
                store.decide_async(request, [&](sluice::Decision decision) { told = decision; });
                return told.value();
            },
            [&](const Request& request) {
                std::optional<sluice::Consumption> told;
                store.consume_async(request, [&](const sluice::Consumption& taken) { told = taken; });
                return told.value();
            });
    };
    run(sluice::Fallback{first, sluice::Fallback{second, third}});
    run(sluice::Fallback{sluice::Fallback{first, second}, third});
    STATIC_REQUIRE(sluice::SettlingStore<sluice::Fallback<Memory, Memory>, Bucket>);
    STATIC_REQUIRE(sluice::AsyncSettlingStore<sluice::Fallback<Memory, Memory>, Bucket>);
}

TEST_CASE("of a batch the secondary decides what the primary failed") {
    const auto primary = new_store();
    const auto secondary = new_store();
    const sluice::RateLimiter limiter{Bucket{2, sluice::per_second(1)}, sluice::Fallback{primary, secondary}};
    const std::array<std::string_view, 7> keys{"!a", "b", "!c", "!c", "!c", "b", "b"};
    std::array<sluice::Decision, 7> decisions;
    limiter.try_consume_many(keys, decisions);
    CHECK(decisions[0].error == Errc::server_error);  // the double of the secondary fails these keys too
    CHECK(decisions[1].allowed);
    CHECK_FALSE(decisions[1].error);
    CHECK(decisions[5].allowed);
    CHECK_FALSE(decisions[6].allowed);
    CHECK(secondary.calls() == 2);

    primary.fail(Errc::timeout);
    limiter.try_consume_many(std::array<std::string_view, 3>{"b", "b", "b"}, std::span{decisions}.first(3));
    CHECK(secondary.calls() == 3);
    CHECK(decisions[1].allowed);
    CHECK(decisions[1].error == Errc::degraded);
    CHECK_FALSE(decisions[2].allowed);
    CHECK(decisions[2].error == Errc::degraded);
}

TEST_CASE("a fallback is a store with all the abilities that its stores have in common") {
    using Both = sluice::Fallback<Memory, Memory>;
    STATIC_REQUIRE(sluice::TimedStore<Both, Bucket>);
    STATIC_REQUIRE(sluice::BatchStore<Both, Bucket>);
    STATIC_REQUIRE(sluice::BatchStore<sluice::Fallback<Memory, sluice::Share<Memory>>, Bucket>);
    STATIC_REQUIRE_FALSE(sluice::Store<Both, sluice::FixedWindow>);

    const Both store{Memory{{}, stopped}, Memory{{}, stopped}};
    const Both copy = store;
    const Bucket policy{1, sluice::per_second(1)};
    CHECK(sluice::RateLimiter{policy, store}.try_consume_at(0s, "key"));
    CHECK_FALSE(sluice::RateLimiter{policy, copy}.try_consume_at(0s, "key"));
}

TEST_CASE("an observer sees who decided") {
    struct Counter final : sluice::Observer {
        void on_decision(const sluice::DecisionEvent& event) override {
            (event.decision.error == Errc::degraded ? degraded : usual) += 1;
        }
        int degraded = 0;
        int usual = 0;
    };
    const auto counter = std::make_shared<Counter>();
    const auto primary = new_store();
    const sluice::RateLimiter limiter{
        Bucket{9, sluice::per_second(1)}, sluice::Fallback{primary, new_store()}, {.observer = counter}};
    CHECK(limiter.try_consume("key"));
    primary.fail(Errc::timeout);
    CHECK(limiter.try_consume("key"));
    CHECK(limiter.try_consume("key"));
    CHECK(counter->usual == 1);
    CHECK(counter->degraded == 2);
}

TEST_CASE("no more is admitted across switches than documented") {
    const auto primary = new_store();
    const sluice::RateLimiter limiter{Bucket{100, sluice::per_second(1)}, sluice::Fallback{primary, new_store()}};
    std::atomic<int> admitted{0};
    run_threads(4, [&](int thread) {
        for (int i = 0; i != 2'000; ++i) {
            if (thread == 0 && i % 100 == 0) {
                i % 200 == 0 ? primary.fail(Errc::timeout) : primary.recover();
            }
            const auto decision = limiter.try_consume("key");
            if (decision.error && decision.error != Errc::degraded) std::abort();
            if (decision) ++admitted;
        }
    });
    CHECK(admitted == 200);  // the clock stands still: the capacity of each store
}
