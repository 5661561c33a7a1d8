// SPDX-License-Identifier: MIT

#include <algorithm>
#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <sluice/layers/denial_cache.hpp>
#include <sluice/layers/fallback.hpp>
#include <sluice/sluice.hpp>

#include "support/catch.hpp"
#include "support/failing_store.hpp"
#include "support/threads.hpp"

using namespace std::chrono_literals;
using sluice::Errc;
using Bucket = sluice::TokenBucket;
using Window = sluice::FixedWindow;

namespace {

template <sluice::Policy P>
using Memory = sluice::MemoryStore<P, sluice::ManualClock>;

/// A cache in front of a store that counts its calls, both on a clock that the test sets.
template <sluice::Policy P>
struct Cached {
    sluice::ManualClock clock{1'000s};
    FailingStore<Memory<P>> store{Memory<P>{{}, clock}};
    sluice::DenialCache<FailingStore<Memory<P>>, sluice::ManualClock> cache;

    explicit Cached(sluice::DenialCacheOptions options = {}) : cache(store, options, clock) {}
    auto limiter(P policy) const { return sluice::RateLimiter{policy, cache, {.name = "api"}}; }
};

}  // namespace

TEST_CASE("a denial is repeated without asking, and counted down, until the request would be allowed") {
    Cached<Bucket> cached;
    const auto limiter = cached.limiter({2, sluice::per_second(2)});
    CHECK(limiter.try_consume("key", 2));
    const auto denied = limiter.try_consume("key");
    CHECK(denied.retry_after == 500ms);
    CHECK(cached.store.calls() == 2);
    for (const auto passed : {0ms, 100ms, 499ms}) {
        cached.clock.set(1'000s + passed);
        const auto again = limiter.try_consume("key");
        CHECK_FALSE(again);
        CHECK_FALSE(again.error);
        CHECK(again.limit == 2);
        CHECK(again.remaining == 0);
        CHECK(again.retry_after == 500ms - passed);
        CHECK(again.reset_after == 1s - passed);
    }
    CHECK(cached.store.calls() == 2);
    CHECK(cached.cache.stats().hits == 3);
    CHECK(cached.cache.stats().remembered == 1);
    cached.clock.set(1'000s + 500ms);
    CHECK(limiter.try_consume("key"));
    CHECK(cached.store.calls() == 3);
}

TEST_CASE("a denial is remembered no longer than the cap, and tells the store's time to wait meanwhile") {
    Cached<Window> cached{{.cap = 10ms}};
    const auto limiter = cached.limiter({1, 1h});
    CHECK(limiter.try_consume("key"));
    const auto denied = limiter.try_consume("key");
    cached.clock.advance(9ms);
    CHECK(limiter.try_consume("key").retry_after == denied.retry_after - 9ms);
    CHECK(cached.store.calls() == 2);
    cached.clock.advance(1ms);
    CHECK_FALSE(limiter.try_consume("key"));
    CHECK(cached.store.calls() == 3);
}

TEST_CASE("what costs less than what was denied is asked for, what costs as much or more is not") {
    Cached<Bucket> cached;
    const auto limiter = cached.limiter({5, sluice::per_second(1)});
    CHECK(limiter.try_consume("key", 2));
    CHECK(limiter.try_consume("key", 5).retry_after == 2s);
    CHECK(limiter.try_consume("key", 4).retry_after == 1s);
    CHECK(cached.store.calls() == 3);
    CHECK(limiter.try_consume("key", 4).retry_after == 1s);
    CHECK_FALSE(limiter.try_consume("key", 5));  // by the least cost that was denied
    CHECK(cached.store.calls() == 3);
    CHECK(limiter.try_consume("key", 3));
    CHECK(cached.store.calls() == 4);
}

TEST_CASE("neither never, nor an error, nor an allowance is remembered") {
    Cached<Bucket> cached;
    const auto limiter = cached.limiter({1, sluice::per_second(1)});
    for (int i = 0; i != 3; ++i) CHECK(limiter.try_consume("key", 2).retry_after == sluice::Decision::never);
    CHECK(cached.store.calls() == 3);
    cached.store.fail(Errc::timeout);
    for (int i = 0; i != 3; ++i) CHECK(limiter.try_consume("key").error == Errc::timeout);
    cached.store.fail(Errc::degraded);
    for (int i = 0; i != 3; ++i) CHECK(limiter.try_consume("key").error == Errc::degraded);
    CHECK(cached.store.calls() == 9);
    cached.store.recover();
    CHECK(limiter.try_consume("key"));
    CHECK_FALSE(limiter.try_consume("key"));
    CHECK(cached.store.calls() == 11);
    CHECK(limiter.try_consume("key", 2).retry_after == sluice::Decision::never);  // although a lesser cost is denied
}

TEST_CASE("what a fallback denies is forgotten, so that the primary is asked as soon as it is back") {
    const sluice::ManualClock clock{1'000s};
    const FailingStore primary{Memory<Bucket>{{}, clock}};
    const sluice::DenialCache cache{sluice::Fallback{primary, Memory<Bucket>{{}, clock}}, {}, clock};
    const sluice::RateLimiter limiter{Bucket{1, sluice::per_second(1)}, cache};
    primary.fail(Errc::timeout);
    CHECK(limiter.try_consume("key").error == Errc::degraded);
    CHECK_FALSE(limiter.try_consume("key"));
    primary.recover();
    CHECK(limiter.try_consume("key"));
}

TEST_CASE("a peek asks the store, a cost of 0 does, and neither is remembered") {
    Cached<Bucket> cached;
    const auto limiter = cached.limiter({1, sluice::per_second(1)});
    CHECK(limiter.try_consume("key"));
    CHECK_FALSE(limiter.peek("key"));
    CHECK_FALSE(limiter.try_consume("key"));
    CHECK_FALSE(limiter.peek("key"));
    CHECK(limiter.try_consume("key", 0));
    CHECK(cached.store.calls() == 5);
}

TEST_CASE("a refund or reset of one's own is seen at once") {
    Cached<Bucket> cached;
    const auto limiter = cached.limiter({1, sluice::per_second(1)});
    const auto other = cached.limiter({1, sluice::per_second(1)});  // shares the cache's entries
    for (int i = 0; i != 2; ++i) {
        CHECK(limiter.try_consume("key"));
        CHECK_FALSE(limiter.try_consume("key"));
        const auto error = i == 0 ? other.refund("key", 1) : other.reset("key");
        CHECK_FALSE(error);
    }
    CHECK(limiter.try_consume("key"));
}

TEST_CASE("what is taken, and given back, is known to the cache") {
    Cached<Bucket> cached;
    const sluice::DenialCache cache{Memory<Bucket>{{}, cached.clock}, {}, cached.clock};
    const Bucket policy{3, sluice::per_hour(1)};
    const sluice::Scope<Bucket> scope{"api", policy};
    sluice::Request<Bucket> take{scope, "key", 5, sluice::Operation::take};
    const auto all = cache.consume(take);
    CHECK(all.units == 3);
    CHECK(all.at == 1'000s);
    CHECK(cache.consume(take).units == 0);
    CHECK(cache.stats().hits == 0);
    CHECK(cache.consume(take).decision.retry_after == 1h);
    CHECK(cache.consume(sluice::Request<Bucket>{scope, "key"}).units == 0);
    CHECK(cache.stats().hits == 2);
    sluice::Request<Bucket> back{scope, "key", 2, sluice::Operation::give_back};
    back.consumed_at = all.at;
    CHECK_FALSE(cache.decide(back).error);
    CHECK(cache.consume(take).units == 2);
}

TEST_CASE("a request that minds its delay is the store's, and its denial nobody else's") {
    Cached<sluice::LeakyBucket> cached;
    const sluice::LeakyBucket policy{10, sluice::per_second(1)};
    const sluice::Scope<sluice::LeakyBucket> scope{"api", policy};
    const sluice::Request<sluice::LeakyBucket> plain{scope, "key"};
    auto hasty = plain;
    hasty.max_delay = 500ms;
    CHECK(cached.cache.decide(plain));
    CHECK_FALSE(cached.cache.decide(hasty));
    CHECK(cached.cache.decide(plain));
    CHECK(cached.cache.stats().remembered == 0);
}

TEST_CASE("an event loop's store is asked once, too") {
    const sluice::ManualClock clock{1'000s};
    const Memory<Bucket> store{{}, clock};
    const sluice::DenialCache cache{store, {}, clock};
    STATIC_REQUIRE(sluice::AsyncStore<sluice::DenialCache<Memory<Bucket>, sluice::ManualClock>, Bucket>);
    const Bucket policy{1, sluice::per_second(1)};
    const sluice::Scope<Bucket> scope{"api", policy};
    const auto ask = [&](sluice::Operation operation) {
        sluice::Decision answer;
        cache.decide_async(sluice::Request<Bucket>{scope, "key", 1, operation},
                           [&](const sluice::Decision& decision) { answer = decision; });
        return answer;
    };
    CHECK(ask(sluice::Operation::consume));
    CHECK_FALSE(ask(sluice::Operation::consume));
    CHECK(cache.stats().hits == 0);
    CHECK(ask(sluice::Operation::consume).retry_after == 1s);
    CHECK(cache.stats().hits == 1);
    CHECK_FALSE(ask(sluice::Operation::refund).error);
    sluice::Consumption taken;
    const auto consume = [&] {
        cache.consume_async(sluice::Request<Bucket>{scope, "key", 1}, [&](const auto& told) { taken = told; });
    };
    consume();
    CHECK(taken.units == 1);
    for (std::uint64_t hits = 1; hits != 3; ++hits) {
        consume();
        CHECK(taken.units == 0);
        CHECK(taken.decision.retry_after == 1s);
        CHECK(cache.stats().hits == hits);
    }
}

TEST_CASE("keys, limiters and tiers have entries of their own") {
    Cached<Bucket> cached;
    const Bucket basic{1, sluice::per_second(1)};
    const Bucket gold{2, sluice::per_second(1)};
    const auto limiter = cached.limiter(basic);
    const sluice::RateLimiter other{basic, cached.cache, {.name = "other"}};
    CHECK(limiter.try_consume("key"));
    CHECK_FALSE(limiter.try_consume("key"));
    CHECK(limiter.try_consume("another"));
    CHECK(limiter.try_consume("key", 1, gold));
    CHECK(other.try_consume("key"));
}

TEST_CASE("a full cache remembers no more, and denies nobody for another's sake") {
    Cached<Window> cached{{.max_keys = 8}};
    const auto limiter = cached.limiter({1, 1h});
    for (int i = 0; i != 200; ++i) CHECK(limiter.try_consume("key" + std::to_string(i)));
    for (int round = 0; round != 2; ++round) {
        for (int i = 0; i != 200; ++i) CHECK_FALSE(limiter.try_consume("key" + std::to_string(i)));
    }
    for (int i = 200; i != 400; ++i) CHECK(limiter.try_consume("key" + std::to_string(i)));
    CHECK(cached.cache.stats().hits <= 8);
    CHECK(cached.store.calls() >= 800 - 8);
}

TEST_CASE("of a batch only what is not known to be denied goes to the store") {
    Cached<Window> cached;
    const auto limiter = cached.limiter({1, 1h});
    CHECK(limiter.try_consume("b"));
    CHECK_FALSE(limiter.try_consume("b"));
    const std::array<std::string_view, 5> keys{"b", "a", "a", "b", "c"};
    std::array<sluice::Decision, 5> out;
    limiter.try_consume_many(keys, out);
    const std::array<bool, 5> allowed{false, true, false, false, true};
    for (std::size_t i = 0; i != keys.size(); ++i) CHECK(out[i].allowed == allowed[i]);
    CHECK(cached.store.calls() == 3);
    limiter.try_consume_many(std::array<std::string_view, 2>{"a", "b"}, std::span{out}.first(2));
    CHECK_FALSE(out[0].allowed);
    CHECK(cached.store.calls() == 3);  // the batch has taught that, too
}

TEST_CASE("a caller's own times are those of the entries") {
    Cached<Window> cached;
    const auto limiter = cached.limiter({1, 1s});
    CHECK(limiter.try_consume_at(5s, "key"));
    CHECK(limiter.try_consume_at(5s + 300ms, "key").retry_after == 700ms);
    CHECK(limiter.try_consume_at(5s + 900ms, "key").retry_after == 100ms);
    CHECK(cached.store.calls() == 2);
    CHECK(limiter.try_consume_at(6s, "key"));
}

TEST_CASE("a cache is a store with all the abilities of the one behind it") {
    using OfMemory = sluice::DenialCache<sluice::MemoryStore<Bucket>>;
    STATIC_REQUIRE(sluice::TimedStore<OfMemory, Bucket>);
    STATIC_REQUIRE(sluice::BatchStore<OfMemory, Bucket>);
    STATIC_REQUIRE(sluice::InProcessStore<OfMemory>);
    STATIC_REQUIRE_FALSE(sluice::Store<OfMemory, Window>);
    STATIC_REQUIRE(sluice::Store<sluice::Fallback<OfMemory, sluice::MemoryStore<Bucket>>, Bucket>);
    struct One {
        sluice::Decision decide(const sluice::Request<Bucket>&) const noexcept { return {}; }
        void check(const sluice::Scope<Bucket>&) const { throw std::invalid_argument{"no"}; }
    };
    STATIC_REQUIRE_FALSE(sluice::BatchStore<sluice::DenialCache<One>, Bucket>);
    STATIC_REQUIRE_FALSE(sluice::InProcessStore<sluice::DenialCache<One>>);
    CHECK_THROWS_AS((sluice::RateLimiter{Bucket{1, sluice::per_second(1)}, sluice::DenialCache{One{}}}),
                    std::invalid_argument);
    CHECK_THROWS_AS((sluice::DenialCache{One{}, {.max_keys = 0}}), std::invalid_argument);
    CHECK_THROWS_AS((sluice::DenialCache{One{}, {.cap = 0ns}}), std::invalid_argument);
}

TEST_CASE("a denial that was given before a refund is not written down after it") {
    // A store that gives the unit back while a denial of its is on the way.
    struct Late {
        sluice::Decision decide(const sluice::Request<Bucket>& request) const noexcept {
            sluice::Decision decision;
            if (request.operation == sluice::Operation::consume) {
                meanwhile();
                decision.retry_after = 1h;
            }
            return decision;
        }
        std::function<void()> meanwhile;
    };
    const auto refund = std::make_shared<std::function<void()>>();
    const sluice::DenialCache cache{Late{[refund] { (*refund)(); }}};
    const Bucket policy{1, sluice::per_hour(1)};
    const sluice::RateLimiter limiter{policy, cache};
    *refund = [&] { static_cast<void>(limiter.refund("key", 1)); };
    CHECK_FALSE(limiter.try_consume("key"));
    CHECK_FALSE(limiter.try_consume("key"));
    CHECK(cache.stats().hits == 0);
    *refund = [] {};
    CHECK_FALSE(limiter.try_consume("key"));
    CHECK_FALSE(limiter.try_consume("key"));
    CHECK(cache.stats().hits == 1);
}

TEST_CASE("threads that consume and refund one key leave no stale denial behind") {
    std::atomic<int> admitted{0};
    for (int round = 0; round != 50; ++round) {
        const sluice::DenialCache cache{sluice::MemoryStore<Bucket>{}, {.cap = 100s}};
        const sluice::RateLimiter limiter{Bucket{1, sluice::per_day(1)}, cache};
        run_threads(4, [&](int) {
            for (int i = 0; i != 200; ++i) {
                if (!limiter.try_consume("key")) continue;
                ++admitted;
                static_cast<void>(limiter.refund("key", 1));
            }
        });
        REQUIRE(limiter.try_consume("key"));  // all is back
    }
    CHECK(admitted > 0);
}
