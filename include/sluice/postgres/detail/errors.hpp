// SPDX-License-Identifier: MIT
#ifndef SLUICE_POSTGRES_DETAIL_ERRORS_HPP
#define SLUICE_POSTGRES_DETAIL_ERRORS_HPP

#include <cstdint>
#include <string_view>

#include <sluice/error.hpp>

namespace sluice::detail::postgres {

/// What an error that the server reports means, and for whom.
struct ErrorReport {
    enum class Concerns : std::uint8_t {
        request,     ///< only what was asked: the server is well
        server,      ///< everybody, for a while
        connection,  ///< everybody, and this connection can be used no more, though the server may not have closed it yet
    };
    Errc code = Errc::server_error;
    Concerns concerns = Concerns::request;
};

/// The most special rule that an SQLSTATE begins with.
inline ErrorReport classify(std::string_view sqlstate) noexcept {
    using enum ErrorReport::Concerns;
    struct Rule {
        std::string_view prefix;
        ErrorReport meaning;
    };
    constexpr Rule rules[] = {
        {"55P03", {Errc::busy, request}},          // no lock in time
        {"57014", {Errc::busy, server}},           // cancelled, as by statement_timeout
        {"40", {Errc::busy, request}},             // deadlock, or not serializable
        {"53300", {Errc::busy, connection}},       // too many connections
        {"53", {Errc::server_full, request}},      // no disk, no memory
        {"54", {Errc::server_full, request}},      // a limit of the server's
        {"57P03", {Errc::loading, connection}},    // starting, or shutting down
        {"57", {Errc::disconnected, connection}},  // an administrator ended the connection or the server
        {"08", {Errc::disconnected, connection}},
        {"25006", {Errc::read_only, connection}},  // a replica, or default_transaction_read_only
        {"0A000",
         {Errc::read_only, connection}},  // an unlogged table on a replica; nothing else that we ask for is new
        {"28", {Errc::authentication, connection}},
        {"42501", {Errc::permission, request}},
        {"42P01", {Errc::unsupported, request}},  // no such table, function or schema: ensure_schema() was never called
        {"42883", {Errc::unsupported, request}},
        {"3F000", {Errc::unsupported, request}},
    };
    for (const auto& [prefix, meaning] : rules) {
        if (sqlstate.starts_with(prefix)) return meaning;
    }
    return {};
}

/// The statement certainly changed nothing, and may work at once: the key was contended, or this is another server.
inline bool is_worth_a_retry(std::string_view sqlstate) noexcept {
    return sqlstate == "40001" || sqlstate == "40P01" || sqlstate == "25006";
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

}  // namespace sluice::detail::postgres

#endif
