// SPDX-License-Identifier: MIT
#ifndef SLUICE_POSTGRES_SQL_SWEEP_HPP
#define SLUICE_POSTGRES_SQL_SWEEP_HPP

#include <sluice/postgres/sql/function.hpp>

namespace sluice::detail::postgres::sql {

/// Removes the rows that are due in a few pages of the table, from page `hand` on, and returns the page after these. Bounded
/// by what it visits: an index on due would have to be walked past all that was removed before, which stays in it while
/// any old snapshot is open. One caller at a time; rows that others have locked are left for the next round.
inline constexpr Function sweep{"sweep_2", "bigint,integer", "hand bigint, pages integer", "RETURNS bigint", R"(
DECLARE
    relation CONSTANT oid := 'sluice.state_2'::regclass;
    total    CONSTANT bigint :=
        pg_catalog.pg_relation_size(relation::regclass) / pg_catalog.current_setting('block_size')::bigint;
    first    bigint;
    places   tid[];
BEGIN
    IF total = 0 OR NOT pg_catalog.pg_try_advisory_xact_lock(7385903388887613281 # relation::bigint) THEN
        RETURN hand;
    END IF;
    first := hand % total;
    places := ARRAY(
        SELECT pg_catalog.format('(%s,%s)', page, item)::tid
        FROM pg_catalog.generate_series(first, least(first + pages, total) - 1) AS page,
             pg_catalog.generate_series(1, 291) AS item);  -- no page of 8 kB holds more rows
    DELETE FROM sluice.state_2 WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM sluice.state_2 WHERE ctid = ANY (places) AND due < pg_catalog.now()
        FOR UPDATE SKIP LOCKED));
    RETURN first + pages;
END
)"};

}  // namespace sluice::detail::postgres::sql

#endif
