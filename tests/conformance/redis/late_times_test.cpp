// SPDX-License-Identifier: MIT

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "conformance/redis_kit.hpp"
#include "support/catch.hpp"

// Times that are late, and clocks that go back: the scripts decide as the store in memory does.

using namespace std::chrono_literals;
using std::chrono::microseconds;
using std::chrono::nanoseconds;

namespace {

constexpr nanoseconds edge = 1'767'225'600s;  // of every window below

/// Equal, but for waits: a bucket's tick, which is shorter than this, is all that Redis tells of the time.
bool same(const sluice::Decision& a, const sluice::Decision& b, nanoseconds tolerance) {
    const auto near = [&](nanoseconds one, nanoseconds other) {
        return one - other <= tolerance && other - one <= tolerance;
    };
    return a.allowed == b.allowed && a.limit == b.limit && a.remaining == b.remaining &&
           near(a.retry_after, b.retry_after) && near(a.reset_after, b.reset_after) && near(a.delay, b.delay) &&
           a.error == b.error;
}

std::string text(const sluice::Decision& decision) {
    return std::string{decision.allowed ? "allowed" : "denied"} + ", remaining " + std::to_string(decision.remaining) +
           ", retry " + std::to_string(decision.retry_after.count()) + ", reset " +
           std::to_string(decision.reset_after.count()) + ", delay " + std::to_string(decision.delay.count()) + " " +
           decision.error.message();
}

/// The same policy where time is counted in microseconds, as Redis counts it.
template <class P>
P on_grid(const P& policy) {
    if constexpr (requires { policy.at_resolution(1us); }) {
        return policy.at_resolution(1us);
    } else {
        return policy;
    }
}
template <class... P>
sluice::AllOf<P...> on_grid(const sluice::AllOf<P...>& policy) {
    return std::apply([](const auto&... part) { return sluice::AllOf{on_grid(part)...}; }, policy.policies());
}

/// Calls f(policy) with one policy of each kind that allows ten units a second or little more.
template <class F>
void for_ten_a_second(F f) {
    const auto call = [&](const auto& policy) {
        INFO(policy.kind);
        f(policy);
    };
    call(sluice::TokenBucket{10, sluice::per_second(10)});
    call(sluice::LeakyBucket{10, sluice::per_second(10)});
    call(sluice::FixedWindow{10, 1s});
    call(sluice::SlidingWindow{10, 1s});
    call(sluice::SlidingWindowCounter{10, 1s});
    call(sluice::AllOf{sluice::FixedWindow{10, 1s}, sluice::SlidingWindow{100, 1s}});
    call(sluice::AllOf{sluice::TokenBucket{1'000, sluice::per_day(1)}, sluice::SlidingWindowCounter{10, 1s}});
}

template <class P>
auto in_memory(const P& policy, const sluice::ManualClock& clock) {
    return sluice::RateLimiter{on_grid(policy), sluice::MemoryStore<P, sluice::ManualClock>{{}, clock}};
}

/// Random requests for one key of two limiters, one in memory and one in Redis, at times that go back and forth.
template <class P>
void decides_as_memory(conformance::RedisKit& kit, Random& random, const P& policy, int sequence,
                       nanoseconds tolerance = 0ns) {
    INFO(policy.kind << ", sequence " << sequence);
    const std::string name = "late" + std::to_string(sequence);
    const sluice::RateLimiter redis{policy, kit.store<P>(), {.name = name}};
    const auto memory = in_memory(policy, kit.clock);
    const auto limit = static_cast<std::uint64_t>(policy.quota().limit);
    // On a coarse grid times meet edges of windows, and tolerances, exactly.
    const microseconds grid = random.pick(microseconds{1}, microseconds{1}, microseconds{250'000}, microseconds{1s});
    const auto longest = random.magnitude<std::int64_t>(1, 30'000'000);
    nanoseconds now = edge + grid * random.between<std::int64_t>(0, 20s / grid);
    for (int operation = 0; operation != 60; ++operation) {
        auto step = microseconds{random.one_in(3) ? 0 : random.magnitude<std::int64_t>(1, longest)};
        if (random.one_in(3)) step = -microseconds{random.magnitude<std::int64_t>(1, 20'000'000)};
        now += step / grid * grid;
        kit.clock.set(now);
        const auto units = random.one_in(4) ? random.between<std::uint64_t>(0, limit + 1)
                                            : random.between<std::uint64_t>(1, limit / 4 + 1);
        INFO("operation " << operation << " at " << (now - edge).count() << " of " << units);
        switch (random.between(0, 9)) {
            case 0:
                REQUIRE_FALSE(redis.refund("key", units % limit + 1));
                REQUIRE_FALSE(memory.refund("key", units % limit + 1));
                break;
            case 1:
            case 2: {
                const auto expected = memory.peek("key", units);
                const auto peeked = redis.peek("key", units);
                INFO(text(peeked) << "; in memory " << text(expected));
                REQUIRE(same(peeked, expected, tolerance));
                break;
            }
            case 3: {
                const std::vector<std::string_view> keys(3, "key");
                std::vector<sluice::Decision> decisions(3);
                redis.try_consume_many(keys, decisions);
                for (const auto& decision : decisions) {
                    const auto expected = memory.try_consume("key");
                    INFO("of three: " << text(decision) << "; in memory " << text(expected));
                    REQUIRE(same(decision, expected, tolerance));
                }
                break;
            }
            default: {
                const auto expected = memory.try_consume("key", units);
                const auto decision = redis.try_consume("key", units);
                INFO(text(decision) << "; in memory " << text(expected));
                REQUIRE(same(decision, expected, tolerance));
            }
        }
    }
}

}  // namespace

TEST_CASE("calls that are late give no units") {
    conformance::RedisKit kit;
    int run = 0;
    for (const nanoseconds late : {10ms, 500ms, 1'500ms, 4'900ms}) {
        for_ten_a_second([&](const auto& policy) {
            INFO("late by " << late.count());
            const sluice::RateLimiter limiter{policy, kit.redis, {.name = "run" + std::to_string(++run)}};
            int admitted = 0;
            for (int round = 0; round != 50; ++round) {
                for (int i = 0; i != 10; ++i) admitted += limiter.try_consume_at(edge + 5ms, "key") ? 1 : 0;
                admitted += limiter.try_consume_at(edge + 5ms - late, "key") ? 1 : 0;
            }
            CHECK(admitted == 10);
        });
    }
}

TEST_CASE("what is late counts where the state is, as long as there is room") {
    conformance::RedisKit kit;
    for_ten_a_second([&](const auto& policy) {
        const sluice::RateLimiter limiter{policy, kit.redis, {.name = "room"}};
        REQUIRE(limiter.try_consume_at(edge + 5ms, "key", 4).remaining == 6);
        CHECK(limiter.try_consume_at(edge - 5ms, "key", 3).allowed);
        CHECK(limiter.try_consume_at(edge + 6ms, "key", 3).allowed);
        CHECK_FALSE(limiter.try_consume_at(edge + 7ms, "key").allowed);
    });
}

TEST_CASE("a clock that goes back further finds the key used up, and is not locked out") {
    conformance::RedisKit kit;
    for_ten_a_second([&](const auto& policy) {
        const sluice::RateLimiter limiter{policy, kit.redis, {.name = "back"}};
        REQUIRE(limiter.try_consume_at(edge + 1h, "key"));
        const auto denied = limiter.try_consume_at(edge + 10ms, "key");
        REQUIRE_FALSE(denied);
        CHECK(denied.remaining == 0);
        // The denial itself has set the state back: it goes on from there.
        const auto then = edge + 10ms + std::chrono::ceil<microseconds>(denied.retry_after);
        CHECK_FALSE(limiter.try_consume_at(then - 1us, "key"));
        CHECK(limiter.try_consume_at(then, "key"));
    });
}

TEST_CASE("a denial of what is late writes nothing") {
    conformance::RedisKit kit;
    for_ten_a_second([&](const auto& policy) {
        kit.server.command({"FLUSHALL"});
        const sluice::RateLimiter limiter{policy, kit.redis, {.name = "written"}};
        REQUIRE(limiter.try_consume_at(edge + 5ms, "key", 10));
        std::vector<std::string> keys;
        std::string names = kit.server.command({"KEYS", "*"}) + ' ';
        for (std::size_t at = 0; (at = names.find(' ')) != std::string::npos; names.erase(0, at + 1)) {
            keys.push_back(names.substr(0, at));
        }
        std::string before, after;
        for (const auto& key : keys) before += kit.server.command({"DUMP", key});
        REQUIRE_FALSE(limiter.try_consume_at(edge - 900ms, "key"));
        for (const auto& key : keys) after += kit.server.command({"DUMP", key});
        CHECK(before == after);
    });
}

TEST_CASE("at times that go back and forth Redis decides as memory does") {
    conformance::RedisKit kit;
    Random random{"late times"};
    const int sequences = cases(300);
    for (int i = 0; i != sequences; ++i) {
        const auto limit = random.magnitude<std::uint64_t>(1, 200);
        const microseconds window{random.one_in(2) ? random.magnitude<std::int64_t>(1'000, 60'000'000)
                                                   : 250'000 * random.magnitude<std::int64_t>(1, 100)};
        const sluice::Rate rate{random.magnitude<std::uint64_t>(1, 100),
                                random.pick(nanoseconds{1s}, nanoseconds{1min}, nanoseconds{7'777'777us})};
        const sluice::TokenBucket bucket{limit, rate};
        const sluice::FixedWindow fixed{limit, window};
        const sluice::SlidingWindow log{limit, window};
        const sluice::SlidingWindowCounter counter{limit, window};
        decides_as_memory(kit, random, bucket, i, 2us);
        decides_as_memory(kit, random, sluice::LeakyBucket{limit, rate}, i, 2us);
        decides_as_memory(kit, random, fixed, i);
        decides_as_memory(kit, random, log, i);
        decides_as_memory(kit, random, counter, i);
        decides_as_memory(kit, random, sluice::AllOf{bucket, counter}, i, 2us);
        decides_as_memory(kit, random, sluice::AllOf{log, fixed}, i);
    }
}
