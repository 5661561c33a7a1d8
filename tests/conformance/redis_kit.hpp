// SPDX-License-Identifier: MIT
#ifndef SLUICE_TESTS_CONFORMANCE_REDIS_KIT_HPP
#define SLUICE_TESTS_CONFORMANCE_REDIS_KIT_HPP

#include <chrono>
#include <cstddef>
#include <memory>
#include <span>
#include <string_view>

#include <sluice/redis.hpp>
#include <sluice/sluice.hpp>

#include "support/random.hpp"
#include "support/redis_server.hpp"

namespace conformance {

/// A RedisStore on the test's clock.
struct TimedRedisStore {
    static constexpr bool carries = true;

    sluice::RedisStore redis;
    sluice::ManualClock clock;

    template <sluice::Policy P>
    sluice::Decision decide(const sluice::Request<P>& request) const noexcept {
        return redis.decide_at(request, clock.now());
    }
    template <sluice::Policy P>
    sluice::Consumption consume(const sluice::Request<P>& request) const noexcept {
        return redis.consume_at(request, clock.now());
    }
    template <sluice::Policy P>
    void decide_many(const sluice::Request<P>& request, std::span<const std::string_view> keys,
                     std::span<sluice::Decision> out) const noexcept {
        redis.decide_many_at(request, clock.now(), keys, out);
    }
    template <sluice::Policy P>
    void check(const sluice::Scope<P>& scope) const {
        redis.check(scope);
    }
};

struct RedisKit {
    static constexpr std::chrono::nanoseconds resolution = std::chrono::microseconds{1};
    static constexpr std::size_t longest_key = 1'024;
    static constexpr int sequences = 500;
    static constexpr int requests_per_thread = slow_build ? 2'000 : 10'000;

    RedisServer server;
    sluice::ManualClock clock;
    // A machine that is busy with other tests may hold up a call for long.
    sluice::RedisStore redis{server.url(), {.timeout = std::chrono::seconds{60}}};

    template <sluice::Policy P>
    auto store() {
        return TimedRedisStore{redis, clock};
    }
};

}  // namespace conformance

#endif
