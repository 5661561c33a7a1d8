// SPDX-License-Identifier: MIT
#ifndef SLUICE_POSTGRES_SQL_TAKE_HPP
#define SLUICE_POSTGRES_SQL_TAKE_HPP

#include <sluice/postgres/sql/function.hpp>

namespace sluice::detail::postgres::sql {

/// Consumes what is there for each key, `units` at most, with arguments as those of decide_2: looks how many units fit, by
/// halving, and decides on so many, or on one where not one does. Returns for each key the number that was decided on, and
/// what decide_2 said.
inline constexpr Function take{"take_2", units_types, units_arguments, "RETURNS bigint[]", R"(
DECLARE
    most    bigint := units;
    this    bytea;
    n       bigint;
    low     bigint;  -- so many fit,
    high    bigint;  -- so many do not
    answer  bigint[];
    answers bigint[] := '{}';
BEGIN
    FOR i IN 1 .. pg_catalog.cardinality(kinds) LOOP
        most := least(most, rules[5 * i - 4]);
    END LOOP;
    FOREACH this IN ARRAY keys LOOP
        FOR round IN 1 .. 8 LOOP
            -- Nobody changes the row until this is done; only one that is not there may come to be meanwhile.
            PERFORM FROM sluice.state_2 WHERE scope = of_scope AND key = this FOR UPDATE;
            low := 0;
            high := most + 1;
            n := most;
            LOOP
                answer := sluice.decide_2(of_scope, ARRAY[this], kinds, rules, 'peek', n, skew_ns, at_ns);
                IF answer[2] = 1 THEN
                    low := n;
                ELSE
                    high := n;
                END IF;
                EXIT WHEN high - low <= 1;
                n := (low + high) / 2;
            END LOOP;
            n := greatest(low, least(units, 1));
            answer := sluice.decide_2(of_scope, ARRAY[this], kinds, rules, 'consume', n, skew_ns, at_ns);
            EXIT WHEN low = 0 OR answer[2] = 1;
        END LOOP;
        answers := answers || n || answer;
    END LOOP;
    RETURN answers;
END
)"};

}  // namespace sluice::detail::postgres::sql

#endif
