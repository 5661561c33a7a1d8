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
        skewed{zipf(million, million, 0.99)};
    for_each_contender([&](auto kind) {
        const std::string name = std::string{"/"} + kind.name;
        const auto allowed = kind({1'000'000'000, 1'000'000'000});
        const auto denied = kind({1, 1});
        const auto many = filled(kind({million, 1}), all);
        add_workload("W1" + name, allowed, hot, {1, effort.hot});
        add_workload("W2" + name, many, even, {1, effort.spread});
        add_workload("W3" + name, many, skewed, {1, effort.spread});
        add_workload("W4" + name, many, even, {2, effort.spread});
        add_workload("W5" + name, allowed, hot, {2, effort.hot / 2});
        add_workload("W6" + name, denied, hot, {1, effort.hot, Expect::denied});
        add_workload("W6x2" + name, denied, hot, {2, effort.hot, Expect::denied});
        if constexpr (requires { many->store(); }) add_batches("many" + name, many, even, {1, effort.spread});
    });
    return support::run_in_rounds({"W1", "W2", "W3", "W4", "W5", "W6", "W6x2", "many"}, effort.rounds);
}

/// Every policy of the library: `hot` never denies in W1, `even` in W2, `strict` denies in W6.
template <class P>
void add_policy(const std::string& name, const Effort& effort, const Keys& one, const Keys& all, const Keys& random,
                const P& hot, const P& even, const P& strict) {
    add_workload("W1/" + name, make_limiter(hot), one, {1, effort.hot});
    add_workload("W2/" + name, filled(make_limiter(even), all), random, {1, effort.spread});
    add_workload("W6/" + name, make_limiter(strict), one, {1, effort.hot, Expect::denied});
}

inline support::Results measure_policies(const Effort& effort) {
    using namespace sluice;
    using namespace std::chrono_literals;
    constexpr auto day = 24h;
    constexpr auto generation = 10'950 * day;  // long enough for a hot key's count never to start anew
    constexpr std::uint64_t huge = 100'000'000;
    const TokenBucket fast{1'000'000'000, per_second(1'000'000'000)}, slow{million, per_second(1)},
        strict{1, per_second(1)};

    const Keys one{always_one()}, all{each_once(million)}, random{uniform(million, million)};
    const auto add = [&](const std::string& name, const auto& hot, const auto& even, const auto& denying) {
        add_policy(name, effort, one, all, random, hot, even, denying);
    };
    add("TokenBucket", fast, slow, strict);
    add("LeakyBucket", LeakyBucket{1'000'000'000, per_second(1'000'000'000)}, LeakyBucket{million, per_second(1)},
        LeakyBucket{1, per_second(1)});
    add("FixedWindow", FixedWindow{huge, generation}, FixedWindow{million, day}, FixedWindow{1, day});
    add("SlidingWindowCounter", SlidingWindowCounter{huge, generation}, SlidingWindowCounter{million, day},
        SlidingWindowCounter{1, day});
    add("SlidingWindow", SlidingWindow{10'000, 10us}, SlidingWindow{1'000, day}, SlidingWindow{1, day});
    add("AllOf", AllOf{fast, FixedWindow{huge, generation}}, AllOf{slow, FixedWindow{million, day}},
        AllOf{strict, FixedWindow{1, day}});
    return support::run_in_rounds({"W1", "W2", "W6"}, effort.rounds);
}

}  // namespace memory

#endif
