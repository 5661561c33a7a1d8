// SPDX-License-Identifier: MIT
#ifndef SLUICE_BENCHMARKS_MEMORY_REPORT_HPP
#define SLUICE_BENCHMARKS_MEMORY_REPORT_HPP

#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include "memory/contenders.hpp"
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

}  // namespace memory

#endif
