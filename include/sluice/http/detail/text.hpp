// SPDX-License-Identifier: MIT
#ifndef SLUICE_HTTP_DETAIL_TEXT_HPP
#define SLUICE_HTTP_DETAIL_TEXT_HPP

#include <algorithm>
#include <string_view>

#include <sluice/detail/cpp20.hpp>

// Letters, tokens and blanks as RFC 9110 has them.
namespace sluice::http::detail {

constexpr char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

constexpr bool equals_ignoring_case(std::string_view a, std::string_view b) noexcept {
    return a.size() == b.size() &&
           std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) { return lower(x) == lower(y); });
}

constexpr std::string_view trimmed(std::string_view text) noexcept {
    const auto first = text.find_first_not_of(" \t");
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

constexpr bool is_token_char(char c) noexcept {
    return (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z') ||
           std::string_view{"!#$%&'*+-.^_`|~"}.find(c) != std::string_view::npos;
}

}  // namespace sluice::http::detail

#endif
