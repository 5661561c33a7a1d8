// SPDX-License-Identifier: MIT
#ifndef SLUICE_POSTGRES_SQL_DECIDE_HPP
#define SLUICE_POSTGRES_SQL_DECIDE_HPP

#include <sluice/postgres/sql/function.hpp>

namespace sluice::detail::postgres::sql {

/// One decision for each key, by one policy or several: all allow it, or none consumes. A key is read without a lock; a
/// denial ends there and writes nothing. What is to be written is written if the state is still the one that was read,
/// else the row is locked now, and read again. Callers sort the keys, so that no two of them can wait for each other.
///   kinds      the policies' functions
///   rules      five numbers for each
///   operation  'consume' (with a minus: give back), 'peek', or 'reset': the key is as one never seen
///   at_ns      instead of the server's time, or null
/// Returns for each key: the time, whether it is allowed, how many numbers follow, and the state before as the policies'
/// functions show it.
inline constexpr Function decide{"decide_2", "bigint,bytea[],text[],bigint[],text,bigint,bigint,bigint",
                                 "of_scope bigint, keys bytea[], kinds text[], rules bigint[], operation text, "
                                 "units bigint, skew_ns bigint,\n"
                                 "    at_ns bigint",
                                 "RETURNS bigint[]", R"(
DECLARE
    -- Rows outlive their states, since clocks may go back; those of tests by more.
    spare   CONSTANT interval := CASE WHEN at_ns IS NULL THEN interval '1 minute' ELSE interval '1 hour' END;
    this    bytea;
    old     bigint[];  -- the state before,
    next    bigint[];  -- the one after if all policies allow it,
    kept    bigint[];  -- and after a denial
    wall    timestamp with time zone;
    now_ns  bigint;
    rule    bigint[];
    at      integer;   -- where in old a policy's state begins
    part    record;    -- what its function says
    allowed boolean;
    repair  boolean;
    seen    bigint[];
    life_ns bigint;
    rounds  integer;
    answers bigint[] := '{}';
BEGIN
    IF operation = 'reset' THEN
        UPDATE sluice.state_2 SET state = '{}' WHERE scope = of_scope AND key = ANY (keys);
        RETURN answers;
    END IF;
    FOREACH this IN ARRAY keys LOOP
        rounds := 0;
        LOOP
            SELECT nullif(state, '{}') INTO old FROM sluice.state_2 WHERE scope = of_scope AND key = this;
            wall := pg_catalog.clock_timestamp();
            now_ns := coalesce(at_ns, (extract(epoch FROM wall) * 1000000)::bigint * 1000);

            allowed := true;
            repair := false;
            next := '{}';
            kept := '{}';
            seen := '{}';
            life_ns := 0;
            at := 1;
            FOR i IN 1 .. pg_catalog.cardinality(kinds) LOOP
                rule := rules[5 * i - 4 : 5 * i];
                CASE kinds[i]
                    WHEN 'bucket' THEN
                        part := sluice.bucket_2(rule, old, at, now_ns, units, skew_ns);
                    WHEN 'fixed_window' THEN
                        part := sluice.fixed_window_2(rule, old, at, now_ns, units, skew_ns);
                    WHEN 'sliding_window' THEN
                        part := sluice.sliding_window_2(rule, old, at, now_ns, units, skew_ns);
                    WHEN 'sliding_window_counter' THEN
                        part := sluice.sliding_window_counter_2(rule, old, at, now_ns, units, skew_ns);
                END CASE;
                allowed := allowed AND part.fits;
                repair := repair OR part.rebased;
                next := next || part.after;
                kept := kept || CASE WHEN part.rebased THEN part.after ELSE old[at : at + part.size - 1] END;
                seen := seen || part.seen;
                life_ns := greatest(life_ns, part.life_ns);
                at := at + part.size;
            END LOOP;

            EXIT WHEN operation = 'peek' OR units = 0 OR units < 0 AND old IS NULL OR NOT allowed AND NOT repair;
            INSERT INTO sluice.state_2 AS row (scope, key, state, due)
            VALUES (of_scope, this, CASE WHEN allowed THEN next ELSE kept END,
                    wall + pg_catalog.make_interval(secs => life_ns::double precision / 1000000000) + spare)
            ON CONFLICT (scope, key) DO UPDATE SET state = excluded.state, due = excluded.due
            WHERE nullif(row.state, '{}') IS NOT DISTINCT FROM old;
            EXIT WHEN FOUND;
            -- A row that is locked now stays as it is until it is read again; one that never comes to be is swallowed.
            rounds := rounds + 1;
            IF rounds = 8 THEN
                RAISE EXCEPTION 'sluice: a trigger or a rule keeps rows out of state_2' USING ERRCODE = '55000';
            END IF;
        END LOOP;
        answers := answers || now_ns || allowed::integer::bigint;
        answers := answers || CASE WHEN old IS NULL THEN ARRAY[0] ELSE pg_catalog.cardinality(seen)::bigint || seen END;
    END LOOP;
    RETURN answers;
END
)"};

}  // namespace sluice::detail::postgres::sql

#endif
