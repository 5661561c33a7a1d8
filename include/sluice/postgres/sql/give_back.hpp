// SPDX-License-Identifier: MIT
#ifndef SLUICE_POSTGRES_SQL_GIVE_BACK_HPP
#define SLUICE_POSTGRES_SQL_GIVE_BACK_HPP

#include <sluice/postgres/sql/function.hpp>

namespace sluice::detail::postgres::sql {

/// Gives units back to each key that were consumed at `taken_ns`, with arguments as those of decide_2: a bucket gets them up
/// to its capacity, a window only if it is still there, a log from the entry of exactly that time.
inline constexpr Function give_back{"give_back_2", "bigint,bytea[],text[],bigint[],bigint,bigint,bigint,bigint",
                                    "of_scope bigint, keys bytea[], kinds text[], rules bigint[], units bigint, "
                                    "skew_ns bigint,\n    taken_ns bigint, at_ns bigint",
                                    "RETURNS bigint[]", R"(
DECLARE
    this    bytea;
    next    bigint[];
    now_ns  bigint;
    rule    bigint[];
    at      integer;  -- where in next a policy's state begins
    ends_at bigint;   -- of a window that they were consumed in
    part    record;
    entry   integer;
    given   bigint;
BEGIN
    FOREACH this IN ARRAY keys LOOP
        SELECT nullif(state, '{}') INTO next FROM sluice.state_2 WHERE scope = of_scope AND key = this FOR UPDATE;
        CONTINUE WHEN next IS NULL OR units <= 0;
        now_ns := coalesce(at_ns, (extract(epoch FROM pg_catalog.clock_timestamp()) * 1000000)::bigint * 1000);
        at := 1;
        FOR i IN 1 .. pg_catalog.cardinality(kinds) LOOP
            rule := rules[5 * i - 4 : 5 * i];
            ends_at := (taken_ns / rule[2] + 1) * rule[2];
            CASE kinds[i]
                WHEN 'bucket' THEN
                    part := sluice.bucket_2(rule, next, at, now_ns, -units, skew_ns);
                    next[at] := part.after[1];
                    at := at + 1;
                WHEN 'fixed_window' THEN
                    IF next[at] = ends_at THEN
                        next[at + 1] := greatest(next[at + 1] - units, 0);
                    END IF;
                    at := at + 2;
                WHEN 'sliding_window_counter' THEN
                    IF next[at] = ends_at THEN
                        next[at + 2] := greatest(next[at + 2] - units, 0);
                    ELSIF next[at] = ends_at + rule[2] THEN
                        next[at + 1] := greatest(next[at + 1] - units, 0);
                    END IF;
                    at := at + 3;
                WHEN 'sliding_window' THEN
                    entry := at + 2 * next[at];  -- the newest
                    WHILE entry > at AND next[entry] > taken_ns LOOP
                        entry := entry - 2;
                    END LOOP;
                    IF entry > at AND next[entry] = taken_ns THEN
                        given := least(units, next[entry + 1]);
                        next[at + 1] := next[at + 1] - given;
                        next[entry + 1] := next[entry + 1] - given;
                        IF next[entry + 1] = 0 THEN
                            next[at] := next[at] - 1;
                            next := next[1 : entry - 1] || next[entry + 2 : pg_catalog.cardinality(next)];
                        END IF;
                    END IF;
                    at := at + 2 + 2 * next[at];
            END CASE;
        END LOOP;
        UPDATE sluice.state_2 SET state = next WHERE scope = of_scope AND key = this;
    END LOOP;
    RETURN '{}';
END
)"};

}  // namespace sluice::detail::postgres::sql

#endif
