// SPDX-License-Identifier: MIT
#ifndef SLUICE_POSTGRES_SQL_TABLE_HPP
#define SLUICE_POSTGRES_SQL_TABLE_HPP

#include <string_view>

namespace sluice::detail::postgres::sql {

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

}  // namespace sluice::detail::postgres::sql

#endif
