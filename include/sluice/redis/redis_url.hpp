// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_REDIS_URL_HPP
#define SLUICE_REDIS_REDIS_URL_HPP

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include <sluice/remote/address.hpp>

namespace sluice {

/// Where a Redis server is and who asks:
///
///     redis://[user[:password]@]host[:port][/database]      port 6379, database 0, IPv6 in brackets
///     unix://[user[:password]@]/path[?db=database]
///
/// User, password and path may hold %XX escapes. `redis://:secret@host` is a password without a user, `redis://app@host`
/// a user who needs none.
struct RedisUrl {
    detail::remote::Endpoint endpoint{};
    std::string user{};
    std::string password{};
    std::uint32_t database = 0;

    /// Throws std::invalid_argument, whose text never shows anything of the URL: it may hold a password.
    static RedisUrl parse(std::string_view url) {
        RedisUrl parsed;
        if (take_prefix(url, "redis://")) {
            parsed.parse_tcp(url);
        } else if (take_prefix(url, "unix://")) {
            parsed.parse_unix(url);
        } else {
            fail("must begin with redis:// or unix://");
        }
        return parsed;
    }

private:
    [[noreturn]] static void fail(const char* reason) {
        throw std::invalid_argument(std::string{"sluice: a Redis URL "} + reason);
    }

    static bool take_prefix(std::string_view& text, std::string_view prefix) {
        if (!text.starts_with(prefix)) return false;
        text.remove_prefix(prefix.size());
        return true;
    }

    void parse_tcp(std::string_view rest) {
        if (rest.find_first_of("?#") != std::string_view::npos)
            fail("with redis:// takes no ? or # (write them %3F, %23)");
        if (const auto slash = rest.find('/'); slash != std::string_view::npos) {
            const auto digits = rest.substr(slash + 1);
            if (!digits.empty()) database = number<std::uint32_t>(digits, 0, "has a database that is no number");
            rest = rest.substr(0, slash);
        }
        rest = parse_user(rest);
        std::string_view host = rest;
        std::optional<std::string_view> digits;
        if (rest.starts_with('[')) {
            const auto end = rest.find(']');
            if (end == std::string_view::npos) fail("lacks the ] of its IPv6 address");
            host = rest.substr(1, end - 1);
            rest.remove_prefix(end + 1);
            if (!rest.empty() && rest.front() != ':') fail("has something between ] and its port");
            if (!rest.empty()) digits = rest.substr(1);
        } else if (const auto colon = rest.find(':'); colon != std::string_view::npos) {
            host = rest.substr(0, colon);
            digits = rest.substr(colon + 1);
        }
        if (host.empty()) fail("lacks a host");
        for (const char c : host) {
            if (c <= ' ' || c > '~' || c == '%') fail("has a host with characters that no host name has");
        }
        endpoint.host = host;
        endpoint.port =
            digits ? number<std::uint16_t>(*digits, 1, "has a port that is not from 1 to 65535") : default_port;
    }

    void parse_unix(std::string_view rest) {
        if (const auto query = rest.find('?'); query != std::string_view::npos) {
            auto digits = rest.substr(query + 1);
            if (!take_prefix(digits, "db=")) fail("with unix:// takes no other query than ?db=<number>");
            database = number<std::uint32_t>(digits, 0, "has a database that is no number");
            rest = rest.substr(0, query);
        }
        if (!rest.starts_with('/')) rest = parse_user(rest);
        if (!rest.starts_with('/')) fail("with unix:// needs an absolute path");
        endpoint.path = unescape(rest);
        if (endpoint.path.size() > detail::remote::Endpoint::max_path) fail("has a path too long for a unix socket");
        if (endpoint.path.find('\0') != std::string::npos) fail("has a path with a zero byte");
    }

    /// Takes `user:password@` off the front. A password may hold an unescaped @: the last one ends it.
    std::string_view parse_user(std::string_view rest) {
        const auto at = rest.rfind('@');
        if (at == std::string_view::npos) return rest;
        const auto who = rest.substr(0, at);
        const auto colon = who.find(':');
        user = unescape(who.substr(0, colon));
        if (colon != std::string_view::npos) password = unescape(who.substr(colon + 1));
        if (colon != std::string_view::npos && password.empty() && !user.empty()) fail("has an empty password");
        return rest.substr(at + 1);
    }

    template <class Number>
    static Number number(std::string_view digits, Number least, const char* complaint) {
        Number value = 0;
        const auto* const end = digits.data() + digits.size();
        const auto [stop, error] = std::from_chars(digits.data(), end, value);
        if (error != std::errc{} || stop != end || value < least) fail(complaint);
        return value;
    }

    static std::string unescape(std::string_view text) {
        std::string plain;
        for (std::size_t i = 0; i < text.size(); ++i) {
            if (text[i] != '%') {
                plain += text[i];
                continue;
            }
            unsigned char byte = 0;
            const char* const digits = text.data() + i + 1;
            if (text.size() - i < 3 || std::from_chars(digits, digits + 2, byte, 16).ptr != digits + 2) {
                fail("has a % that is not followed by two hexadecimal digits");
            }
            plain += static_cast<char>(byte);
            i += 2;
        }
        return plain;
    }

    static constexpr std::uint16_t default_port = 6379;
};

}  // namespace sluice

#endif
