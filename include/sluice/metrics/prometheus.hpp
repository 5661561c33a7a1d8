// SPDX-License-Identifier: MIT
#ifndef SLUICE_METRICS_PROMETHEUS_HPP
#define SLUICE_METRICS_PROMETHEUS_HPP

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include <sluice/detail/cpp20.hpp>

namespace sluice::metrics {

using Labels = std::initializer_list<std::pair<std::string_view, std::string_view>>;

/// Builds Prometheus' text format (version 0.0.4; send it as prometheus_content_type). For one thread.
class PrometheusText {
public:
    /// Opens a metric; its samples follow. `type` is counter, gauge or histogram.
    void metric(std::string_view name, std::string_view type, std::string_view help) {
        name_ = name;
        for (const auto part :
             {std::string_view{"# HELP "}, name, std::string_view{" "}, help, std::string_view{"\n# TYPE "}, name,
              std::string_view{" "}, type, std::string_view{"\n"}}) {
            text_ += part;
        }
    }

    void sample(const Labels& labels, std::uint64_t value, std::string_view suffix = {}) {
        begin(labels, suffix);
        text_ += std::to_string(value);
        text_ += '\n';
    }
    void sample(const Labels& labels, double value, std::string_view suffix = {}) {
        begin(labels, suffix);
        text_ += number(value);
        text_ += '\n';
    }

    static std::string number(double value) {
        char digits[32];
        const int size = std::snprintf(digits, sizeof digits, "%.9g", value);
        std::string text{digits, static_cast<std::size_t>(size)};
        // The program's locale may write a comma.
        if (const auto comma = text.find(','); comma != std::string::npos) text[comma] = '.';
        return text;
    }

    const std::string& text() const noexcept { return text_; }

private:
    void begin(const Labels& labels, std::string_view suffix) {
        text_ += name_;
        text_ += suffix;
        char separator = '{';
        for (const auto& [label, value] : labels) {
            text_ += separator;
            text_ += label;
            text_ += "=\"";
            for (const char c : value) {
                if (c == '\\' || c == '"') text_ += '\\';
                if (c == '\n') text_ += "\\n";
                else text_ += c;
            }
            text_ += '"';
            separator = ',';
        }
        if (separator == ',') text_ += '}';
        text_ += ' ';
    }

    std::string text_;
    std::string name_;
};

inline constexpr const char* prometheus_content_type = "text/plain; version=0.0.4; charset=utf-8";

}  // namespace sluice::metrics

#endif
