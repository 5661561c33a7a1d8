// SPDX-License-Identifier: MIT
#ifndef SLUICE_POSTGRES_SQL_SWAP_HPP
#define SLUICE_POSTGRES_SQL_SWAP_HPP

#include <sluice/postgres/sql/function.hpp>

namespace sluice::detail::postgres::sql {

/// Compare and swap of states whose meaning only the client knows: reads the states of keys, or puts others in their place
/// where they are still what they were. Callers sort the keys, as for decide_2.
///   size      numbers in a state
///   fresh     the state of a key that is not there
///   expected  of each key the state that was read, one after the other; {} to read alone
///   after     what comes in its place,
///   lives_ns  and for how long it has to be kept
///   at_ns     instead of the server's time, or null
/// Returns for each key: 1 if it was set, the time, and the state that was found.
inline constexpr Function swap{"swap_2", "bigint,bytea[],integer,bigint[],bigint[],bigint[],bigint[],bigint",
                               "of_scope bigint, keys bytea[], size integer, fresh bigint[], expected bigint[], "
                               "after bigint[],\n"
                               "    lives_ns bigint[], at_ns bigint",
                               "RETURNS bigint[]", R"(
DECLARE
    spare   CONSTANT interval := CASE WHEN at_ns IS NULL THEN interval '1 minute' ELSE interval '1 hour' END;
    old     bigint[];
    first   integer;
    wall    timestamp with time zone;
    is_set  boolean;
    answers bigint[] := '{}';
BEGIN
    FOR i IN 1 .. pg_catalog.cardinality(keys) LOOP
        first := size * (i - 1) + 1;
        wall := pg_catalog.clock_timestamp();
        is_set := false;
        IF expected <> '{}' THEN
            old := expected[first : first + size - 1];
            INSERT INTO sluice.state_2 AS row (scope, key, state, due)
            SELECT of_scope, keys[i], after[first : first + size - 1],
                   wall + pg_catalog.make_interval(secs => lives_ns[i]::double precision / 1000000000) + spare
            WHERE old = fresh OR EXISTS (SELECT FROM sluice.state_2 WHERE scope = of_scope AND key = keys[i])
            ON CONFLICT (scope, key) DO UPDATE SET state = excluded.state, due = excluded.due
            WHERE coalesce(nullif(row.state, '{}'), fresh) = old;
            is_set := FOUND;
        END IF;
        IF NOT is_set THEN
            SELECT nullif(state, '{}') INTO old FROM sluice.state_2 WHERE scope = of_scope AND key = keys[i];
            wall := pg_catalog.clock_timestamp();
            old := coalesce(old, fresh);
        END IF;
        answers := answers || is_set::integer::bigint
                           || coalesce(at_ns, (extract(epoch FROM wall) * 1000000)::bigint * 1000) || old;
    END LOOP;
    RETURN answers;
END
)"};

}  // namespace sluice::detail::postgres::sql

#endif
