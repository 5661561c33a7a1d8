// SPDX-License-Identifier: MIT
// The in-memory store against what else one could take: speed, memory, and the worst call while it grows.
#include <cstdio>
#include <cstring>
#include <fstream>
#include <string>

#include "memory/footprint.hpp"
#include "memory/report.hpp"
#include "memory/workloads.hpp"
#include "support/machine.hpp"

namespace {

constexpr int growth_runs = 5;

support::Results measure_footprint(bool quick) {
    const std::size_t most_keys = quick ? memory::million : 10 * memory::million;
    support::Results results;
    memory::for_each_contender([&](auto kind) {
        const std::string name = kind.name;
        std::fprintf(stderr, "memory: %s\n", name.c_str());
        results.add(name, "B/key", memory::grow(kind, memory::million).bytes_per_key);
        const int runs = name == memory::sluice_default && !quick ? growth_runs : 1;
        for (int run = 0; run != runs; ++run) {
            const memory::Growth growth = memory::grow(kind, most_keys);
            results.add(name, "grow", growth.growing.mean_ns);
            results.add(name, "again", growth.grown.mean_ns);
            results.add(name, "worst", growth.growing.worst_us);
            results.add(name, "worst again", growth.grown.worst_us);
            results.add(name, "excess", growth.growing.worst_us - growth.grown.worst_us);
        }
    });
    results.add(memory::sluice_all_of, "B/key", memory::bytes_of_two(memory::million));
    const memory::Flood flood = memory::flood(quick ? 2 * memory::million : 20 * memory::million);
    results.add(memory::sluice_default, "flood", flood.mean_ns);
    results.add(memory::sluice_default, "MB", flood.bytes / 1e6);
    return results;
}

void print_footprint(const support::Results& results) {
    memory::print_head("memory and growth", results.columns());
    for (const std::string& row : results.rows()) {
        memory::print_row(row, results.columns(), "%.1f",
                          [&](const std::string& figure) { return results.at(row, figure); });
    }
    std::puts(
        "\nB/key: resident memory after 1,000,000 keys. grow: ns per call from 0 to 10,000,000 keys (--quick: a "
        "tenth), and\n"
        "worst: the longest single call, in us; again: the same calls again, when nothing grows; excess: worst less "
        "worst\n"
        "again (sluice: medians of 5 runs). flood: ns per call for 20,000,000 keys that each come once and live for 1 "
        "ms,\n"
        "and MB: the most memory that took.");
}

}  // namespace

int main(int argc, char** argv) {
    bool quick = false;
    const char* json = nullptr;
    for (int i = 1; i < argc; ++i) {
        if (std::strcmp(argv[i], "--quick") == 0) {
            quick = true;
        } else if (std::strcmp(argv[i], "--json") == 0 && i + 1 < argc) {
            json = argv[++i];
        } else {
            std::fprintf(stderr, "usage: %s [--quick] [--json FILE]\n", argv[0]);
            return 2;
        }
    }

    // Memory first, while this process, which the measuring ones are copies of, has little of it.
    const support::Results footprint = measure_footprint(quick);
    const memory::Effort effort =
        quick ? memory::Effort{3, 1'000'000, 300'000} : memory::Effort{7, 4'000'000, 1'000'000};
    const support::Results contenders = memory::measure_contenders(effort);
    const support::Results policies = memory::measure_policies(effort);

    std::printf(
        "%s\n\n%s\nMedians of %d rounds, in each of which all contenders of a workload ran one after the other.\n",
        support::machine().c_str(), memory::workloads_in_words, effort.rounds);
    memory::print_times(contenders);
    memory::print_ratios(contenders);
    memory::print_times(policies);
    memory::print_multiples(policies);
    print_footprint(footprint);
    const int status = memory::print_goals(contenders, policies, footprint);

    if (json == nullptr) return status;
    std::ofstream out{json};
    out << "{\n  \"machine\": \"" << support::machine() << "\",\n  \"ns_per_decision\": ";
    contenders.write_json(out);
    out << ",\n  \"ns_per_decision_by_policy\": ";
    policies.write_json(out);
    out << ",\n  \"memory\": ";
    footprint.write_json(out);
    out << "\n}\n";
    if (!out.flush()) {
        std::fprintf(stderr, "cannot write %s\n", json);
        return 1;
    }
    return status;
}
