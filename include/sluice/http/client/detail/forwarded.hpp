// SPDX-License-Identifier: MIT
#ifndef SLUICE_HTTP_CLIENT_DETAIL_FORWARDED_HPP
#define SLUICE_HTTP_CLIENT_DETAIL_FORWARDED_HPP

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <string_view>

#include <sluice/http/client/ip_address.hpp>
#include <sluice/http/detail/text.hpp>

// Reading X-Forwarded-For and Forwarded (RFC 7239) from right to left. A walker calls hop(address) for each element,
// with nothing for an element that names no address, and ends when hop says false.
namespace sluice::http::detail {

/// More are not walked: the peer is then the client.
inline constexpr std::size_t max_hops = 32;

constexpr bool is_port(std::string_view text) noexcept {
    return !text.empty() && text.size() <= 5 && text.find_first_not_of("0123456789") == std::string_view::npos;
}

/// An address with or without a port: 192.0.2.1, 192.0.2.1:80, 2001:db8::1, [2001:db8::1], [2001:db8::1]:80.
inline std::optional<IpAddress> parse_node(std::string_view text) noexcept {
    if (!text.empty() && text.front() == '[') {
        const auto close = text.find(']');
        if (close == std::string_view::npos) return std::nullopt;
        const auto inside = text.substr(1, close - 1);
        const auto rest = text.substr(close + 1);
        if (inside.find(':') == std::string_view::npos) return std::nullopt;
        if (!rest.empty() && (rest.front() != ':' || !is_port(rest.substr(1)))) return std::nullopt;
        return IpAddress::parse(inside);
    }
    const auto colon = text.find(':');
    const bool one_colon = colon != std::string_view::npos && text.find(':', colon + 1) == std::string_view::npos;
    if (!one_colon) return IpAddress::parse(text);
    return is_port(text.substr(colon + 1)) ? IpAddress::parse(text.substr(0, colon)) : std::nullopt;
}

/// Only the elements that are walked are looked at: a client cannot make a proxy's own element unreadable.
template <class Hop>
bool walk_x_forwarded_for(std::string_view line, Hop&& hop) noexcept {
    for (;;) {
        const auto comma = line.rfind(',');
        const auto element = comma == std::string_view::npos ? line : line.substr(comma + 1);
        if (!hop(parse_node(trimmed(element)))) return false;
        if (comma == std::string_view::npos) return true;
        line = line.substr(0, comma);
    }
}

/// Reads one line of Forwarded, strictly. Left to right, since a quote cannot be understood from the right.
class ForwardedReader {
public:
    explicit ForwardedReader(std::string_view line) noexcept : rest_(line) {}

    /// Reads an element (pairs up to a comma) and sets `node` to the address after "for", if it names one.
    /// False on an error of syntax.
    bool element(std::optional<IpAddress>& node) noexcept {
        node.reset();
        bool seen = false;
        do {
            spaces();
            const auto name = token();
            if (name.empty() || !take('=')) return false;
            const bool quote = take('"');
            const auto value = quote ? quoted() : token();
            if (!quote && value.empty()) return false;
            if (quote && !take('"')) return false;
            if (equals_ignoring_case(name, "for")) {
                if (seen) return false;
                seen = true;
                node = parse_node(value);
            }
            spaces();
        } while (take(';'));
        return rest_.empty() || rest_.front() == ',';
    }
    bool comma() noexcept { return take(','); }

private:
    bool take(char c) noexcept {
        if (rest_.empty() || rest_.front() != c) return false;
        rest_.remove_prefix(1);
        return true;
    }
    void spaces() noexcept {
        while (take(' ') || take('\t')) {
        }
    }
    std::string_view token() noexcept {
        std::size_t size = 0;
        while (size < rest_.size() && is_token_char(rest_[size])) ++size;
        return cut(size);
    }
    /// Up to the closing quote, which stays. Escapes are left as they are: no address needs one, so none parses.
    std::string_view quoted() noexcept {
        std::size_t size = 0;
        while (size < rest_.size() && rest_[size] != '"') size += rest_[size] == '\\' ? 2U : 1U;
        return cut(std::min(size, rest_.size()));
    }
    std::string_view cut(std::size_t size) noexcept {
        const auto front = rest_.substr(0, size);
        rest_.remove_prefix(size);
        return front;
    }

    std::string_view rest_;
};

/// A line that is malformed anywhere counts as one element without an address: whoever wrote the wrong part could
/// have moved the borders of all others.
template <class Hop>
bool walk_forwarded(std::string_view line, Hop&& hop) noexcept {
    constexpr std::size_t most = max_hops + 1;  // so that the limit is what ends the walk
    std::array<std::optional<IpAddress>, most> last{};
    std::size_t count = 0;
    ForwardedReader reader{line};
    do {
        if (!reader.element(last[count % most])) return hop(std::nullopt);
        ++count;
    } while (reader.comma());
    for (std::size_t i = 0; i < std::min(count, most); ++i) {
        if (!hop(last[(count - 1 - i) % most])) return false;
    }
    return true;
}

}  // namespace sluice::http::detail

#endif
