// SPDX-License-Identifier: MIT

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

#include <sluice/layers/fallback.hpp>
#include <sluice/sluice.hpp>

#include "conformance/postgres_kit.hpp"
#include "conformance/redis_kit.hpp"
#include "conformance/suite.hpp"

namespace {

using conformance::TimedRedisStore;

template <sluice::Policy P>
using Memory = sluice::MemoryStore<P, sluice::ManualClock>;

/// Redis decides; memory takes part in resets alone.
struct RedisAndMemoryKit : conformance::RedisKit {
    static constexpr int sequences = 150;
    static constexpr int requests_per_thread = slow_build ? 500 : 3'000;

    template <sluice::Policy P>
    auto store() {
        return sluice::Fallback{TimedRedisStore{redis, clock}, Memory<P>{{}, clock}};
    }
};

/// One fallback within another: a reset goes to all three.
struct RedisPostgresAndMemoryKit : RedisAndMemoryKit {
    conformance::PostgresKit postgres;

    template <sluice::Policy P>
    auto store() {
        return sluice::Fallback{
            TimedRedisStore{redis, clock},
            sluice::Fallback{conformance::TimedPostgresStore{postgres.postgres, clock}, Memory<P>{{}, clock}}};
    }
};

/// As `decision`, decided by the fallback.
sluice::Decision degraded(sluice::Decision decision) {
    decision.error = sluice::Errc::degraded;
    return decision;
}

}  // namespace

TEST_CASE("a fallback from Redis to memory conforms") { conformance::suite<RedisAndMemoryKit>(); }

TEST_CASE("a fallback from Redis to Postgres to memory conforms") { conformance::suite<RedisPostgresAndMemoryKit>(); }

TEST_CASE("a fallback whose Redis is down all the time decides as its memory alone") {
    sluice::ManualClock clock;
    const sluice::RedisStore nobody{"redis://127.0.0.1:" + std::to_string(RedisServer::free_port())};
    Random random{"fallback without its primary"};
    conformance::for_each_policy([&](const auto& policy, const std::string& name) {
        using P = std::decay_t<decltype(policy)>;
        const sluice::AnyLimiter alone = sluice::RateLimiter{policy, Memory<P>{{}, clock}, {.name = name}};
        const sluice::AnyLimiter both = sluice::RateLimiter{
            policy, sluice::Fallback{TimedRedisStore{nobody, clock}, Memory<P>{{}, clock}}, {.name = name}};
        std::chrono::nanoseconds now = conformance::start;
        for (int i = 0; i != 2'000; ++i) {
            now += std::chrono::microseconds{random.one_in(2) ? 0 : random.magnitude(1, 5'000'000)};
            clock.set(now);
            const std::string key = random.pick("a", "b", "c");
            const std::uint64_t units = random.between<std::uint64_t>(0, 6);
            switch (random.between(0, 9)) {
                case 0:
                    REQUIRE_FALSE(alone.refund(key, units));
                    REQUIRE(both.refund(key, units) == sluice::Errc::degraded);
                    break;
                case 1: {
                    REQUIRE_FALSE(alone.reset(key));
                    const auto error = both.reset(key);  // the primary's: the key may live on there
                    REQUIRE(error);
                    REQUIRE(error != sluice::Errc::degraded);
                    break;
                }
                case 2: REQUIRE(both.peek(key, units) == degraded(alone.peek(key, units))); break;
                case 3: {
                    const std::array<std::string_view, 4> keys{key, "a", "d", key};
                    std::array<sluice::Decision, 4> expected, decisions;
                    alone.try_consume_many(keys, expected);
                    both.try_consume_many(keys, decisions);
                    for (std::size_t k = 0; k != keys.size(); ++k) {
                        REQUIRE(decisions[k] == degraded(expected[k]));
                    }
                    break;
                }
                default: REQUIRE(both.try_consume(key, units) == degraded(alone.try_consume(key, units)));
            }
        }
    });
}
