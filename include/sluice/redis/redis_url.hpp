// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_REDIS_URL_HPP
#define SLUICE_REDIS_REDIS_URL_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <sluice/detail/is_number.hpp>
#include <sluice/remote/address.hpp>

namespace sluice {

/// Where Redis is and who asks:
///
///     redis://[user[:password]@]host[:port][/database]                     port 6379, database 0
///     redis+cluster://[user[:password]@]host[:port][,host[:port]]...       port 6379; a cluster has database 0 alone
///     redis+sentinel://[user[:password]@]host[:port][,host[:port]].../name[/database]
///                                                                          the sentinels, port 26379; the master's name
///     unix://[user[:password]@]/path[?db=database]
///
/// `rediss` instead of `redis` is the same over TLS. IPv6 addresses stand in brackets. User, password, name and path may
/// hold %XX escapes. `redis://:secret@host` is a password without a user, `redis://app@host` a user who needs none. They
/// are those of the servers with the data: what the sentinels want to know is RedisOptions::sentinel.
struct RedisUrl {
    enum class Kind : std::uint8_t { single, sentinel, cluster };

    Kind kind = Kind::single;
    bool uses_tls = false;
    std::vector<detail::remote::Endpoint>
        endpoints{};  ///< as they stand in the URL; one, or for the other kinds several
    std::string user{};
    std::string password{};
    std::string master{};  ///< the name by which sentinels know it
    std::uint32_t database = 0;

    /// Throws std::invalid_argument, whose text never shows anything of the URL: it may hold a password.
    static RedisUrl parse(std::string_view url) {
        struct Scheme {
            std::string_view prefix;
            Kind kind;
            bool uses_tls;
        };
        constexpr Scheme schemes[] = {
            {"redis://", Kind::single, false},
            {"rediss://", Kind::single, true},
            {"redis+cluster://", Kind::cluster, false},
            {"rediss+cluster://", Kind::cluster, true},
            {"redis+sentinel://", Kind::sentinel, false},
            {"rediss+sentinel://", Kind::sentinel, true},
        };
        RedisUrl parsed;
        if (take_prefix(url, "unix://")) {
            parsed.parse_unix(url);
            return parsed;
        }
        for (const Scheme& scheme : schemes) {
            if (!take_prefix(url, scheme.prefix)) continue;
            parsed.kind = scheme.kind;
            parsed.uses_tls = scheme.uses_tls;
            parsed.parse_tcp(url);
            return parsed;
        }
        fail(
            "must begin with redis://, rediss://, redis+cluster://, rediss+cluster://, redis+sentinel://, "
            "rediss+sentinel:// or unix://");
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
            fail("takes ?db= only with unix://, and no other ? or # (write them %3F, %23)");
        const auto slash = std::min(rest.find('/'), rest.size());
        const auto path = rest.substr(std::min(slash + 1, rest.size()));
        if (path.find('@') != std::string_view::npos)
            fail("has a / in front of its @ (write it %2F), or an @ behind its hosts");
        parse_hosts(parse_user(rest.substr(0, slash)));
        if (kind == Kind::sentinel) {
            const auto end = std::min(path.find('/'), path.size());
            master = unescape(path.substr(0, end));
            if (master.empty()) fail("of sentinels lacks the master's name (behind the hosts: /name)");
            parse_database(path.substr(std::min(end + 1, path.size())));
        } else {
            parse_database(path);
            if (kind == Kind::cluster && database != 0) fail("of a cluster has a database other than 0");
        }
    }

    void parse_database(std::string_view digits) {
        if (!digits.empty()) database = number<std::uint32_t>(digits, 0, "has a database that is no number");
    }

    void parse_hosts(std::string_view hosts) {
        for (std::size_t begin = 0; begin <= hosts.size();) {
            const auto end = std::min(hosts.find(',', begin), hosts.size());
            endpoints.push_back(parse_host(hosts.substr(begin, end - begin)));
            begin = end + 1;
        }
        if (kind == Kind::single && endpoints.size() != 1)
            fail("names several hosts, which only redis+cluster:// and redis+sentinel:// may");
    }

    detail::remote::Endpoint parse_host(std::string_view text) const {
        std::string_view host = text;
        std::string_view port;
        if (text.starts_with('[')) {
            const auto end = text.find(']');
            if (end == std::string_view::npos) fail("lacks the ] of its IPv6 address");
            host = text.substr(1, end - 1);
            port = text.substr(end + 1);
            if (!port.empty() && port.front() != ':') fail("has something between ] and its port");
        } else if (const auto colon = text.find(':'); colon != std::string_view::npos) {
            host = text.substr(0, colon);
            port = text.substr(colon);
            if (port.find(':', 1) != std::string_view::npos)
                fail("has a host with several : (IPv6 addresses stand in brackets)");
        }
        if (host.empty()) fail("lacks a host");
        for (const char c : host) {
            if (c <= ' ' || c > '~' || c == '%') fail("has a host with characters that no host name has");
        }
        const std::uint16_t usual = kind == Kind::sentinel ? 26379 : 6379;
        return {
            std::string{host},
            port.empty() ? usual : number<std::uint16_t>(port.substr(1), 1, "has a port that is not from 1 to 65535")};
    }

    void parse_unix(std::string_view rest) {
        if (const auto query = rest.find('?'); query != std::string_view::npos) {
            auto digits = rest.substr(query + 1);
            if (!take_prefix(digits, "db=") || digits.empty())
                fail("with unix:// takes no other query than ?db=<number>");
            parse_database(digits);
            rest = rest.substr(0, query);
        }
        if (!rest.starts_with('/')) rest = parse_user(rest);
        if (!rest.starts_with('/')) fail("with unix:// needs an absolute path");
        const std::string path = unescape(rest);
        if (path.size() > detail::remote::Endpoint::max_path) fail("has a path too long for a unix socket");
        if (path.find('\0') != std::string::npos) fail("has a path with a zero byte");
        endpoints.push_back({.path = path});
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
        Number value{};
        if (!detail::is_number(digits, value) || value < least) fail(complaint);
        return value;
    }

    static std::string unescape(std::string_view text) {
        std::string plain;
        for (std::size_t i = 0; i < text.size(); ++i) {
            if (text[i] != '%') {
                plain += text[i];
                continue;
            }
            unsigned char byte{};
            const auto digits = text.substr(i + 1, 2);
            if (digits.size() != 2 || !detail::is_number(digits, byte, 16)) {
                fail("has a % that is not followed by two hexadecimal digits");
            }
            plain += static_cast<char>(byte);
            i += 2;
        }
        return plain;
    }
};

}  // namespace sluice

#endif
