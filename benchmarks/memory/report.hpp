// SPDX-License-Identifier: MIT
#ifndef SLUICE_BENCHMARKS_MEMORY_REPORT_HPP
#define SLUICE_BENCHMARKS_MEMORY_REPORT_HPP

#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include "memory/contenders.hpp"
#include "support/goals.hpp"
#include "support/results.hpp"

// Tables in Markdown.
namespace memory {

inline bool is_ours(const std::string& contender) { return contender.starts_with("sluice"); }

/// The fastest peer in a workload.
inline std::string best_peer(const support::Results& results, const std::string& workload) {
    std::string best = hand_written;
    for (const std::string& row : results.rows()) {
        if (!is_ours(row) && results.at(row, workload) < results.at(best, workload)) best = row;
    }
    return best;
}

inline void print_head(const char* title, const std::vector<std::string>& columns) {
    std::printf("\n| %-37s |", title);
    for (const std::string& column : columns) std::printf(" %6s |", column.c_str());
    std::printf("\n|---|");
    for (std::size_t i = 0; i != columns.size(); ++i) std::printf("---:|");
    std::putchar('\n');
}

/// One row; value(column) or NaN for nothing.
template <class Value>
void print_row(const std::string& name, const std::vector<std::string>& columns, const char* format, Value value) {
    std::printf("| %-37s |", name.c_str());
    for (const std::string& column : columns) {
        const double figure = value(column);
        char text[32] = "";
        if (!std::isnan(figure)) std::snprintf(text, sizeof text, format, figure);
        std::printf(" %6s |", text);
    }
    std::putchar('\n');
}

inline void print_times(const support::Results& results) {
    print_head("ns per decision and thread", results.columns());
    for (const std::string& row : results.rows()) {
        print_row(row, results.columns(), "%.1f",
                  [&](const std::string& workload) { return results.at(row, workload); });
    }
}

/// How many times as fast as the peers each of our variants is.
inline void print_ratios(const support::Results& results) {
    print_head("times as fast", results.columns());
    for (const std::string& row : results.rows()) {
        if (!is_ours(row)) continue;
        print_row(row + " : " + hand_written, results.columns(), "%.1f", [&](const std::string& workload) {
            return results.at(hand_written, workload) / results.at(row, workload);
        });
        print_row(row + " : best peer", results.columns(), "%.1f", [&](const std::string& workload) {
            return results.at(best_peer(results, workload), workload) / results.at(row, workload);
        });
    }
    std::printf("\nThe best peers:");
    for (const std::string& workload : results.columns()) {
        if (!std::isnan(results.at(hand_written, workload))) {
            std::printf(" %s %s;", workload.c_str(), best_peer(results, workload).c_str());
        }
    }
    std::putchar('\n');
}

/// As multiples of the first row.
inline void print_multiples(const support::Results& results) {
    const std::string& first = results.rows().front();
    print_head(("times as long as " + first).c_str(), results.columns());
    for (const std::string& row : results.rows()) {
        print_row(row, results.columns(), "%.2f",
                  [&](const std::string& workload) { return results.at(row, workload) / results.at(first, workload); });
    }
}

struct Goal {
    const char* row;
    const char* workload;
    double bound;
};

/// What the summary says of the figures. Those on two threads need two processors.
inline int print_goals(const support::Results& contenders, const support::Results& policies,
                       const support::Results& footprint) {
    support::Goals goals;
    std::puts("\nGoals");
    for (const Goal& goal : {Goal{"", "W1", 3},
                             {"", "W2", 3},
                             {"", "W3", 3},
                             {"", "W4", 3},
                             {"", "W5", 3},
                             {"", "W6", 4},
                             {"", "W7", 3},
                             {"", "W7x2", 3},
                             {"", "W8", 2.5}}) {
        const std::string best = best_peer(contenders, goal.workload);
        goals.expect(std::string{goal.workload} + ", times as fast as " + best,
                     contenders.at(best, goal.workload) / contenders.at(sluice_default, goal.workload),
                     ">=", goal.bound);
    }
    goals.expect("TokenBucket W7, times as long as in W2",
                 policies.at("TokenBucket", "W7") / policies.at("TokenBucket", "W2"), "<=", 1.5);
    for (const Goal& goal : {Goal{"AllOf", "W1", 2},
                             {"AllOf", "W2", 1.5},
                             {"AllOf", "W6", 2},
                             {"SlidingWindow", "W2", 3},
                             {"SlidingWindowCounter", "W1", 1.3}}) {
        goals.expect(std::string{goal.row} + " " + goal.workload + ", times as long as TokenBucket",
                     policies.at(goal.row, goal.workload) / policies.at("TokenBucket", goal.workload),
                     "<=", goal.bound);
    }
    goals.expect("bytes per key", footprint.at(sluice_default, "B/key"), "<=", 36);
    goals.expect("bytes per key of AllOf with two policies", footprint.at(sluice_all_of, "B/key"), "<=", 56);
    goals.expect("worst call while growing, us more than without", footprint.at(sluice_default, "excess"), "<=", 150);
    return goals.conclude();
}

}  // namespace memory

#endif
