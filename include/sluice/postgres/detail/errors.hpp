// SPDX-License-Identifier: MIT
#ifndef SLUICE_POSTGRES_DETAIL_ERRORS_HPP
#define SLUICE_POSTGRES_DETAIL_ERRORS_HPP

#include <string_view>
#include <utility>

#include <sluice/error.hpp>

namespace sluice::postgres {

/// What an SQLSTATE means; the most special rule that its text begins with.
inline Errc classify(std::string_view sqlstate) noexcept {
    using Rule = std::pair<std::string_view, Errc>;
    constexpr Rule rules[] = {
        {"55P03", Errc::busy},      // no lock in time
        {"57014", Errc::busy},      // cancelled, as by statement_timeout
        {"40", Errc::busy},         // deadlock, or not serializable
        {"53300", Errc::busy},      // too many connections
        {"53", Errc::server_full},  // no disk, no memory
        {"54", Errc::server_full},    {"57P03", Errc::loading},
        {"57", Errc::disconnected},  // an administrator ended the connection or the server
        {"08", Errc::disconnected},   {"25006", Errc::read_only},
        {"28", Errc::authentication}, {"42501", Errc::permission},
        {"42P01", Errc::unsupported},  // no such table, function or schema: ensure_schema() was never called
        {"42883", Errc::unsupported}, {"3F000", Errc::unsupported},
    };
    for (const auto& [prefix, errc] : rules) {
        if (sqlstate.starts_with(prefix)) return errc;
    }
    return Errc::server_error;
}

/// The statement certainly changed nothing, and may work at once: the key was contended, or this is another server.
inline bool is_worth_a_retry(std::string_view sqlstate) noexcept {
    return sqlstate == "40001" || sqlstate == "40P01" || sqlstate == "25006";
}

/// Trouble with a row, not with the server: no reason for the breaker to keep other keys away.
inline bool is_about_the_key(std::string_view sqlstate) noexcept {
    return sqlstate == "55P03" || sqlstate.starts_with("40");
}

/// The connection can be used no more, though the server may not have closed it yet.
inline bool ends_connection(std::string_view sqlstate) noexcept {
    return sqlstate == "25006" || sqlstate.starts_with("08") || sqlstate.starts_with("57P");
}

/// The SQLSTATE in what libpq says of a connection that failed, or nothing.
inline std::string_view sqlstate_in(std::string_view message) noexcept {
    const auto is_code = [](char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z'); };
    for (std::size_t at = message.rfind(":  "); at != std::string_view::npos;
         at = at == 0 ? at - 1 : message.rfind(":  ", at - 1)) {
        const auto code = message.substr(at + 3, 5);
        bool valid = code.size() == 5;
        for (const char c : code) valid = valid && is_code(c);
        if (valid) return code;
    }
    return {};
}

}  // namespace sluice::postgres

#endif
