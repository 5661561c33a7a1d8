// SPDX-License-Identifier: MIT

#include <chrono>
#include <cstdint>
#include <string>

#include <sluice/postgres.hpp>
#include <sluice/sluice.hpp>

#include "support/catch.hpp"
#include "support/postgres_server.hpp"
#include "support/random.hpp"

using namespace std::chrono_literals;
using std::chrono::nanoseconds;

namespace {

const PostgresServer& server() {
    static const PostgresServer only{{"autovacuum=off"}};
    return only;
}

const sluice::PostgresStore& store() {
    static const sluice::PostgresStore only{server().connection_string(), {.timeout = 10s}};
    static const bool has_schema = !only.ensure_schema();
    REQUIRE(has_schema);
    return only;
}

constexpr nanoseconds start = std::chrono::seconds{1'767'225'600};  // an edge of every window below

template <sluice::Policy P>
sluice::Decision consume(const P& policy, const std::string& key, std::uint64_t cost, nanoseconds now) {
    return store().decide_at(sluice::Request<P>{sluice::Scope{"stale", policy}, key, cost}, now);
}

template <sluice::Policy P>
sluice::Decision decide_bare(const sluice::Request<P>& request, typename P::State& state, nanoseconds now) {
    const P& policy = request.scope.policy;
    if (request.operation == sluice::Operation::peek) return sluice::peek(policy, state, now, request.units);
    if (request.operation == sluice::Operation::refund) {
        policy.refund(state, now, request.units);
        return {};
    }
    policy.reserve(state, now, request.units);
    return policy.step(state, now, request.units);
}

template <class F>
void for_each_policy(F f) {
    f(sluice::TokenBucket{10, sluice::per_second(10)});
    f(sluice::LeakyBucket{10, sluice::Rate{7, 1s}});  // whose ticks are longer than a nanosecond
    f(sluice::FixedWindow{10, 1s});
    f(sluice::SlidingWindow{10, 1s});
    f(sluice::SlidingWindowCounter{10, 1s});
    f(sluice::AllOf{sluice::TokenBucket{10, sluice::per_second(10)}, sluice::FixedWindow{12, 1s}});
    f(sluice::AllOf{sluice::SlidingWindow{9, 1s}, sluice::SlidingWindowCounter{10, 2s},
                    sluice::TokenBucket{5, sluice::Rate{3, 1s}}});
}

}  // namespace

TEST_CASE("one late call in a round does not open the window anew") {
    for_each_policy([](const auto& policy) {
        INFO(policy.kind);
        const nanoseconds edge = start + 1h;
        std::uint64_t admitted = 0;
        for (int round = 0; round != 50; ++round) {
            for (int i = 0; i != 10; ++i) admitted += consume(policy, "rounds", 1, edge + 5ms).allowed ? 1U : 0U;
            admitted += consume(policy, "rounds", 1, edge - 5ms).allowed ? 1U : 0U;
        }
        CHECK(admitted == policy.quota().limit);
    });
}

TEST_CASE("times that jump back and forth are decided as in memory") {
    Random random{"stale readings"};
    const int histories = cases(60);
    for_each_policy([&](const auto& policy) {
        using P = std::decay_t<decltype(policy)>;
        const std::string run = std::to_string(random.bits());
        for (int history = 0; history != histories; ++history) {
            const std::string key = run + std::to_string(history);
            const sluice::MemoryStore<P> memory{{.max_keys = 4}};
            const sluice::Scope<P> scope{"stale", policy};
            const nanoseconds base = start + std::chrono::microseconds{random.between(0, 20'000'000)};
            nanoseconds now = base;
            [[maybe_unused]] typename P::State state{};
            for (int operation = 0; operation != 40; ++operation) {
                now += std::chrono::microseconds{random.pick(
                    0, random.between(-20'000'000, 0), random.between(-6'000'000, -4'000'000),
                    random.between(-1'000'000, 0), random.magnitude(1, 1'000'000), random.magnitude(1, 30'000'000))};
                sluice::Request<P> request{scope, key, random.between<std::uint64_t>(0, 12)};
                if (random.one_in(6)) request.operation = sluice::Operation::peek;
                if (request.units != 0 && random.one_in(12)) request.operation = sluice::Operation::refund;
                auto expected = memory.decide_at(request, now);
                // Memory of a log is given back once nobody a few seconds late can ask for it; here some ask later.
                if constexpr (sluice::GrowingPolicy<P>) expected = decide_bare(request, state, now);
                const auto decided = store().decide_at(request, now);
                if (decided != expected) {
                    FAIL(policy.kind << ": operation " << operation << " of history " << history << " at "
                                     << (now - base).count() << " ns, units " << request.units << ", operation "
                                     << static_cast<int>(request.operation) << "\n  Postgres " << decided
                                     << "\n  memory   " << expected);
                }
            }
        }
    });
}

TEST_CASE("a state up to five seconds ahead is its own present, one further ahead is used up now") {
    const auto write_at = [](const auto& policy, const std::string& key, nanoseconds time) {
        CHECK(consume(policy, key, 4, time).remaining == policy.quota().limit - 4);
    };
    const auto edge = start + 2h;  // of windows of a second

    const sluice::FixedWindow window{10, 1s};
    write_at(window, "window", edge);
    CHECK(consume(window, "window", 5, edge - 5s).remaining == 1);
    const auto late = consume(window, "window", 2, edge - 5s);
    CHECK_FALSE(late);
    CHECK(late.retry_after == 6s);
    CHECK_FALSE(consume(window, "window", 1, edge - 5s - 1us));  // used up, in the window of now
    CHECK(consume(window, "window", 1, edge - 5s).remaining == 9);

    const sluice::SlidingWindow log{10'000, 1s};
    CHECK(consume(log, "huge", 10'000, start + 3h).remaining == 0);
    CHECK(consume(log, "huge", 1, start + 3h + 1us).retry_after == 1s - 1us);
    CHECK(consume(log, "huge", 9'999, start + 4h).remaining == 1);
    CHECK(consume(log, "huge", 1, start + 4h + 1us).remaining == 0);
    CHECK(consume(log, "huge", 2, start + 4h + 2us).retry_after == 1s - 2us);
    CHECK(server().command("SELECT cardinality(state) FROM sluice.state_2 WHERE key = 'huge'") == "6");
}
