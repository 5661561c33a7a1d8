// SPDX-License-Identifier: MIT
#ifndef SLUICE_HTTP_DETAIL_REQUEST_VALUES_HPP
#define SLUICE_HTTP_DETAIL_REQUEST_VALUES_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <sluice/detail/is_number.hpp>
#include <sluice/http/asked.hpp>
#include <sluice/http/detail/text.hpp>

// What a rule may ask of a request. A value that is there several times is as good as missing: which of them the program
// goes by is not known, so that a client could vary the other.
namespace sluice::http::detail {

/// Percent-decoded; what is no escape stays as it is. `plus_is_space`: as in queries. May throw std::bad_alloc.
inline std::string decoded(std::string_view text, bool plus_is_space) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto digits = text.substr(i + 1, 2);
        unsigned char byte{};
        if (text[i] == '%' && digits.size() == 2 && sluice::detail::is_number(digits, byte, 16)) {
            out += static_cast<char>(byte);
            i += 2;
        } else {
            out += plus_is_space && text[i] == '+' ? ' ' : text[i];
        }
    }
    return out;
}

/// Calls visit(name, value) for each of "a=1&b=2", or "a=1; b=2" with ';'.
template <class Visit>
void each_pair(std::string_view text, char separator, Visit visit) {
    while (!text.empty()) {
        const auto pair = text.substr(0, text.find(separator));
        text.remove_prefix(std::min(text.size(), pair.size() + 1));
        const auto equals = pair.find('=');
        visit(pair.substr(0, equals), equals == std::string_view::npos ? std::string_view{} : pair.substr(equals + 1));
    }
}

/// The decoded value of a query's parameter; nothing if it is missing or there several times.
inline std::optional<std::string> query_value(std::string_view query, std::string_view name) {
    std::optional<std::string> found;
    int count = 0;
    each_pair(query, '&', [&](std::string_view key, std::string_view value) {
        if (decoded(key, true) != name) return;
        found = decoded(value, true);
        ++count;
    });
    return count == 1 ? found : std::nullopt;
}

/// The value of a cookie, without quotes; nothing if it is missing or there several times.
inline std::optional<std::string> cookie_value(const Asked& asked, std::string_view name) {
    std::optional<std::string> found;
    int count = 0;
    const HeaderValues lines = asked.header("Cookie");
    for (const auto line : lines.lines()) {
        each_pair(line, ';', [&](std::string_view key, std::string_view value) {
            if (trimmed(key) != name) return;
            ++count;
            value = trimmed(value);
            if (value.size() >= 2 && value.front() == '"' && value.back() == '"') {
                value = value.substr(1, value.size() - 2);
            }
            found = std::string{value};
        });
    }
    return count == 1 ? found : std::nullopt;
}

/// The host without its port, in small letters and without a final dot; empty if none is named.
inline std::string host_of(const Asked& asked) {
    std::string_view host = asked.host;
    const HeaderValues lines = host.empty() ? asked.header("Host") : HeaderValues{};
    if (host.empty()) host = trimmed(lines.only().value_or(std::string_view{}));
    const auto bracket = host.rfind(']');  // of an IPv6 address
    const auto colon = host.rfind(':');
    if (bracket == std::string_view::npos || colon > bracket) host = host.substr(0, colon);
    if (!host.empty() && host.back() == '.') host.remove_suffix(1);
    std::string out{host};
    std::transform(out.begin(), out.end(), out.begin(), lower);
    return out;
}

/// The length of the body; nothing where it is not known before the body is read.
inline std::optional<std::uint64_t> body_size_of(const Asked& asked) noexcept {
    if (asked.body_size) return asked.body_size;
    if (!asked.header("Transfer-Encoding").lines().empty()) return std::nullopt;
    const HeaderValues lines = asked.header("Content-Length");
    if (lines.lines().empty()) return 0;
    const auto text = lines.only();
    std::uint64_t size{};
    return text && sluice::detail::is_number(*text, size) ? std::optional{size} : std::nullopt;
}

}  // namespace sluice::http::detail

#endif
