// SPDX-License-Identifier: MIT
#ifndef SLUICE_POSTGRES_SCHEMA_HPP
#define SLUICE_POSTGRES_SCHEMA_HPP

#include <string>
#include <string_view>

#include <sluice/postgres/postgres_options.hpp>
#include <sluice/postgres/sql/bucket.hpp>
#include <sluice/postgres/sql/carry.hpp>
#include <sluice/postgres/sql/decide.hpp>
#include <sluice/postgres/sql/fixed_window.hpp>
#include <sluice/postgres/sql/give_back.hpp>
#include <sluice/postgres/sql/sliding_window.hpp>
#include <sluice/postgres/sql/sliding_window_counter.hpp>
#include <sluice/postgres/sql/swap.hpp>
#include <sluice/postgres/sql/sweep.hpp>
#include <sluice/postgres/sql/take.hpp>

namespace sluice {

namespace detail::postgres {

/// A row for each key.
///   state  what the policies know of the key, one after the other; {} is a key never seen
///   due    from then on the row may be removed
/// Half of each page stays free, so that updates find room beside the row and touch no index (HOT). Logs are kept
/// uncompressed: each admission writes all of one.
inline constexpr std::string_view unlogged_table = R"(
CREATE SCHEMA IF NOT EXISTS sluice;

CREATE UNLOGGED TABLE IF NOT EXISTS sluice.state_2 (
    scope bigint NOT NULL,
    key   bytea NOT NULL,
    state bigint[] NOT NULL,
    due   timestamptz NOT NULL,
    PRIMARY KEY (scope, key)
) WITH (fillfactor = 50);
ALTER TABLE sluice.state_2 ALTER COLUMN state SET STORAGE EXTERNAL;
)";

inline constexpr const sql::Function* functions[] = {
    &sql::bucket, &sql::fixed_window, &sql::sliding_window, &sql::sliding_window_counter,
    &sql::decide, &sql::take,         &sql::give_back,      &sql::carry,
    &sql::swap,   &sql::sweep};

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

/// The name of a schema, whatever it is, as SQL takes it: "user" and "select" are names too.
inline std::string quoted(const std::string& schema) { return '"' + schema + '"'; }

/// Of a text for the schema sluice the one for another.
inline std::string for_schema(std::string_view text, const std::string& schema) {
    const auto qualified = replaced(text, "sluice.", quoted(schema) + '.');
    return replaced(qualified, "EXISTS sluice;", "EXISTS " + quoted(schema) + ';');
}

inline std::string schema_text(const std::string& schema, bool logged) {
    std::string text = logged ? replaced(unlogged_table, "UNLOGGED ", "") : std::string{unlogged_table};
    for (const sql::Function* const function : functions) {
        text += "\nCREATE OR REPLACE FUNCTION sluice.";
        text += function->name;
        text += "(\n    ";
        text += function->arguments;
        text += ")\n";
        text += function->kind;
        text += " LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$";
        text += function->body;
        text += "$$;\n";
    }
    return for_schema(text, schema);
}

/// Tells t if there is nothing to create: the table is there, and the functions are these, word for word.
inline std::string schema_test(const std::string& schema) {
    std::string text = "SELECT pg_catalog.to_regclass('sluice.state_2') IS NOT NULL";
    for (const sql::Function* const function : functions) {
        text +=
            " AND EXISTS (SELECT FROM pg_catalog.pg_proc WHERE oid OPERATOR(pg_catalog.=) "
            "pg_catalog.to_regprocedure('sluice.";
        text += function->name;
        text += '(';
        text += function->types;
        text +=
            ")') AND proconfig OPERATOR(pg_catalog.=) '{\"search_path=pg_catalog, pg_temp\"}'::pg_catalog.text[] "
            "AND prosrc OPERATOR(pg_catalog.=) $$";
        text += function->body;
        text += "$$)";
    }
    return for_schema(text, schema);
}

/// Several statements in one message are one transaction, in which the lock lets only one process at a time create.
inline std::string schema_transaction(const std::string& schema, bool logged) {
    return "SET LOCAL search_path = pg_catalog, pg_temp;SELECT pg_advisory_xact_lock(7385903388887613281);" +
           schema_text(schema, logged);
}

}  // namespace detail::postgres

/// The SQL that PostgresStore::ensure_schema() runs, for those who keep their schema themselves. It may be run again.
/// Whoever uses the store then needs USAGE on the schema and SELECT, INSERT, UPDATE and DELETE on the table.
inline std::string schema_sql(const PostgresOptions& options = {}) {
    return detail::postgres::schema_text(options.checked().schema, options.logged);
}

}  // namespace sluice

#endif
