// SPDX-License-Identifier: MIT
#ifndef SLUICE_TESTING_DETAIL_COMPARING_HPP
#define SLUICE_TESTING_DETAIL_COMPARING_HPP

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <type_traits>

#include <sluice/any_limiter.hpp>
#include <sluice/operate.hpp>
#include <sluice/rate_limiter.hpp>
#include <sluice/testing/detail/policies.hpp>
#include <sluice/testing/detail/run.hpp>
#include <sluice/testing/detail/threads.hpp>

// Cases in which a store is compared with the bare policy, and one limiter with another.
namespace sluice::detail::conformance {

using namespace std::chrono_literals;

template <class Kit>
void keeps_states_apart(Kit& kit, Run& check) {
    kit.clock.set(start);
    using Bucket = sluice::TokenBucket;
    const auto store = kit.template store<Bucket>();
    const Bucket basic{5, sluice::per_second(2)};
    const Bucket more{50, sluice::per_second(20)};
    const sluice::RateLimiter limiter{basic, store, {.name = check.name("it")}};
    const sluice::RateLimiter same_name{basic, store, {.name = check.name("it")}};
    const sluice::RateLimiter other_name{basic, store, {.name = check.name("other")}};
    const sluice::RateLimiter other_rules{more, store, {.name = check.name("it")}};
    check(limiter.try_consume("key", 5));
    check(!same_name.try_consume("key"));  // copies of a store share it
    check(other_name.try_consume("key").remaining == 4);
    check(other_rules.try_consume("key").remaining == 49);

    check(limiter.try_consume("key", 1, more).remaining == 48);  // a tier
    check(limiter.peek("key", 1, more).remaining == 48);
    check(!limiter.refund("key", 1, more));
    check(limiter.peek("key", 1, more).remaining == 49);
    check(!limiter.reset("key", more));
    check(limiter.peek("key", 1, more).remaining == 50);
    check(!limiter.try_consume("key"));

    sluice::AnyLimiter erased{sluice::RateLimiter{basic, store, {.name = check.name("it")}}};
    check(!erased.try_consume("key"));
    check(erased.quota() == basic.quota());
}

/// Random operations on a few keys: the store answers as the bare policy does on a state kept here.
template <class Kit>
void equals_the_bare_policy(Kit& kit, Run& run) {
    for_each_policy([&](const auto& policy, const char* what) {
        run.about(what);
        using P = std::decay_t<decltype(policy)>;
        const auto store = kit.template store<P>();
        for (int i = 0; i != Kit::sequences; ++i) {
            const sluice::AnyLimiter limiter =
                sluice::RateLimiter{policy, store, {.name = run.name(what) + "/" + std::to_string(i)}};
            std::map<std::string, typename P::State> states;
            nanoseconds now = start + std::chrono::microseconds{run.between(0, 20'000'000)};
            nanoseconds latest = now;
            for (int operation = 0; operation != 50; ++operation) {
                now += std::chrono::microseconds{run.one_in(2) ? 0 : run.magnitude(1, 5'000'000)};
                latest = std::max(latest, now);
                if (run.one_in(8)) now = latest - std::chrono::microseconds{run.magnitude(1, 5'000'000)};  // late
                kit.clock.set(now);
                const std::string key = run.pick("a", "b", "c");
                const std::uint64_t units = run.between<std::uint64_t>(0, 6);
                auto& state = states[key];
                switch (run.between(0, 9)) {
                    case 0:
                        run(!limiter.refund(key, units));
                        policy.refund(state, now, units);
                        break;
                    case 1:
                        run(!limiter.reset(key));
                        state = {};
                        break;
                    case 2: {
                        const auto expected = sluice::peek(policy, state, now, units);
                        const auto peeked = limiter.peek(key, units);
                        if (peeked != expected) return run.fail("peek differs", peeked, expected);
                        break;
                    }
                    default: {
                        if constexpr (sluice::GrowingPolicy<P>) policy.reserve(state, now, units);
                        const auto expected = policy.step(state, now, units);
                        const auto decision = limiter.try_consume(key, units);
                        if (decision != expected)
                            return run.fail("a decision differs, " + std::to_string((latest - now).count()) +
                                                " ns late, cost " + std::to_string(units),
                                            decision, expected);
                    }
                }
            }
        }
    });
}

/// Threads on one key at a clock that stands still: exactly the capacity is admitted.
template <class Kit>
void admits_exactly_the_capacity(Kit& kit, Run& check) {
    constexpr int threads = 8;
    const auto run = [&](const auto& policy, const char* name) {
        check.about(name);
        kit.clock.set(start);
        const sluice::RateLimiter limiter{
            policy, kit.template store<std::decay_t<decltype(policy)>>(), {.name = check.name(name)}};
        std::atomic<std::uint64_t> admitted{0};
        run_threads(threads, [&](int) {
            std::uint64_t mine = 0;
            for (int i = 0; i != Kit::requests_per_thread; ++i) mine += limiter.try_consume("key").allowed ? 1U : 0U;
            admitted += mine;
        });
        check(admitted == limiter.quota().limit);
    };
    const auto limit = Kit::requests_per_thread * threads / 3;
    run(sluice::TokenBucket{limit, sluice::per_second(2)}, "token_bucket");
    run(sluice::LeakyBucket{limit, sluice::per_second(2)}, "leaky_bucket");
    run(sluice::FixedWindow{limit, 10s}, "fixed_window");
    run(sluice::SlidingWindow{limit, 10s}, "sliding_window");
    run(sluice::SlidingWindowCounter{limit, 1h}, "sliding_window_counter");
    run(sluice::AllOf{sluice::TokenBucket{limit, sluice::per_second(2)}, sluice::FixedWindow{limit + 1, 10s}},
        "all_of");
}

}  // namespace sluice::detail::conformance

#endif
