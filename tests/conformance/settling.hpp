// SPDX-License-Identifier: MIT
#ifndef SLUICE_TESTS_CONFORMANCE_SETTLING_HPP
#define SLUICE_TESTS_CONFORMANCE_SETTLING_HPP

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <type_traits>
#include <vector>

#include <sluice/operate.hpp>
#include <sluice/sluice.hpp>

#include "support/catch.hpp"
#include "support/random.hpp"
#include "support/threads.hpp"

// What a store must do that tells what it took (sluice::SettlingStore); of other stores these cases check nothing.
namespace conformance {

using namespace std::chrono_literals;
using std::chrono::nanoseconds;

inline constexpr nanoseconds settling_start = std::chrono::seconds{1'767'225'600};

template <class F>
void for_each_settling_policy(F f) {
    f(sluice::TokenBucket{5, sluice::per_second(2)}, "token_bucket");
    f(sluice::LeakyBucket{5, sluice::per_second(2)}, "leaky_bucket");
    f(sluice::LeakyBucket{5, sluice::per_second(2), 3}, "leaky_bucket with a burst");
    f(sluice::FixedWindow{5, 10s}, "fixed_window");
    f(sluice::SlidingWindow{5, 10s}, "sliding_window");
    f(sluice::SlidingWindowCounter{5, 10s}, "sliding_window_counter");
    f(sluice::AllOf{sluice::TokenBucket{5, sluice::per_second(2)}, sluice::FixedWindow{7, 10s}}, "all_of");
    f(sluice::AllOf{sluice::LeakyBucket{5, sluice::per_second(2), 2}, sluice::SlidingWindow{7, 10s}}, "all_of logs");
}

/// One key of a store, asked by requests.
template <class S, class P>
struct SettlingKey {
    S store;
    P policy;
    std::string name;
    std::string key = "key";

    sluice::Request<P> request(sluice::Operation operation, std::uint64_t units) const {
        return {{name, policy}, key, units, operation};
    }
    sluice::Consumption consume(std::uint64_t units, nanoseconds max_delay = nanoseconds::max()) const {
        auto asked = request(sluice::Operation::consume, units);
        asked.max_delay = max_delay;
        return store.consume(asked);
    }
    sluice::Consumption take(std::uint64_t units) const {
        return store.consume(request(sluice::Operation::take, units));
    }
    sluice::Decision give_back(const sluice::Consumption& taken, std::uint64_t units) const {
        auto asked = request(sluice::Operation::give_back, units);
        asked.consumed_at = taken.at;
        asked.source = taken.source;
        return store.decide(asked);
    }
    std::uint64_t remaining() const { return store.decide(request(sluice::Operation::peek, 1)).remaining; }
};

template <class S, class P>
SettlingKey(S, P, std::string) -> SettlingKey<S, P>;

/// Random operations on a few keys at times that may be late: the store answers as the bare policy on a state kept here.
template <class Kit>
void settles_as_the_bare_policy(Kit& kit) {
    Random random{"settling"};
    const int sequences = cases(Kit::sequences / 4);
    const std::string run = "settles/" + std::to_string(random.bits());
    for_each_settling_policy([&](const auto& policy, const std::string& what) {
        using P = std::decay_t<decltype(policy)>;
        const auto store = kit.template store<P>();
        if constexpr (sluice::SettlingStore<decltype(kit.template store<P>()), P>) {
            INFO(what);
            for (int i = 0; i != sequences; ++i) {
                SettlingKey key{store, policy, run + std::to_string(i)};
                std::map<std::string, typename P::State> states;
                std::map<std::string, std::vector<sluice::Consumption>> taken;
                nanoseconds now = settling_start + std::chrono::microseconds{random.between(0, 20'000'000)};
                nanoseconds latest = now;
                for (int n = 0; n != 50; ++n) {
                    now += std::chrono::microseconds{random.one_in(2) ? 0 : random.magnitude(1, 5'000'000)};
                    latest = std::max(latest, now);
                    if (random.one_in(8)) now = latest - std::chrono::microseconds{random.magnitude(1, 5'000'000)};
                    kit.clock.set(now);
                    key.key = random.pick("a", "b", "c");
                    auto& state = states[key.key];
                    auto& consumptions = taken[key.key];
                    const auto units = random.between<std::uint64_t>(0, 6);
                    const bool gives = !consumptions.empty() && random.one_in(3);
                    auto request = key.request(gives              ? sluice::Operation::give_back
                                               : random.one_in(3) ? sluice::Operation::take
                                                                  : sluice::Operation::consume,
                                               units);
                    if (gives)
                        request.consumed_at = consumptions[random.between<std::size_t>(0, consumptions.size() - 1)].at;
                    if (request.operation == sluice::Operation::consume) {
                        if (random.one_in(2)) request.max_delay = std::chrono::milliseconds{random.between(0, 2'500)};
                        sluice::reserve(policy, state, now, units);
                    }
                    std::uint64_t expected_units = 0;
                    const auto expected = sluice::operate(request, state, now, expected_units);
                    if (gives) {
                        const auto decision = store.decide(request);
                        if (decision.error) FAIL("give_back: " << decision);
                        continue;
                    }
                    const auto done = store.consume(request);
                    if (done.decision != expected || done.units != expected_units || done.at != now) {
                        FAIL("differs in sequence " << i << ", operation " << n << ", " << (latest - now).count()
                                                    << " ns late, units " << units << ", max_delay "
                                                    << request.max_delay.count() << ": " << done.decision << ", took "
                                                    << done.units << "; the policy: " << expected << ", takes "
                                                    << expected_units);
                    }
                    if (done.units != 0) consumptions.push_back(done);
                }
            }
        }
    });
}

/// What is taken is there no more, and there again when it was given back; too much is never given.
template <class Kit>
void takes_and_gives_back(Kit& kit) {
    for_each_settling_policy([&](const auto& policy, const std::string& what) {
        using P = std::decay_t<decltype(policy)>;
        kit.clock.set(settling_start);
        if constexpr (sluice::SettlingStore<decltype(kit.template store<P>()), P>) {
            INFO(what);
            const SettlingKey key{kit.template store<P>(), policy, "takes/" + what};
            const auto first = key.take(3);
            REQUIRE(first.decision);
            REQUIRE(first.units == 3);
            REQUIRE(first.at == settling_start);
            const auto rest = key.take(100);
            REQUIRE(rest.units == 2);
            REQUIRE(rest.decision.remaining == 0);
            const auto none = key.take(100);
            REQUIRE_FALSE(none.decision);
            REQUIRE(none.units == 0);
            REQUIRE(none.decision.retry_after > 0ns);
            REQUIRE_FALSE(key.give_back(first, 2).error);
            REQUIRE(key.remaining() == 2);
            REQUIRE(key.consume(3).units == 0);
            REQUIRE(key.consume(2).units == 2);

            kit.clock.set(settling_start + 1h);
            REQUIRE(key.consume(5).units == 5);
            REQUIRE_FALSE(key.give_back(first, 1).error);                     // of a window that is over
            const bool is_window = what.find("window") != std::string::npos;  // all_of: its bucket's
            REQUIRE(key.remaining() == (is_window ? 0 : 1));
        }
    });
}

template <class Kit>
void minds_the_greatest_delay(Kit& kit) {
    using P = sluice::LeakyBucket;
    kit.clock.set(settling_start);
    if constexpr (sluice::SettlingStore<decltype(kit.template store<P>()), P>) {
        const SettlingKey key{kit.template store<P>(), P{5, sluice::per_second(2)}, "delays"};
        REQUIRE(key.consume(1, 0ns).decision.delay == 0ns);
        REQUIRE(key.consume(1, 500ms).decision.delay == 500ms);
        const auto denied = key.consume(1, 900ms);
        REQUIRE_FALSE(denied.decision);
        REQUIRE(denied.units == 0);
        REQUIRE(denied.decision.retry_after == 100ms);
        REQUIRE(denied.decision.remaining == 3);
        kit.clock.set(settling_start + 100ms - Kit::resolution);
        REQUIRE_FALSE(key.consume(1, 900ms).decision);
        kit.clock.set(settling_start + 100ms);
        REQUIRE(key.consume(1, 900ms).decision.delay == 900ms);

        const SettlingKey burst{kit.template store<P>(), P{5, sluice::per_second(2), 3}, "delays"};
        for (int i = 0; i != 3; ++i) REQUIRE(burst.consume(1, 0ns).units == 1);
        REQUIRE(burst.consume(1, 0ns).decision.retry_after == 500ms);
        REQUIRE(burst.consume(1).decision.delay == 500ms);
    }
}

/// Threads take, and give back what they do not need, at a clock that stands still: the books balance.
template <class Kit>
void settles_exactly_with_threads(Kit& kit) {
    for_each_settling_policy([&](const auto& policy, const std::string& what) {
        using P = std::decay_t<decltype(policy)>;
        kit.clock.set(settling_start);
        if constexpr (sluice::SettlingStore<decltype(kit.template store<P>()), P>) {
            INFO(what);
            const SettlingKey key{kit.template store<P>(), policy, "threads settle/" + what};
            std::atomic<int> held{0};
            std::atomic<int> most_held{0};
            run_threads(4, [&](int thread) {
                for (int i = 0; i != Kit::requests_per_thread / 20; ++i) {
                    const auto taken = (i + thread) % 2 == 0 ? key.take(3) : key.consume(2);
                    if (taken.units == 0) continue;
                    const int now_held = held += static_cast<int>(taken.units);
                    int most = most_held;
                    while (most < now_held && !most_held.compare_exchange_weak(most, now_held)) {
                    }
                    held -= static_cast<int>(taken.units);
                    if (key.give_back(taken, taken.units).error) std::abort();
                }
            });
            REQUIRE(most_held <= 5);
            REQUIRE(key.remaining() == 5);
        }
    });
}

}  // namespace conformance

#endif
