// SPDX-License-Identifier: MIT
#ifndef SLUICE_BENCHMARKS_MEMORY_WORKLOADS_HPP
#define SLUICE_BENCHMARKS_MEMORY_WORKLOADS_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "memory/contenders.hpp"
#include "memory/keys.hpp"
#include "memory/speed.hpp"
#include "support/rounds.hpp"

namespace memory {

/// How much of it.
struct Effort {
    int rounds;
    std::int64_t hot;     // decisions of each round on one key
    std::int64_t spread;  // decisions of each round on a million keys
};

inline constexpr const char* workloads_in_words =
    "W1    one hot key, all allowed (1e9 per second, burst 1e9)\n"
    "W2    1,000,000 keys, uniformly at random, all with live states, all allowed (1 per second, burst 1e6)\n"
    "W3    the same keys and states, Zipf-distributed with exponent 0.99\n"
    "W4    W2 on two threads\n"
    "W5    W1 on two threads: the same key\n"
    "W6    one hot key, denied (1 per second, burst 1)\n"
    "W6x2  W6 on two threads: the same key\n"
    "W7    W2 with states that live for a microsecond (1e6 per second, burst 1e6; windows of a millisecond): the "
    "clock, "
    "a\n"
    "      real one for all contenders, has moved on, and a key's state has expired whenever it is asked for again\n"
    "W7x2  W7 on two threads\n"
    "W8    new keys, each asked for once, whose states live for a microsecond; of an empty store\n"
    "many  W2 by try_consume_many, 16 keys at a time\n";

/// Makes every key's state a live one.
template <class Contender>
std::shared_ptr<Contender> filled(std::shared_ptr<Contender> contender, const Keys& keys) {
    support::pin_thread(0);
    Keys::Walk walk{keys, 0};
    for (std::size_t i = 0; i != keys.size(); ++i)
        benchmark::DoNotOptimize(contender->try_consume(walk.next()).allowed);
    return contender;
}

/// All contenders, token buckets. Nanoseconds per decision and thread.
inline support::Results measure_contenders(const Effort& effort) {
    const Keys hot{always_one()}, all{each_once(million)}, even{uniform(million, million)},
        skewed{zipf(million, million, 0.99)}, new_ones{each_once(static_cast<std::size_t>(effort.spread))};
    for_each_contender([&](auto kind) {
        const std::string name = std::string{"/"} + kind.name;
        const auto allowed = kind({1'000'000'000, 1'000'000'000});
        const auto denied = kind({1, 1});
        const auto many = filled(kind({million, 1}), all);
        const auto brief = filled(kind({million, million}), all);
        add_workload("W1" + name, allowed, hot, {1, effort.hot});
        add_workload("W2" + name, many, even, {1, effort.spread});
        add_workload("W3" + name, many, skewed, {1, effort.spread});
        add_workload("W4" + name, many, even, {2, effort.spread});
        add_workload("W5" + name, allowed, hot, {2, effort.hot / 2});
        add_workload("W6" + name, denied, hot, {1, effort.hot, Expect::denied});
        add_workload("W6x2" + name, denied, hot, {2, effort.hot, Expect::denied});
        add_workload("W7" + name, brief, even, {1, effort.spread});
        add_workload("W7x2" + name, brief, even, {2, effort.spread});
        add_flood(
            "W8" + name,
            [=] {
                return kind({million, million});
            },
            new_ones);
        if constexpr (requires { many->store(); }) add_batches("many" + name, many, even, {1, effort.spread});
    });
    return support::run_in_rounds({"W1", "W2", "W3", "W4", "W5", "W6", "W6x2", "W7", "W7x2", "W8", "many"},
                                  effort.rounds);
}

/// A policy with which a hot key is never denied, one whose states live long, one that denies, and one whose states
/// have expired when the next key is asked.
template <class P>
struct Cases {
    P hot, even, strict, brief;
};

inline support::Results measure_policies(const Effort& effort) {
    using namespace sluice;
    using namespace std::chrono_literals;
    constexpr auto day = 24h;
    constexpr auto generation = 10'950 * day;  // long enough for a hot key's count never to start anew
    constexpr std::uint64_t huge = 100'000'000;
    const Cases<TokenBucket> buckets{{1'000'000'000, per_second(1'000'000'000)},
                                     {million, per_second(1)},
                                     {1, per_second(1)},
                                     {million, per_second(million)}};
    const Cases<LeakyBucket> queues{{1'000'000'000, per_second(1'000'000'000)},
                                    {million, per_second(1)},
                                    {1, per_second(1)},
                                    {million, per_second(million)}};
    const Cases<FixedWindow> windows{{huge, generation}, {million, day}, {1, day}, {1'000, 1ms}};

    const Keys one{always_one()}, all{each_once(million)}, random{uniform(million, million)};
    const auto add = [&](const std::string& name, const auto& policies, MemoryOptions options = {}) {
        const auto even = filled(make_limiter(policies.even, options), all);
        const auto brief = filled(make_limiter(policies.brief, options), all);
        add_workload("W1/" + name, make_limiter(policies.hot, options), one, {1, effort.hot});
        add_workload("W2/" + name, even, random, {1, effort.spread});
        add_workload("W4/" + name, even, random, {2, effort.spread});
        add_workload("W6/" + name, make_limiter(policies.strict, options), one, {1, effort.hot, Expect::denied});
        add_workload("W7/" + name, brief, random, {1, effort.spread});
    };
    add("TokenBucket", buckets);
    add("TokenBucket, wide_fingerprints", buckets, {.wide_fingerprints = true});
    add("LeakyBucket", queues);
    add("FixedWindow", windows);
    constexpr std::uint64_t huge_in_a_word = 60'000'000;  // more than a hot key is asked for in all rounds
    add("SlidingWindowCounter",
        Cases<SlidingWindowCounter>{{huge_in_a_word, generation}, {million, day}, {1, day}, {50, 1ms}});
    add("SlidingWindow", Cases<SlidingWindow>{{10'000, 10us}, {1'000, day}, {1, day}, {1'000, 1us}});
    using Both = AllOf<TokenBucket, FixedWindow>;
    add("AllOf", Cases<Both>{Both{buckets.hot, windows.hot}, Both{buckets.even, windows.even},
                             Both{buckets.strict, windows.strict}, Both{buckets.brief, windows.brief}});
    return support::run_in_rounds({"W1", "W2", "W4", "W6", "W7"}, effort.rounds);
}

}  // namespace memory

#endif
