// SPDX-License-Identifier: MIT
#ifndef SLUICE_TESTING_DETAIL_SETTLING_HPP
#define SLUICE_TESTING_DETAIL_SETTLING_HPP

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include <sluice/operate.hpp>
#include <sluice/store.hpp>
#include <sluice/testing/detail/policies.hpp>
#include <sluice/testing/detail/run.hpp>
#include <sluice/testing/detail/threads.hpp>

// What a store must do that tells what it took (sluice::SettlingStore); of other stores these cases check nothing.
namespace sluice::detail::conformance {

using namespace std::chrono_literals;

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

/// body(key, what) for each policy, on a key that nobody has asked for, where the store can settle.
template <class Kit, class Body>
void with_each_settling_policy(Kit& kit, Run& check, Body body) {
    for_each_settling_policy([&](const auto& policy, const char* what) {
        using P = std::decay_t<decltype(policy)>;
        kit.clock.set(start);
        if constexpr (sluice::SettlingStore<decltype(kit.template store<P>()), P>) {
            check.about(what);
            body(SettlingKey{kit.template store<P>(), policy, check.name(what)}, what);
        }
    });
}

/// Random operations on a few keys at times that may be late: the store answers as the bare policy on a state kept here.
template <class Kit>
void settles_as_the_bare_policy(Kit& kit, Run& check) {
    for_each_settling_policy([&](const auto& policy, const char* what) {
        using P = std::decay_t<decltype(policy)>;
        const auto store = kit.template store<P>();
        if constexpr (sluice::SettlingStore<decltype(kit.template store<P>()), P>) {
            check.about(what);
            for (int i = 0; i != Kit::sequences / 4; ++i) {
                SettlingKey key{store, policy, check.name(what) + "/" + std::to_string(i)};
                std::map<std::string, typename P::State> states;
                std::map<std::string, std::vector<sluice::Consumption>> taken;
                nanoseconds now = start + std::chrono::microseconds{check.between(0, 20'000'000)};
                nanoseconds latest = now;
                for (int n = 0; n != 50; ++n) {
                    now += std::chrono::microseconds{check.one_in(2) ? 0 : check.magnitude(1, 5'000'000)};
                    latest = std::max(latest, now);
                    if (check.one_in(8)) now = latest - std::chrono::microseconds{check.magnitude(1, 5'000'000)};
                    kit.clock.set(now);
                    key.key = check.pick("a", "b", "c");
                    auto& state = states[key.key];
                    auto& consumptions = taken[key.key];
                    const auto units = check.between<std::uint64_t>(0, 6);
                    const bool gives = !consumptions.empty() && check.one_in(3);
                    const bool carries = sluice::CarryingStore<std::decay_t<decltype(store)>> && check.one_in(8);
                    auto request = key.request(gives             ? sluice::Operation::give_back
                                               : carries         ? sluice::Operation::carry
                                               : check.one_in(3) ? sluice::Operation::take
                                                                 : sluice::Operation::consume,
                                               units);
                    if (gives)
                        request.consumed_at = consumptions[check.between<std::size_t>(0, consumptions.size() - 1)].at;
                    if (request.operation == sluice::Operation::consume) {
                        if (check.one_in(2)) request.max_delay = std::chrono::milliseconds{check.between(0, 2'500)};
                        sluice::reserve(policy, state, now, units);
                    }
                    std::uint64_t expected_units = 0;
                    const auto expected = sluice::operate(request, state, now, expected_units);
                    if (gives) {
                        const auto decision = store.decide(request);
                        check(!decision.error);
                        continue;
                    }
                    const auto done = store.consume(request);
                    if (done.decision != expected || done.units != expected_units || done.at != now) {
                        return check.fail("differs, " + std::to_string((latest - now).count()) + " ns late, units " +
                                              std::to_string(units) + ", took " + std::to_string(done.units) +
                                              ", not " + std::to_string(expected_units),
                                          done.decision, expected);
                    }
                    if (done.units != 0) consumptions.push_back(done);
                }
            }
        }
    });
}

/// What is taken is there no more, and there again when it was given back; too much is never given.
template <class Kit>
void takes_and_gives_back(Kit& kit, Run& check) {
    with_each_settling_policy(kit, check, [&](const auto& key, const char* what) {
        const auto first = key.take(3);
        check(first.decision);
        check(first.units == 3);
        check(first.at == start);
        const auto rest = key.take(100);
        check(rest.units == 2);
        check(rest.decision.remaining == 0);
        const auto none = key.take(100);
        check(!none.decision);
        check(none.units == 0);
        check(none.decision.retry_after > 0ns);
        check(!key.give_back(first, 2).error);
        check(key.remaining() == 2);
        check(key.consume(3).units == 0);
        check(key.consume(2).units == 2);

        kit.clock.set(start + 1h);
        check(key.consume(5).units == 5);
        check(!key.give_back(first, 1).error);  // of a window that is over
        const bool is_window = std::string_view{what}.find("window") != std::string_view::npos;  // all_of: its bucket's
        check(key.remaining() == (is_window ? 0 : 1));
    });
}

template <class Kit>
void minds_the_greatest_delay(Kit& kit, Run& check) {
    using P = sluice::LeakyBucket;
    kit.clock.set(start);
    if constexpr (sluice::SettlingStore<decltype(kit.template store<P>()), P>) {
        const SettlingKey key{kit.template store<P>(), P{5, sluice::per_second(2)}, check.name("it")};
        check(key.consume(1, 0ns).decision.delay == 0ns);
        check(key.consume(1, 500ms).decision.delay == 500ms);
        const auto denied = key.consume(1, 900ms);
        check(!denied.decision);
        check(denied.units == 0);
        check(denied.decision.retry_after == 100ms);
        check(denied.decision.remaining == 3);
        kit.clock.set(start + 100ms - Kit::resolution);
        check(!key.consume(1, 900ms).decision);
        kit.clock.set(start + 100ms);
        check(key.consume(1, 900ms).decision.delay == 900ms);

        const SettlingKey burst{kit.template store<P>(), P{5, sluice::per_second(2), 3}, check.name("it")};
        for (int i = 0; i != 3; ++i) check(burst.consume(1, 0ns).units == 1);
        check(burst.consume(1, 0ns).decision.retry_after == 500ms);
        check(burst.consume(1).decision.delay == 500ms);
    }
}

/// Threads take, and give back what they do not need, at a clock that stands still: the books balance.
template <class Kit>
void settles_exactly_with_threads(Kit& kit, Run& check) {
    with_each_settling_policy(kit, check, [&](const auto& key, const char*) {
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
        check(most_held <= 5);
        check(key.remaining() == 5);
    });
}

}  // namespace sluice::detail::conformance

#endif
