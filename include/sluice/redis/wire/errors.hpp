// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_WIRE_ERRORS_HPP
#define SLUICE_REDIS_WIRE_ERRORS_HPP

#include <cstdint>
#include <string_view>

#include <sluice/error.hpp>

namespace sluice::detail::redis {

/// What an error reply means, and for whom.
struct ErrorReply {
    enum class Concerns : std::uint8_t {
        request,     ///< only what was asked: the server is well
        server,      ///< everybody, for a while
        connection,  ///< whoever uses this connection
        endpoint,    ///< whoever uses a connection to this address: ask another
    };
    Errc code = Errc::server_error;
    Concerns concerns = Concerns::request;
};

/// Only an error's first word is the server's promise; scripts append their name to the text, so the rest is looked at
/// only where the first word is the general "ERR".
inline ErrorReply classify(std::string_view line) noexcept {
    using enum ErrorReply::Concerns;
    struct Rule {
        std::string_view text;
        ErrorReply meaning;
    };
    constexpr Rule by_word[] = {
        {"WRONGTYPE", {Errc::wrong_type, request}},
        {"LOADING", {Errc::loading, endpoint}},
        {"READONLY", {Errc::read_only, endpoint}},
        {"MASTERDOWN", {Errc::read_only, endpoint}},
        {"NOREPLICAS", {Errc::read_only, endpoint}},
        {"OOM", {Errc::server_full, request}},
        {"MISCONF", {Errc::server_full, request}},
        {"BUSY", {Errc::busy, server}},
        {"UNKILLABLE", {Errc::busy, server}},
        {"TRYAGAIN", {Errc::busy, request}},
        {"CLUSTERDOWN", {Errc::busy, request}},  // it may be only the slot that nobody serves
        {"NOAUTH", {Errc::authentication, connection}},
        {"WRONGPASS", {Errc::authentication, connection}},
        {"NOPERM", {Errc::permission, request}},
        {"DENIED", {Errc::permission, connection}},  // protected mode: the server closes
        // A server in cluster mode, met by a URL of a single server.
        {"MOVED", {Errc::misconfigured, request}},
        {"ASK", {Errc::misconfigured, request}},
        {"CROSSSLOT", {Errc::misconfigured, request}},
    };
    constexpr Rule by_text[] = {
        {"max number of clients", {Errc::busy, connection}},
        {"unauthenticated", {Errc::authentication, connection}},  // "Protocol error: unauthenticated multibulk length"
        {"invalid password", {Errc::authentication, connection}},
        {"AUTH <password> called without any password", {Errc::authentication, connection}},
        {"wrong number of arguments for 'auth'", {Errc::authentication, connection}},
        {"Protocol error", {Errc::protocol, connection}},
        {"Script killed", {Errc::busy, request}},
        {"can't run this command", {Errc::permission, request}},         // inside a script, Redis 7.0
        {"ACL failure", {Errc::permission, request}},                    // inside a script, later
        {"attempt to perform arithmetic", {Errc::wrong_type, request}},  // our scripts, on a text that is no number
        {"unknown command", {Errc::unsupported, request}},
        {"DB index is out of range", {Errc::misconfigured, request}},
        {"not allowed in cluster mode", {Errc::misconfigured, request}},
        {"cluster support disabled", {Errc::misconfigured, request}},
    };
    const auto word = line.substr(0, line.find(' '));
    for (const auto& [text, meaning] : by_word) {
        if (word == text) return meaning;
    }
    for (const auto& [text, meaning] : by_text) {
        if (line.find(text) != std::string_view::npos) return meaning;
    }
    return {};
}

/// What a TLS server answers to plain text is a TLS record, never the beginning of a reply: an alert of version 3.x.
inline bool is_tls_record(std::string_view first_bytes) noexcept {
    return first_bytes.starts_with("\x15\x03") || first_bytes.starts_with("\x16\x03");
}

}  // namespace sluice::detail::redis

#endif
