// SPDX-License-Identifier: MIT
#ifndef SLUICE_TESTS_SUPPORT_COOLDOWN_CASES_HPP
#define SLUICE_TESTS_SUPPORT_COOLDOWN_CASES_HPP

#include <atomic>
#include <chrono>
#include <string_view>
#include <vector>

#include <sluice/sluice.hpp>

#include "../../examples/cooldown.hpp"
#include "support/catch.hpp"
#include "support/threads.hpp"

// What a policy of one's own does on a server that does not know it.

template <class S>
void runs_a_policy_of_ones_own(const S& store) {
    using namespace std::chrono_literals;
    const auto start = std::chrono::nanoseconds{1'767'225'600s};
    const sluice::RateLimiter limiter{Cooldown{30s}, store, {.name = "own"}};
    CHECK(limiter.try_consume_at(start, "key"));
    const auto denied = limiter.try_consume_at(start + 10s, "key");
    CHECK_FALSE(denied.error);
    CHECK_FALSE(denied.allowed);
    CHECK(denied.retry_after == 20s);
    CHECK_FALSE(limiter.try_consume_at(start + 30s - 1ns, "key"));
    CHECK(limiter.try_consume_at(start + 30s, "key"));
    // Another wait is another policy, whose states are its own.
    const sluice::RateLimiter other{Cooldown{31s}, store, {.name = "own"}};
    CHECK(other.try_consume_at(start + 30s, "key"));
    CHECK(limiter.refund("key", 1) == sluice::Errc::unsupported);

    // At the server's time: keys that occur twice, and a key that is forgotten.
    const std::vector<std::string_view> keys{"b", "a", "b", "c", "a", "b"};
    std::vector<sluice::Decision> out(keys.size());
    limiter.try_consume_many(keys, out);
    const std::vector<bool> allowed{true, true, false, true, false, false};
    for (std::size_t i = 0; i != keys.size(); ++i) {
        CHECK_FALSE(out[i].error);
        CHECK(out[i].allowed == allowed[i]);
    }
    CHECK_FALSE(limiter.reset("b"));
    CHECK(limiter.peek("b"));
    CHECK_FALSE(limiter.peek("a"));
}

/// Stores that know nothing of each other, as in several processes, and threads that share one, on one key.
template <class MakeStore>
void swaps_exactly_one(MakeStore make_store) {
    using namespace std::chrono_literals;
    for (int round = 0; round != 20; ++round) {
        const std::string key = "key " + std::to_string(round);
        std::atomic<int> admitted{0};
        std::atomic<int> failed{0};
        const auto shared = make_store();
        run_threads(6, [&](int thread) {
            const sluice::RateLimiter limiter{Cooldown{10min},
                                              thread < 3 ? shared : make_store(),
                                              {.name = "swaps", .on_failure = sluice::FailureMode::deny}};
            const auto decision = limiter.try_consume(key);
            admitted += decision.allowed ? 1 : 0;
            failed += decision.error ? 1 : 0;
        });
        CHECK(admitted == 1);
        CHECK(failed == 0);
    }
}

#endif
