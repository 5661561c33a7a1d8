// SPDX-License-Identifier: MIT
#ifndef SLUICE_BENCHMARKS_SUPPORT_GOALS_HPP
#define SLUICE_BENCHMARKS_SUPPORT_GOALS_HPP

#include <cstdio>
#include <string>

namespace support {

/// A benchmark's summary: figures, what they must be, and whether they are.
class Goals {
public:
    /// `relation` is "<=" or ">=". What was not measured does not hold.
    void expect(const std::string& what, double value, const char* relation, double bound) {
        const bool holds = *relation == '<' ? value <= bound : value >= bound;
        all_hold_ = all_hold_ && holds;
        std::printf("  %-66s %9.3f  %s %g  %s\n", what.c_str(), value, relation, bound, holds ? "" : "NO");
    }
    void fail() { all_hold_ = false; }

    /// Prints the verdict. The exit status of the program.
    int conclude() const {
        std::printf("\n%s\n", all_hold_ ? "All ratios hold." : "Not all ratios hold.");
        return all_hold_ ? 0 : 1;
    }

private:
    bool all_hold_ = true;
};

}  // namespace support

#endif
