// SPDX-License-Identifier: MIT
#ifndef SLUICE_BENCHMARKS_SUPPORT_RESULTS_HPP
#define SLUICE_BENCHMARKS_SUPPORT_RESULTS_HPP

#include <algorithm>
#include <cstddef>
#include <limits>
#include <map>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

namespace support {

inline double median(std::vector<double> values) {
    if (values.empty()) return std::numeric_limits<double>::quiet_NaN();
    std::sort(values.begin(), values.end());
    const std::size_t half = values.size() / 2;
    return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

/// Figures of contenders (rows) in workloads (columns), several of each; both in the order in which they first came.
class Results {
public:
    void add(const std::string& row, const std::string& column, double value) {
        note(rows_, row);
        note(columns_, column);
        values_[{row, column}].push_back(value);
    }

    const std::vector<std::string>& rows() const { return rows_; }
    const std::vector<std::string>& columns() const { return columns_; }
    /// NaN where there is none.
    double at(const std::string& row, const std::string& column) const {
        const auto found = values_.find({row, column});
        return median(found == values_.end() ? std::vector<double>{} : found->second);
    }

    /// {"<column>": {"<row>": {"median": ..., "all": [...]}}}
    void write_json(std::ostream& out) const {
        const char* between_columns = "{";
        for (const std::string& column : columns_) {
            out << between_columns << "\n    \"" << column << "\": ";
            const char* between_rows = "{";
            for (const std::string& row : rows_) {
                const auto found = values_.find({row, column});
                if (found == values_.end()) continue;
                out << between_rows << "\n      \"" << row << "\": {\"median\": " << median(found->second)
                    << ", \"all\": ";
                const char* between = "[";
                for (const double value : found->second) out << std::exchange(between, ", ") << value;
                out << "]}";
                between_rows = ",";
            }
            out << "}";
            between_columns = ",";
        }
        out << "}";
    }

private:
    static void note(std::vector<std::string>& names, const std::string& name) {
        if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
    }

    std::vector<std::string> rows_;
    std::vector<std::string> columns_;
    std::map<std::pair<std::string, std::string>, std::vector<double>> values_;
};

}  // namespace support

#endif
