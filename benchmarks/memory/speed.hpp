// SPDX-License-Identifier: MIT
#ifndef SLUICE_BENCHMARKS_MEMORY_SPEED_HPP
#define SLUICE_BENCHMARKS_MEMORY_SPEED_HPP

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include <benchmark/benchmark.h>

#include "memory/contenders.hpp"
#include "memory/keys.hpp"
#include "support/processors.hpp"
#include "support/rounds.hpp"

namespace memory {

enum class Expect { allowed, denied };

/// Uses every member of every decision, and counts the answers to tell whether the workload is what it says.
class Answers {
public:
    template <class Decision>
    void add(const Decision& decision) {
        ++asked_;
        allowed_ += decision.allowed ? 1 : 0;
        sum_ += decision.limit + decision.remaining + static_cast<std::uint64_t>(decision.retry_after.count()) +
                static_cast<std::uint64_t>(decision.reset_after.count());
    }

    /// Reports to `state`; an error where the answers are not those expected (one in 1000 may be another's, since a
    /// denied key gets a token each second).
    void report(benchmark::State& state, Expect expect) const {
        std::uint64_t sum = sum_;
        benchmark::DoNotOptimize(sum);
        const std::uint64_t odd = expect == Expect::allowed ? asked_ - allowed_ : allowed_;
        if (odd > asked_ / 1000) return state.SkipWithError("allowed or denied against expectation");
        state.counters[support::decisions] = support::decisions_made(static_cast<double>(asked_));
    }

private:
    std::uint64_t asked_ = 0;
    std::uint64_t allowed_ = 0;
    std::uint64_t sum_ = 0;
};

struct Shape {
    int threads;
    std::int64_t decisions;  // of each thread
    Expect expect = Expect::allowed;
};

/// From a starting point of the thread's own, so that threads do not follow each other.
inline Keys::Walk own_walk(const Keys& keys, const benchmark::State& state) {
    return {keys,
            keys.size() / static_cast<std::size_t>(state.threads()) * static_cast<std::size_t>(state.thread_index())};
}

template <class Contender>
void add_workload(const std::string& name, std::shared_ptr<Contender> contender, const Keys& keys, Shape shape) {
    const auto run = [=, &keys](benchmark::State& state) {
        support::pin_thread(static_cast<std::size_t>(state.thread_index()));
        Keys::Walk walk = own_walk(keys, state);
        for (std::int64_t i = 0; i < shape.decisions / 8; ++i)  // untimed, to warm the caches
            benchmark::DoNotOptimize(contender->try_consume(walk.next()).allowed);
        Answers answers;
        for ([[maybe_unused]] auto _ : state) answers.add(contender->try_consume(walk.next()));
        answers.report(state, shape.expect);
    };
    benchmark::RegisterBenchmark(name.c_str(), run)->Threads(shape.threads)->Iterations(shape.decisions)->UseRealTime();
}

/// Each key once, of a contender that `make` has just made; the first eighth is untimed.
template <class Make>
void add_flood(const std::string& name, Make make, const Keys& keys) {
    const auto untimed = static_cast<std::int64_t>(keys.size() / 8);
    const auto run = [=, &keys](benchmark::State& state) {
        support::pin_thread(0);
        const auto contender = make();
        Keys::Walk walk{keys, 0};
        for (std::int64_t i = 0; i < untimed; ++i)
            benchmark::DoNotOptimize(contender->try_consume(walk.next()).allowed);
        Answers answers;
        for ([[maybe_unused]] auto _ : state) answers.add(contender->try_consume(walk.next()));
        answers.report(state, Expect::allowed);
    };
    benchmark::RegisterBenchmark(name.c_str(), run)
        ->Iterations(static_cast<std::int64_t>(keys.size()) - untimed)
        ->UseRealTime();
}

template <class Limiter>
void add_batches(const std::string& name, std::shared_ptr<Limiter> limiter, const Keys& keys, Shape shape) {
    static constexpr std::size_t batch = 16;
    const auto run = [=, &keys](benchmark::State& state) {
        support::pin_thread(static_cast<std::size_t>(state.thread_index()));
        Keys::Walk walk = own_walk(keys, state);
        std::array<std::string_view, batch> keys_of_batch;
        std::array<sluice::Decision, batch> decisions;
        Answers answers;
        for ([[maybe_unused]] auto _ : state) {
            for (std::string_view& key : keys_of_batch) key = walk.next();
            limiter->try_consume_many(keys_of_batch, decisions);
            for (const sluice::Decision& decision : decisions) answers.add(decision);
        }
        answers.report(state, shape.expect);
    };
    benchmark::RegisterBenchmark(name.c_str(), run)
        ->Threads(shape.threads)
        ->Iterations(shape.decisions / static_cast<std::int64_t>(batch))
        ->UseRealTime();
}

}  // namespace memory

#endif
