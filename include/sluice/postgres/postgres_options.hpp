// SPDX-License-Identifier: MIT
#ifndef SLUICE_POSTGRES_POSTGRES_OPTIONS_HPP
#define SLUICE_POSTGRES_POSTGRES_OPTIONS_HPP

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <string>

#include <sluice/detail/validate.hpp>
#include <sluice/remote/breaker.hpp>
#include <sluice/remote/check_options.hpp>

namespace sluice {

struct PostgresOptions {
    /// For one call from beginning to end: waiting for a connection, dialling, logging in, the statement. 1 ms .. 1 min.
    std::chrono::milliseconds timeout{100};
    /// Connections at most, 1 .. 64, made as they are needed. Callers that find all in use are decided together by whichever
    /// comes free: few are faster than many.
    std::size_t connections = 4;
    /// The Postgres schema that holds our table and functions: 1 to 40 of a-z, 0-9 and _, no digit and no pg_ first.
    std::string schema = "sluice";
    /// Makes ensure_schema() create a table that survives a crash of the server and is replicated. Every decision then
    /// waits for the disk, unless the server or the user has synchronous_commit off.
    bool logged = false;
    BreakerOptions breaker{};
    /// Calls that may wait for a connection at once; one more fails at once with Errc::busy. 1 .. 1,000,000.
    std::size_t max_waiting = 1'024;
    /// A connection that has been idle for longer is not trusted and dialled anew: firewalls and address translators
    /// forget idle connections without a word. 1 ms .. 1 h.
    std::chrono::milliseconds max_idle{30'000};

    /// *this, or std::invalid_argument.
    const PostgresOptions& checked() const {
        detail::remote::check_options("PostgresOptions", *this);
        const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; };
        const auto is_valid = [&](char c) { return is_letter(c) || (c >= '0' && c <= '9'); };
        if (schema.empty() || schema.size() > 40 || !is_letter(schema.front()) || schema.starts_with("pg_") ||
            !std::all_of(schema.begin(), schema.end(), is_valid)) {
            detail::throw_invalid("PostgresOptions::schema", "'" + schema + "'",
                                  "1 to 40 of a-z, 0-9 and _, no digit and no pg_ first");
        }
        return *this;
    }
};

}  // namespace sluice

#endif
