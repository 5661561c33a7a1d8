// SPDX-License-Identifier: MIT
#ifndef SLUICE_POSTGRES_SQL_CARRY_HPP
#define SLUICE_POSTGRES_SQL_CARRY_HPP

#include <sluice/postgres/sql/function.hpp>

namespace sluice::detail::postgres::sql {

/// Consumes `units`, at most the limit, for each key of which all of the limit is there, with arguments as those of decide_2:
/// what was used of another limit becomes used of this one, once. Returns for each key the number that was decided on, 0
/// where something is used, and what decide_2 said.
inline constexpr Function carry{"carry_2", units_types, units_arguments, "RETURNS bigint[]", R"(
DECLARE
    whole   bigint := rules[1];
    this    bytea;
    n       bigint;
    answers bigint[] := '{}';
BEGIN
    FOR i IN 2 .. pg_catalog.cardinality(kinds) LOOP
        whole := least(whole, rules[5 * i - 4]);
    END LOOP;
    FOREACH this IN ARRAY keys LOOP
        -- Who comes second waits here until the first is done, also for a row that is not there yet.
        INSERT INTO sluice.state_2 AS row (scope, key, state, due)
        VALUES (of_scope, this, '{}', pg_catalog.clock_timestamp() + interval '1 hour')
        ON CONFLICT (scope, key) DO UPDATE SET due = row.due;
        n := 0;
        IF (sluice.decide_2(of_scope, ARRAY[this], kinds, rules, 'peek', whole, skew_ns, at_ns))[2] = 1 THEN
            n := least(units, whole);
        END IF;
        answers := answers || n || sluice.decide_2(of_scope, ARRAY[this], kinds, rules, 'consume', n, skew_ns, at_ns);
    END LOOP;
    RETURN answers;
END
)"};

}  // namespace sluice::detail::postgres::sql

#endif
