// SPDX-License-Identifier: MIT
#ifndef SLUICE_POSTGRES_POSTGRES_STORE_HPP
#define SLUICE_POSTGRES_POSTGRES_STORE_HPP

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <sluice/error.hpp>
#include <sluice/postgres/postgres_backend.hpp>
#include <sluice/postgres/postgres_options.hpp>
#include <sluice/postgres/postgres_stats.hpp>
#include <sluice/remote/deadline.hpp>
#include <sluice/remote/remote_store.hpp>

namespace sluice {

/// States in a Postgres database (13 or later), shared by all processes that use it: one limit for all instances.
///
///     sluice::PostgresStore postgres{"host=/var/run/postgresql dbname=app"};
///     if (auto error = postgres.ensure_schema()) ...                          // once; or run schema_sql() yourself
///     sluice::RateLimiter api{sluice::TokenBucket{10, sluice::per_second(1)}, postgres, {.name = "api"}};
///
/// A handle: copies share the connections. Thread-safe; no background thread; may be used in a forked child, which gets
/// connections of its own. The constructor never dials, and works while the server is away.
///
/// Cost: one statement and one round trip for a decision, and a row for each key; callers that wait for a connection share
/// one. A denial writes nothing and takes no lock; of an exact log every admission writes all times anew. A call takes no longer than PostgresOptions::timeout.
/// A policy of one's own needs a codec (see StateCodec) and two statements. Works through PgBouncer in any pooling mode:
/// nothing is prepared by name or set for longer than a transaction.
///
/// Time is the server's, in microseconds; the arithmetic is that of the memory store, on nanoseconds. Where time goes
/// back, a key is used up at most. Rows that are as good as new are removed, page by page, between decisions. The table
/// is UNLOGGED unless PostgresOptions::logged: a crash of the server empties it and a replica does not have it, so
/// that every limit starts afresh once. Keys hold up to 1,024 bytes of any kind, else Errc::invalid_argument.
///
/// Failure: the Decision carries an Errc, and the limiter's failure mode decides. Errc::unsupported means that the schema
/// is missing. A statement is sent a second time only if the server has told that it changed nothing. After some
/// failures in a row the server is left alone for a moment (Errc::breaker_open, at once); errors that concern one request
/// (a row's lock, a full disk, a missing permission) are answers, not failures of that kind. An exact log of more than
/// 10,000 cannot be decided in time: the limiter's constructor refuses it, and a call with one is Errc::misconfigured.
///
/// A transaction says itself that it is READ COMMITTED, whatever the database's default is.
class PostgresStore : public detail::remote::RemoteStore<detail::postgres::PostgresBackend> {
public:
    /// A connection string or URI as libpq takes it; with several hosts the one that accepts writes is used. Throws
    /// std::invalid_argument for one that cannot be parsed (the text never shows it) and for bad options.
    explicit PostgresStore(std::string_view connection_string, PostgresOptions options = {})
        : RemoteStore(std::make_shared<detail::postgres::PostgresBackend>(std::string{connection_string},
                                                                          std::move(options))) {}

    /// Creates what is missing of schema_sql(), or not as it is there, in one transaction; many processes may call it at
    /// once. The user has to be allowed to create. Takes a connection of its own for a moment.
    [[nodiscard]] std::error_code ensure_schema(std::chrono::nanoseconds timeout = std::chrono::seconds{
                                                    10}) const noexcept {
        try {
            return backend()->ensure_schema(detail::remote::Deadline{timeout});
        } catch (...) {
            return Errc::no_memory;
        }
    }
};

}  // namespace sluice

#endif
