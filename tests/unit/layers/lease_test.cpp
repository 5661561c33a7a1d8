// SPDX-License-Identifier: MIT

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <unistd.h>

#include <sluice/layers/denial_cache.hpp>
#include <sluice/layers/fallback.hpp>
#include <sluice/layers/lease.hpp>
#include <sluice/layers/share.hpp>
#include <sluice/sluice.hpp>

#include "support/catch.hpp"
#include "support/counting_store.hpp"
#include "support/process.hpp"
#include "support/threads.hpp"

using namespace std::chrono_literals;
using sluice::Errc;
using Bucket = sluice::TokenBucket;
using Window = sluice::FixedWindow;

namespace {

template <sluice::Policy P>
using Memory = sluice::MemoryStore<P, sluice::ManualClock>;
template <sluice::Policy P>
using Leased = sluice::Lease<CountingStore<Memory<P>>, sluice::ManualClock>;

/// Several processes' leases of one shared store, on one clock, driven by the test.
template <sluice::Policy P>
struct Fleet {
    sluice::ManualClock clock{1'000s};
    CountingStore<Memory<P>> store{Memory<P>{{}, clock}};
    P policy;
    std::vector<Leased<P>> leases;
    std::uint64_t admitted = 0;

    explicit Fleet(P of_policy, int count = 1, sluice::LeaseOptions options = {}) : policy(std::move(of_policy)) {
        options.drive = sluice::Drive::manual;
        for (int i = 0; i != count; ++i) leases.emplace_back(store, options, clock);
    }
    auto limiter(std::size_t i = 0) const { return sluice::RateLimiter{policy, leases[i], {.name = "api"}}; }
    sluice::Decision ask(std::size_t i = 0, std::uint64_t cost = 1) {
        const auto decision = limiter(i).try_consume("key", cost);
        if (decision) admitted += cost;
        return decision;
    }
    std::uint64_t held() const {
        std::uint64_t units = 0;
        for (const auto& lease : leases) units += lease.stats().held;
        return units;
    }
    void maintain() const {
        for (const auto& lease : leases) lease.maintain();
    }
    /// Each process asks `per_ms` times in each millisecond.
    void run(std::chrono::milliseconds time, int per_ms) {
        for (; time > 0ms; time -= 1ms) {
            clock.advance(1ms);
            maintain();
            for (int i = 0; i != per_ms; ++i) {
                for (std::size_t lease = 0; lease != leases.size(); ++lease) static_cast<void>(ask(lease));
            }
        }
    }
    /// All that was given is spent or held.
    void check_books() const {
        CHECK(store.given() == admitted + held());
        CHECK(admitted <= store.given());
    }
};

}  // namespace

TEST_CASE("a key that is not busy is the shared store's, request for request") {
    Fleet<Bucket> fleet{{5, sluice::per_second(1)}};
    const sluice::RateLimiter alone{fleet.policy, Memory<Bucket>{{}, fleet.clock}};
    for (int i = 0; i != 20; ++i) {
        CHECK(fleet.ask() == alone.try_consume("key"));
        fleet.clock.advance(100ms);
        fleet.maintain();
    }
    CHECK(fleet.store.calls() == 20);
    CHECK(fleet.leases[0].stats().leases == 0);
}

TEST_CASE("a busy key is served from units that were taken ahead, about 20 ms of its need at a time") {
    Fleet<Bucket> fleet{{1'000'000, sluice::per_second(1'000'000)}};
    fleet.run(100ms, 10);
    fleet.check_books();
    const auto calls = fleet.store.calls();
    const auto before = fleet.admitted;
    fleet.run(1s, 10);
    CHECK(fleet.admitted - before == 10'000);
    CHECK(fleet.store.calls() - calls <= 110);  // half a lease of 200 at a time
    CHECK(fleet.held() >= 90);
    CHECK(fleet.held() <= 220);
    fleet.check_books();
}

TEST_CASE("requests that find nothing take a lease themselves where no background does") {
    Fleet<Bucket> fleet{{1'000'000, sluice::per_second(1'000'000)}};
    for (int i = 0; i != 20'000; ++i) {
        if (i % 10 == 0) fleet.clock.advance(1ms);
        CHECK(fleet.ask());
    }
    CHECK(fleet.store.calls() < 500);
    fleet.check_books();
}

TEST_CASE("whoever serves a request says how much is left of all, and is counted") {
    Fleet<Window> fleet{{1'000'000, 1'000s}};
    const sluice::Scope<Window> scope{"api", fleet.policy};
    std::uint64_t hits = 0, leases = 0;
    for (int i = 0; i != 2'000; ++i) {
        if (i % 10 == 0) {
            fleet.clock.advance(1ms);
            const auto given = fleet.store.given();
            if (i > 1'000) fleet.maintain();
            leases += fleet.store.given() > given ? 1 : 0;
        }
        const auto calls = fleet.store.calls(), given = fleet.store.given();
        const auto taken = fleet.leases[0].consume(sluice::Request<Window>{scope, "key", 1});
        fleet.admitted += taken.units;
        hits += fleet.store.calls() == calls ? 1 : 0;
        leases += fleet.store.given() > given + 1 ? 1 : 0;
        REQUIRE((taken.units == 1 && taken.decision.allowed));
        REQUIRE(taken.decision.remaining == 1'000'000 - fleet.admitted);
    }
    CHECK((hits > 1'000 && leases > 10));
    CHECK(fleet.leases[0].stats().hits == hits);
    CHECK(fleet.leases[0].stats().leases == leases);
    fleet.clock.set(2'001s);
    fleet.maintain();
    CHECK(fleet.leases[0].stats().stranded > 0);
    CHECK(fleet.leases[0].stats().hits == hits);
}

TEST_CASE("a peek counts what is held, where the store has nothing left") {
    Fleet<Bucket> fleet{{1'000, sluice::per_hour(1)}};
    fleet.run(20ms, 10);
    const auto held = fleet.held();
    REQUIRE(held > 0);
    const sluice::RateLimiter direct{fleet.policy, fleet.store, {.name = "api"}};
    REQUIRE(direct.try_consume("key", direct.peek("key").remaining));
    const auto all = fleet.limiter().peek("key", held), more = fleet.limiter().peek("key", held + 1);
    CHECK((all.allowed && all.remaining == held && all.retry_after == 0ns));
    CHECK((!more.allowed && more.retry_after > 0ns));
}

TEST_CASE("as the limit gets near the units are asked for one by one, and all of them are there") {
    Fleet<Window> fleet{{10'000, 10s}, 3};
    fleet.run(2s, 2);
    CHECK(fleet.leases[0].stats().leases > 0);
    fleet.check_books();
    // What the others hold comes back when they are idle.
    for (int i = 0; i != 500; ++i) {
        fleet.clock.advance(1ms);
        fleet.maintain();
        static_cast<void>(fleet.ask());
    }
    CHECK(fleet.admitted == 10'000);
    CHECK(fleet.held() == 0);
    CHECK_FALSE(fleet.ask());
    CHECK_FALSE(fleet.ask(1));
}

TEST_CASE("no more is stranded than every process but one may hold") {
    for (const int instances : {4, 16}) {
        Fleet<Window> fleet{{1'000, 10s}, 4, {.instances = static_cast<std::uint32_t>(instances)}};
        fleet.run(1s, 5);
        const auto most = 1'000U / static_cast<unsigned>(instances);
        CHECK(fleet.admitted >= 1'000 - 3 * most);
        CHECK(fleet.admitted <= 1'000);
        fleet.check_books();
    }
}

TEST_CASE("a lease ends with its window") {
    Fleet<Window> fleet{{100'000, 1s}};
    fleet.run(500ms, 20);
    const auto held = fleet.held();
    CHECK(held > 100);
    fleet.clock.set(1'001s);
    const auto calls = fleet.store.calls();
    const auto decision = fleet.ask();
    CHECK(decision.remaining >= 99'000);  // of the new window
    CHECK(fleet.store.calls() == calls + 1);
    fleet.maintain();
    CHECK(fleet.leases[0].stats().stranded >= held - 1);
}

TEST_CASE("of each window exactly the limit is admitted, whatever is held at its end") {
    Fleet<Window> fleet{{3'000, 1s}, 3};
    fleet.clock.set(2'000s - 1ms);
    for (int window = 0; window != 5; ++window) {
        const auto before = fleet.admitted;
        fleet.run(1s, 4);
        CHECK(fleet.admitted - before <= 3'000);
        CHECK(fleet.admitted - before >= 2'900);
    }
}

TEST_CASE("a limiter that lies idle gives back what it holds, and then its lease") {
    Fleet<Bucket> fleet{{100'000, sluice::per_hour(1)}};
    fleet.run(200ms, 20);
    CHECK(fleet.held() > 0);
    for (int i = 0; i != 60; ++i) {
        fleet.clock.advance(1ms);
        fleet.maintain();
    }
    CHECK(fleet.held() == 0);
    CHECK(fleet.leases[0].stats().returned == fleet.store.taken_back());
    CHECK(fleet.store.given() == fleet.admitted);
    const sluice::RateLimiter direct{fleet.policy, fleet.store, {.name = "api"}};
    CHECK(direct.peek("key").remaining == 100'000 - fleet.admitted);
    fleet.clock.advance(2s);
    fleet.maintain();
    for (int i = 0; i != 10; ++i) {  // as of a key that is new
        const auto calls = fleet.store.calls();
        CHECK(fleet.ask());
        CHECK(fleet.store.calls() == calls + 1);
    }
}

TEST_CASE("with the shared store away what is held is spent, and then its error is the answer") {
    Fleet<Bucket> fleet{{1'000'000, sluice::per_second(1'000)}};
    fleet.run(100ms, 10);
    const auto held = fleet.held();
    REQUIRE(held > 50);
    fleet.store.fail(Errc::breaker_open);
    const sluice::Fallback fallback{fleet.leases[0], sluice::Share{Memory<Bucket>{{}, fleet.clock}, 4}};
    const sluice::RateLimiter limiter{fleet.policy, fallback, {.name = "api"}};
    for (std::uint64_t i = 0; i != held; ++i) {
        const auto decision = limiter.try_consume("key");
        REQUIRE(decision);
        REQUIRE_FALSE(decision.error);
    }
    fleet.maintain();
    CHECK(limiter.try_consume("key").error == Errc::degraded);
    CHECK(fleet.limiter().try_consume("key").error == Errc::breaker_open);
    fleet.store.recover();
    CHECK_FALSE(limiter.try_consume("key").error);
}

TEST_CASE("a decision from a lease tells the limit, what is left and when the key is as new") {
    Fleet<Window> fleet{{100'000, 1s}};
    fleet.run(200ms, 10);
    const auto calls = fleet.store.calls();
    const auto decision = fleet.ask();
    REQUIRE(fleet.store.calls() == calls);
    CHECK(decision.limit == 100'000);
    CHECK(decision.remaining == 100'000 - fleet.admitted);
    CHECK(decision.reset_after == 800ms);
    CHECK(decision.retry_after == 0ns);
    const auto peeked = fleet.limiter().peek("key");
    CHECK(peeked.allowed);
    CHECK(peeked.remaining == decision.remaining);
}

TEST_CASE("a cost above one is served from a lease that is large enough, else by the shared store") {
    Fleet<Bucket> fleet{{1'000'000, sluice::per_second(1'000'000)}};
    for (int ms = 0; ms != 200; ++ms) {
        fleet.clock.advance(1ms);
        fleet.maintain();
        for (int i = 0; i != 3; ++i) CHECK(fleet.ask(0, 7));
    }
    CHECK(fleet.leases[0].stats().hits > 2'000);
    CHECK(fleet.ask(0, 10'000));
    CHECK(fleet.ask(0, 1'000'001).retry_after == sluice::Decision::never);
    fleet.check_books();
}

TEST_CASE("a reset forgets what is held, a refund goes to the shared store") {
    Fleet<Bucket> fleet{{1'000, sluice::per_hour(1)}};
    fleet.run(20ms, 10);
    CHECK(fleet.held() > 0);
    CHECK_FALSE(fleet.limiter().reset("key"));
    CHECK(fleet.held() == 0);
    CHECK(fleet.limiter().peek("key").remaining == 1'000);
    CHECK(fleet.limiter().try_consume("key", 500));
    CHECK_FALSE(fleet.limiter().refund("key", 100));
    CHECK(fleet.limiter().peek("key").remaining == 600);
}

TEST_CASE("what was consumed from a lease can be given back") {
    Fleet<Window> fleet{{100'000, 1s}};
    fleet.run(200ms, 10);
    const sluice::Scope<Window> scope{"api", fleet.policy};
    const auto calls = fleet.store.calls();
    const auto taken = fleet.leases[0].consume(sluice::Request<Window>{scope, "key", 5});
    REQUIRE(fleet.store.calls() == calls);
    CHECK(taken.units == 5);
    sluice::Request<Window> back{scope, "key", 5, sluice::Operation::give_back};
    back.consumed_at = taken.at;
    const auto left = fleet.limiter().peek("key").remaining;
    CHECK_FALSE(fleet.leases[0].decide(back).error);
    CHECK(fleet.limiter().peek("key").remaining == left + 5);
    CHECK(fleet.store.given() == fleet.admitted + fleet.held());
    const auto more = fleet.leases[0].consume(sluice::Request<Window>{scope, "key", 50'000, sluice::Operation::take});
    CHECK(more.units == 50'000);
}

TEST_CASE("a batch spends what is held and asks for the rest together") {
    Fleet<Bucket> fleet{{1'000'000, sluice::per_second(1'000)}};
    fleet.run(200ms, 10);
    const auto calls = fleet.store.calls();
    const std::array<std::string_view, 5> keys{"key", "a", "key", "b", "a"};
    std::array<sluice::Decision, 5> out;
    fleet.limiter().try_consume_many(keys, out);
    for (const auto& decision : out) CHECK(decision);
    CHECK(out[4].remaining == 999'998);
    CHECK(fleet.store.calls() == calls + 1);
    fleet.admitted += 5;
    fleet.check_books();
    const sluice::Scope<Bucket> scope{"api", fleet.policy};
    out = {};
    fleet.leases[0].decide_many(sluice::Request<Bucket>{scope, {}, 1, sluice::Operation::peek}, keys, out);
    for (const auto& decision : out) CHECK((decision.allowed && decision.limit == 1'000'000));
}

TEST_CASE("more busy keys than may be leased are the shared store's") {
    Fleet<Bucket> fleet{{1'000'000, sluice::per_second(1'000)}, 1, {.max_keys = 2}};
    const auto limiter = fleet.limiter();
    for (int i = 0; i != 5'000; ++i) {
        if (i % 50 == 0) fleet.clock.advance(1ms);
        CHECK(limiter.try_consume("key" + std::to_string(i % 5)));
    }
    CHECK(fleet.leases[0].stats().hits > 0);
    CHECK(fleet.store.calls() > 3'000);
}

TEST_CASE("limits of several parts end their leases with the first window") {
    using Both = sluice::AllOf<Bucket, Window>;
    Fleet<Both> fleet{Both{Bucket{1'000'000, sluice::per_second(1'000)}, Window{100'000, 1s}}};
    fleet.run(500ms, 20);
    CHECK(fleet.held() > 100);
    fleet.check_books();
    fleet.clock.set(1'001s);
    fleet.maintain();
    CHECK(fleet.leases[0].stats().stranded > 100);
    STATIC_REQUIRE(sluice::LeasablePolicy<Both>);
    STATIC_REQUIRE(sluice::LeasablePolicy<sluice::SlidingWindowCounter>);
    STATIC_REQUIRE_FALSE(sluice::LeasablePolicy<sluice::SlidingWindow>);
    STATIC_REQUIRE_FALSE(sluice::LeasablePolicy<sluice::LeakyBucket>);
    STATIC_REQUIRE_FALSE(sluice::LeasablePolicy<sluice::AllOf<Bucket, sluice::SlidingWindow>>);
}

TEST_CASE("the background takes ahead, so that requests of a steady load ask for nothing themselves") {
    const CountingStore store{sluice::MemoryStore<Bucket>{}};
    {
        const sluice::Lease lease{store};
        const sluice::RateLimiter limiter{Bucket{100'000'000, sluice::per_second(1)}, lease};
        std::uint64_t admitted = 0;
        const auto end = std::chrono::steady_clock::now() + 300ms;
        while (std::chrono::steady_clock::now() < end) {
            for (int i = 0; i != 20; ++i) admitted += limiter.try_consume("key").allowed ? 1U : 0U;
            std::this_thread::sleep_for(1ms);
        }
        const auto stats = lease.stats();
        CHECK(stats.hits > admitted / 2);
        CHECK(store.given() >= admitted);
        const auto deadline = std::chrono::steady_clock::now() + 10s;
        while (lease.stats().held != 0 && std::chrono::steady_clock::now() < deadline) std::this_thread::sleep_for(1ms);
        CHECK(store.given() == admitted);  // idle, it has given back the rest
    }
}

TEST_CASE("the last copy's destructor joins the thread and gives back what is held") {
    const CountingStore store{sluice::MemoryStore<Bucket>{}};
    std::uint64_t admitted = 0;
    {
        const sluice::RateLimiter limiter{Bucket{100'000'000, sluice::per_second(1)}, sluice::Lease{store}};
        for (int i = 0; i != 10'000; ++i) admitted += limiter.try_consume("key").allowed ? 1U : 0U;
    }
    CHECK(store.given() == admitted);
}

TEST_CASE("threads on one leased key admit exactly what was given") {
    const CountingStore store{sluice::MemoryStore<Bucket>{}};
    constexpr std::uint64_t capacity = 100'000;
    std::atomic<std::uint64_t> admitted{0};
    {
        const sluice::RateLimiter limiter{Bucket{capacity, sluice::per_hour(1)}, sluice::Lease{store}};
        run_threads(4, [&](int) {
            std::uint64_t mine = 0;
            for (int i = 0; i != 40'000; ++i) mine += limiter.try_consume("key").allowed ? 1U : 0U;
            admitted += mine;
        });
        CHECK(admitted <= capacity + 1);
        CHECK(limiter.store().stats().hits > 0);
    }
    CHECK(store.given() == admitted);
    CHECK(admitted >= capacity - capacity / 16);
}

TEST_CASE("a forked child has none of its parent's units") {
    Fleet<Bucket> fleet{{1'000'000, sluice::per_second(1)}};
    fleet.run(200ms, 10);
    REQUIRE(fleet.held() > 100);
    const pid_t child = ::fork();
    if (child == 0) {
        const auto calls = fleet.store.calls();
        const bool asked = fleet.ask().allowed && fleet.store.calls() == calls + 1;
        ::_exit(asked && fleet.held() == 0 ? 0 : 1);
    }
    CHECK(status_of(child) == 0);
    const auto calls = fleet.store.calls();
    CHECK(fleet.ask());
    CHECK(fleet.store.calls() == calls);
}

TEST_CASE("leases compose with a denial cache and are stores with the shared store's abilities") {
    Fleet<Window> fleet{{1'000, 1s}};
    const sluice::DenialCache cache{fleet.leases[0], {}, fleet.clock};
    const sluice::RateLimiter limiter{fleet.policy, cache, {.name = "api"}};
    std::uint64_t admitted = 0;
    for (int ms = 0; ms != 900; ++ms) {
        fleet.clock.advance(1ms);
        fleet.maintain();
        for (int i = 0; i != 10; ++i) admitted += limiter.try_consume("key").allowed ? 1U : 0U;
    }
    CHECK(admitted <= 1'000);
    CHECK(admitted >= 990);
    CHECK(fleet.store.calls() < 300);
    CHECK(cache.stats().hits > 7'900);
    STATIC_REQUIRE(sluice::BatchStore<sluice::Lease<sluice::MemoryStore<Bucket>>, Bucket>);
    STATIC_REQUIRE(sluice::SettlingStore<sluice::Lease<sluice::MemoryStore<Bucket>>, Bucket>);
    STATIC_REQUIRE_FALSE(sluice::InProcessStore<sluice::Lease<sluice::MemoryStore<Bucket>>>);
}

TEST_CASE("a lease's options are checked") {
    const sluice::MemoryStore<Bucket> store;
    CHECK_THROWS_AS((sluice::Lease{store, {.span = 0ns}}), std::invalid_argument);
    CHECK_THROWS_AS((sluice::Lease{store, {.max_units = 0}}), std::invalid_argument);
    CHECK_THROWS_AS((sluice::Lease{store, {.instances = 0}}), std::invalid_argument);
    CHECK_THROWS_AS((sluice::Lease{store, {.max_keys = 16'385}}), std::invalid_argument);
}
