// SPDX-License-Identifier: MIT
#ifndef SLUICE_HTTP_SERVICE_LIMITS_HPP
#define SLUICE_HTTP_SERVICE_LIMITS_HPP

#include <sluice/detail/cpp20.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sluice/http/detail/http_date.hpp>
#include <sluice/http/detail/structured_list.hpp>

// What a service tells its clients about its limits, for who calls one. All functions are strict: a value that is not exactly
// what its specification says is none, as RFC 9651 wants it. They take time linear in the value's length, and may throw
// std::bad_alloc. A field that comes in several lines is to be joined with ", " first.
namespace sluice::http {

/// Retry-After (RFC 9110): how long to wait from `now` on; nothing if the value is neither whole seconds nor a date in one of
/// the three formats. A date that has passed is 0. Seconds above a century are a century.
inline std::optional<std::chrono::seconds> parse_retry_after(std::string_view value,
                                                             std::chrono::system_clock::time_point now) {
    constexpr std::chrono::seconds most = std::chrono::hours{24} * 36'525;
    if (!value.empty() && std::all_of(value.begin(), value.end(), detail::is_digit)) {
        std::int64_t seconds = 0;
        for (const char digit : value) seconds = std::min(seconds * 10 + (digit - '0'), most.count());
        return std::chrono::seconds{seconds};
    }
    const auto today = std::chrono::floor<std::chrono::seconds>(now);
    const auto date = detail::parse_http_date(value, today);
    if (!date) return std::nullopt;
    return std::clamp(*date - today, std::chrono::seconds{0}, most);
}

/// An item of RateLimit: what is left of one of the service's limits.
struct ServiceLimit {
    std::string name;
    std::uint64_t remaining = 0;
    std::optional<std::chrono::seconds> reset{};  ///< until there is more; services round it up to whole seconds
};

/// An item of RateLimit-Policy: one of the service's limits.
struct ServicePolicy {
    std::string name;
    std::uint64_t quota = 0;
    std::optional<std::chrono::seconds> window{};
    std::string unit = "requests";
};

/// RateLimit of draft-ietf-httpapi-ratelimit-headers, version 8 or later: `"burst";r=0;t=1, "day";r=812;t=40000`. Nothing if
/// it is malformed, or an item has no `r`.
inline std::optional<std::vector<ServiceLimit>> parse_rate_limit(std::string_view value) {
    const auto items = detail::StructuredList{value}.parse();
    if (!items) return std::nullopt;
    std::vector<ServiceLimit> limits;
    for (const detail::StructuredItem& item : *items) {
        const auto remaining = item.count("r");
        const auto reset = item.count("t");
        if (!remaining || (item.has("t") && !reset)) return std::nullopt;
        limits.push_back({item.name, *remaining, std::nullopt});
        if (reset) limits.back().reset = std::chrono::seconds{static_cast<std::int64_t>(*reset)};
    }
    return limits;
}

/// RateLimit-Policy of the same: `"burst";q=10;w=10, "day";q=1000;w=86400;qu="content-bytes"`. Nothing if it is malformed, or
/// an item has no `q`.
inline std::optional<std::vector<ServicePolicy>> parse_rate_limit_policy(std::string_view value) {
    const auto items = detail::StructuredList{value}.parse();
    if (!items) return std::nullopt;
    std::vector<ServicePolicy> policies;
    for (const detail::StructuredItem& item : *items) {
        const auto quota = item.count("q");
        const auto window = item.count("w");
        const auto unit = item.string("qu");
        if (!quota || (item.has("w") && !window) || (item.has("qu") && !unit)) return std::nullopt;
        policies.push_back({item.name, *quota});
        if (window) policies.back().window = std::chrono::seconds{static_cast<std::int64_t>(*window)};
        if (unit) policies.back().unit = *unit;
    }
    return policies;
}

}  // namespace sluice::http

#endif
