// SPDX-License-Identifier: MIT
#ifndef SLUICE_HTTP_POLICY_NAME_HPP
#define SLUICE_HTTP_POLICY_NAME_HPP

#include <algorithm>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <string_view>

#include <sluice/detail/cpp20.hpp>

namespace sluice::http {

inline constexpr std::size_t max_policy_name = 64;

/// True for 1 to 64 printable ASCII characters: what a header, a JSON text and a metric's label can carry.
constexpr bool is_policy_name(std::string_view name) noexcept {
    return !name.empty() && name.size() <= max_policy_name &&
           std::all_of(name.begin(), name.end(), [](char c) { return c >= 0x20 && c <= 0x7e; });
}

/// Returns the name, or throws std::invalid_argument. To be called where names are configured, not per request.
inline const std::string& checked_policy_name(const std::string& name) {
    if (!is_policy_name(name)) {
        std::string shown;
        for (const char c : name.substr(0, max_policy_name + 1)) shown += c >= 0x20 && c <= 0x7e ? c : '?';
        throw std::invalid_argument("sluice: a policy's name must be 1 to 64 printable ASCII characters, not '" +
                                    shown + "'");
    }
    return name;
}

namespace detail {

/// Appends `text` as a quoted string of structured fields, which is also one of JSON for printable ASCII.
inline void append_quoted(std::string& out, std::string_view text) {
    out += '"';
    for (const char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        out += c;
    }
    out += '"';
}

}  // namespace detail

}  // namespace sluice::http

#endif
