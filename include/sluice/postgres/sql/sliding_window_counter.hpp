// SPDX-License-Identifier: MIT
#ifndef SLUICE_POSTGRES_SQL_SLIDING_WINDOW_COUNTER_HPP
#define SLUICE_POSTGRES_SQL_SLIDING_WINDOW_COUNTER_HPP

#include <sluice/postgres/sql/function.hpp>

namespace sluice::detail::postgres::sql {

/// SlidingWindowCounter.
///   rule   limit, window in ns
///   state  (the end of the window, the count of the one before, its own count)
inline constexpr Function sliding_window_counter{"sliding_window_counter_2", policy_types, policy_arguments,
                                                 policy_kind, R"(
DECLARE
    most      CONSTANT bigint := rule[1];
    window_ns CONSTANT bigint := rule[2];
    ends_at   bigint := (now_ns / window_ns + 1) * window_ns;
    previous  bigint := 0;
    current   bigint := 0;
    weight    bigint := 0;  -- of the previous count, rounded up: all else is whole, so it compares as the fraction does
    taken     bigint;
BEGIN
    size := 3;
    seen := state[at : at + 2];
    rebased := coalesce(state[at] - window_ns > now_ns + skew_ns, false);
    IF rebased THEN
        current := most;
    ELSIF state[at] >= ends_at THEN
        ends_at := state[at];
        previous := state[at + 1];
        current := state[at + 2];
    ELSIF state[at] = ends_at - window_ns THEN
        previous := state[at + 2];
    END IF;
    IF previous <> 0 THEN
        weight := pg_catalog.div(previous::numeric * least(ends_at - now_ns, window_ns) + window_ns - 1,
                                 window_ns::numeric);
    END IF;

    fits := units <= 0 OR units <= most AND current + weight <= most - units;
    life_ns := ends_at - now_ns + window_ns;
    IF units < 0 AND current + previous = 0 OR NOT fits AND NOT rebased THEN
        after := seen;
        RETURN;
    END IF;
    IF units < 0 THEN  -- from the current count, then from the previous one
        taken := least(-units, current);
        previous := previous - least(-units - taken, previous);
        current := current - taken;
    ELSIF fits THEN
        current := current + units;
    END IF;
    after := ARRAY[ends_at, previous, current];
END
)"};

}  // namespace sluice::detail::postgres::sql

#endif
