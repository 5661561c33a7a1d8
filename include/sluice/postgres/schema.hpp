// SPDX-License-Identifier: MIT
#ifndef SLUICE_POSTGRES_SCHEMA_HPP
#define SLUICE_POSTGRES_SCHEMA_HPP

#include <string>
#include <string_view>

#include <sluice/postgres/detail/schema_text.hpp>
#include <sluice/postgres/postgres_options.hpp>

namespace sluice {

namespace postgres {

/// `text` with every `from` replaced.
inline std::string replaced(std::string_view text, std::string_view from, std::string_view to) {
    std::string result;
    for (;;) {
        const auto at = text.find(from);
        result += text.substr(0, at);
        if (at == std::string_view::npos) return result;
        result += to;
        text.remove_prefix(at + from.size());
    }
}

inline std::string schema_text(const std::string& schema, bool logged) {
    std::string text{table_text};
    text += step_text;
    text += decide_text;
    text = replaced(text, logged ? "@unlogged@ " : "@unlogged@", logged ? "" : "UNLOGGED");
    return replaced(text, "sluice", schema);
}

/// Tells t if there is nothing to create.
inline std::string schema_test(const std::string& schema) {
    constexpr std::string_view text =
        "SELECT to_regclass('sluice.state_1') IS NOT NULL AND to_regprocedure("
        "'sluice.decide_1(bigint,bytea[],bigint[],bigint,integer,bigint,integer)') IS NOT NULL";
    return replaced(text, "sluice", schema);
}

/// Several statements in one message are one transaction, in which the lock lets only one process at a time create.
inline std::string schema_transaction(const std::string& schema, bool logged) {
    return "SELECT pg_advisory_xact_lock(7385903388887613281);" + schema_text(schema, logged);
}

}  // namespace postgres

/// The SQL that PostgresStore::ensure_schema() runs, for those who keep their schema themselves. It may be run again.
/// Whoever uses the store then needs USAGE on the schema and SELECT, INSERT, UPDATE and DELETE on the table.
inline std::string schema_sql(const PostgresOptions& options = {}) {
    return postgres::schema_text(options.checked().schema, options.logged);
}

}  // namespace sluice

#endif
