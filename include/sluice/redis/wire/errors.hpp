// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_WIRE_ERRORS_HPP
#define SLUICE_REDIS_WIRE_ERRORS_HPP

#include <string_view>
#include <utility>

#include <sluice/error.hpp>

namespace sluice::redis {

/// What an error reply means. Only its first word is the server's promise; scripts append their name to the text, so
/// the rest is looked at only where the first word is the general "ERR".
inline Errc classify(std::string_view line) noexcept {
    using Rule = std::pair<std::string_view, Errc>;
    constexpr Rule by_word[] = {
        {"WRONGTYPE", Errc::wrong_type},     {"LOADING", Errc::loading},
        {"READONLY", Errc::read_only},       {"MASTERDOWN", Errc::read_only},
        {"NOREPLICAS", Errc::read_only},     {"OOM", Errc::server_full},
        {"MISCONF", Errc::server_full},      {"BUSY", Errc::busy},
        {"UNKILLABLE", Errc::busy},          {"TRYAGAIN", Errc::busy},
        {"CLUSTERDOWN", Errc::busy},         {"NOAUTH", Errc::authentication},
        {"WRONGPASS", Errc::authentication}, {"NOPERM", Errc::permission},
        {"MOVED", Errc::unsupported},        {"ASK", Errc::unsupported},
        {"CROSSSLOT", Errc::unsupported},
    };
    constexpr Rule by_text[] = {
        {"max number of clients", Errc::busy},
        {"Script killed", Errc::busy},
        {"invalid password", Errc::authentication},
        {"AUTH <password> called without any password", Errc::authentication},
        {"wrong number of arguments for 'auth'", Errc::authentication},
        {"can't run this command", Errc::permission},  // inside a script, Redis 7.0
        {"ACL failure", Errc::permission},             // inside a script, later
        {"Protocol error", Errc::protocol},
        {"attempt to perform arithmetic", Errc::wrong_type},  // our scripts, on a text that is no number
    };
    const auto word = line.substr(0, line.find(' '));
    for (const auto& [text, errc] : by_word) {
        if (word == text) return errc;
    }
    for (const auto& [text, errc] : by_text) {
        if (line.find(text) != std::string_view::npos) return errc;
    }
    return Errc::server_error;
}

}  // namespace sluice::redis

#endif
