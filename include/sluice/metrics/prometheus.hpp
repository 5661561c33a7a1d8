// SPDX-License-Identifier: MIT
#ifndef SLUICE_METRICS_PROMETHEUS_HPP
#define SLUICE_METRICS_PROMETHEUS_HPP

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <sluice/detail/cpp20.hpp>
#include <sluice/metrics/detail/utf8.hpp>

namespace sluice::metrics {

using Labels = std::initializer_list<std::pair<std::string_view, std::string_view>>;

/// Builds Prometheus' text format (version 0.0.4; send it as prometheus_content_type). For one thread.
class PrometheusText {
public:
    /// Opens a metric; its samples follow. `type` is counter, gauge or histogram.
    void metric(std::string_view name, std::string_view type, std::string_view help) {
        name_ = name;
        text_ += "# HELP " + name_ + ' ';
        append_escaped(help, {});
        text_ += "\n# TYPE " + name_ + ' ';
        text_ += type;
        text_ += '\n';
    }

    /// An integer with all its digits, a floating point number so that it reads as the same again.
    template <class Number>
    requires std::is_arithmetic_v<Number>
    void sample(const Labels& labels, Number value, std::string_view suffix = {}) {
        begin(labels, suffix);
        if constexpr (std::is_same_v<Number, bool>)
            text_ += value ? '1' : '0';
        else if constexpr (std::is_integral_v<Number>)
            text_ += std::to_string(value);
        else
            text_ += number(static_cast<double>(value));
        text_ += '\n';
    }
    void sample(const Labels& labels, std::chrono::nanoseconds time, std::string_view suffix = {}) {
        begin(labels, suffix);
        text_ += seconds(time);
        text_ += '\n';
    }

    /// The shortest decimal number that reads as `value` again.
    static std::string number(double value) {
        std::array<char, 32> digits;
        for (const int precision : {15, 16, 17}) {
            std::snprintf(digits.data(), digits.size(), "%.*g", precision, value);
            if (std::strtod(digits.data(), nullptr) == value) break;
        }
        std::string text{digits.data()};
        // The program's locale may write a comma.
        if (const auto comma = text.find(','); comma != std::string::npos) text[comma] = '.';
        if (value != value) return "NaN";
        if (text.find("inf") != std::string::npos) return value > 0 ? "+Inf" : "-Inf";
        return text;
    }
    /// Seconds with all their digits.
    static std::string seconds(std::chrono::nanoseconds time) {
        constexpr std::int64_t second = 1'000'000'000;
        std::string text =
            std::to_string(time.count() / second) + '.' + std::to_string(second + time.count() % second).substr(1);
        text.erase(text.find_last_not_of('0') + 1);
        if (text.back() == '.') text.pop_back();
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
            append_escaped(value, "\"");
            text_ += '"';
            separator = ',';
        }
        if (separator == ',') text_ += '}';
        text_ += ' ';
    }

    /// Backslashes and ends of lines mean something everywhere, `also` only here. The format is UTF-8 without a NUL: what
    /// else a name holds is shown as \xNN, so that one odd name does not make all metrics unreadable.
    void append_escaped(std::string_view text, std::string_view also) {
        constexpr std::string_view hex = "0123456789abcdef";
        const bool is_utf8 = detail::is_utf8(text);
        for (const char c : text) {
            const auto byte = static_cast<unsigned char>(c);
            if (c == '\n') {
                text_ += "\\n";
            } else if (c == '\0' || (byte >= 0x80 && !is_utf8)) {
                text_ += "\\\\x";
                text_ += hex[byte >> 4];
                text_ += hex[byte & 15];
            } else {
                if (c == '\\' || also.find(c) != std::string_view::npos) text_ += '\\';
                text_ += c;
            }
        }
    }

    std::string text_;
    std::string name_;
};

inline constexpr const char* prometheus_content_type = "text/plain; version=0.0.4; charset=utf-8";

}  // namespace sluice::metrics

#endif
