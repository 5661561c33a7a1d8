// SPDX-License-Identifier: MIT
#ifndef SLUICE_BENCHMARKS_SUPPORT_ROUNDS_HPP
#define SLUICE_BENCHMARKS_SUPPORT_ROUNDS_HPP

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "support/results.hpp"

namespace support {

/// The counter with which a benchmark reports its work: decisions per second of each thread.
inline constexpr const char* decisions = "decisions";

inline benchmark::Counter decisions_made(double count) { return {count, benchmark::Counter::kAvgThreadsRate}; }

/// Collects nanoseconds per decision and thread from benchmarks named "<workload>/<contender>".
class Collector : public benchmark::BenchmarkReporter {
public:
    explicit Collector(Results& results) : results_(results) {}

    bool ReportContext(const Context&) override { return true; }
    void ReportRuns(const std::vector<Run>& runs) override {
        for (const Run& run : runs) {
            const std::string& name = run.run_name.function_name;
            const auto rate = run.counters.find(decisions);
            if (rate == run.counters.end()) {
                std::fprintf(stderr, "%s failed\n", name.c_str());
                std::exit(1);
            }
            const std::size_t slash = name.find('/');
            results_.add(name.substr(slash + 1), name.substr(0, slash), 1e9 / rate->second.value);
        }
    }

private:
    Results& results_;
};

/// Runs all registered benchmarks `rounds` times, in each round all contenders of a workload one after the other, so
/// that whatever else the machine does in that minute concerns them all.
inline Results run_in_rounds(const std::vector<std::string>& workloads, int rounds) {
    Results results;
    Collector collector{results};
    for (int round = 1; round <= rounds; ++round) {
        std::fprintf(stderr, "round %d of %d:", round, rounds);
        for (const std::string& workload : workloads) {
            std::fprintf(stderr, " %s", workload.c_str());
            benchmark::RunSpecifiedBenchmarks(&collector, "^" + workload + "/");
        }
        std::fputc('\n', stderr);
    }
    benchmark::ClearRegisteredBenchmarks();
    return results;
}

}  // namespace support

#endif
