// SPDX-License-Identifier: MIT
#ifndef SLUICE_HTTP_JSON_DETAIL_QUANTITY_HPP
#define SLUICE_HTTP_JSON_DETAIL_QUANTITY_HPP

#include <array>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <optional>
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

/// Takes digits off the front; nothing if there are none or too many.
inline std::optional<std::uint64_t> take_number(std::string_view& text) noexcept {
    std::uint64_t number{};
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{}) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(stop - text.data()));
    return number;
}

/// So many units; nothing where there is no such unit, or for more than a duration holds.
inline std::optional<std::chrono::nanoseconds> times(std::uint64_t count, std::chrono::nanoseconds unit) noexcept {
    if (unit.count() == 0 || count > static_cast<std::uint64_t>(INT64_MAX / unit.count())) return std::nullopt;
    return static_cast<std::int64_t>(count) * unit;
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
    const auto count = take_number(rest);
    const auto duration = count ? times(*count, unit_duration(rest)) : std::nullopt;
    if (!duration) {
        throw std::invalid_argument("must be a duration such as \"500ms\" (ns, us, ms, s, m, h, d), not \"" +
                                    std::string{text} + "\"");
    }
    return *duration;
}

/// "10/s", "1/5m". Throws std::invalid_argument.
inline Rate parse_rate(std::string_view text) {
    std::string_view rest = text;
    const auto count = take_number(rest);
    std::optional<std::chrono::nanoseconds> period;
    if (count && rest.starts_with('/')) {
        rest.remove_prefix(1);
        const std::uint64_t periods = take_number(rest).value_or(1);  // one of too many digits stays, and is no unit
        period = times(periods, unit_duration(rest));
    }
    if (!period) {
        throw std::invalid_argument("must be a rate such as \"10/s\" or \"1/5m\" (ns, us, ms, s, m, h, d), not \"" +
                                    std::string{text} + "\"");
    }
    return Rate{*count, *period};
}

}  // namespace sluice::http::detail

#endif
