// SPDX-License-Identifier: MIT
#ifndef SLUICE_HTTP_JSON_DETAIL_QUANTITY_HPP
#define SLUICE_HTTP_JSON_DETAIL_QUANTITY_HPP

#include <array>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <sluice/rate.hpp>

// Durations and rates as a person writes them.
namespace sluice::http::detail {

inline constexpr std::array<std::pair<std::string_view, std::int64_t>, 7> duration_units{{{"ns", 1},
                                                                                          {"us", 1'000},
                                                                                          {"ms", 1'000'000},
                                                                                          {"s", 1'000'000'000},
                                                                                          {"m", 60'000'000'000},
                                                                                          {"h", 3'600'000'000'000},
                                                                                          {"d", 86'400'000'000'000}}};

/// Takes digits off the front; false if there are none or too many.
inline bool take_number(std::string_view& text, std::int64_t& number) noexcept {
    if (text.empty() || text.front() < '0' || text.front() > '9') return false;
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{}) return false;
    text.remove_prefix(static_cast<std::size_t>(stop - text.data()));
    return true;
}

inline std::chrono::nanoseconds unit_duration(std::string_view unit) noexcept {
    for (const auto& [name, ns] : duration_units) {
        if (name == unit) return std::chrono::nanoseconds{ns};
    }
    return std::chrono::nanoseconds{0};
}

/// "500ms", "1h". Throws std::invalid_argument.
inline std::chrono::nanoseconds parse_duration(std::string_view text) {
    std::string_view rest = text;
    std::int64_t count = 0;
    const bool number = take_number(rest, count);
    const auto unit = unit_duration(rest);
    if (!number || unit.count() == 0 || count > INT64_MAX / unit.count()) {
        throw std::invalid_argument("must be a duration such as \"500ms\" (ns, us, ms, s, m, h, d), not \"" +
                                    std::string{text} + "\"");
    }
    return count * unit;
}

/// "10/s", "1/5m". Throws std::invalid_argument.
inline Rate parse_rate(std::string_view text) {
    std::string_view rest = text;
    std::int64_t count = 0;
    std::int64_t periods = 1;
    bool valid = take_number(rest, count) && !rest.empty() && rest.front() == '/';
    if (valid) {
        rest.remove_prefix(1);
        const bool starts_with_digit = !rest.empty() && rest.front() >= '0' && rest.front() <= '9';
        valid = !starts_with_digit || take_number(rest, periods);
    }
    const auto unit = valid ? unit_duration(rest) : std::chrono::nanoseconds{0};
    if (unit.count() == 0 || periods > INT64_MAX / unit.count()) {
        throw std::invalid_argument("must be a rate such as \"10/s\" or \"1/5m\" (ns, us, ms, s, m, h, d), not \"" +
                                    std::string{text} + "\"");
    }
    return Rate{count, periods * unit};
}

}  // namespace sluice::http::detail

#endif
