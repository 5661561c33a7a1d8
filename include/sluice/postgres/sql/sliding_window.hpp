// SPDX-License-Identifier: MIT
#ifndef SLUICE_POSTGRES_SQL_SLIDING_WINDOW_HPP
#define SLUICE_POSTGRES_SQL_SLIDING_WINDOW_HPP

#include <sluice/postgres/sql/function.hpp>

namespace sluice::detail::postgres::sql {

/// SlidingWindow, the exact log. Units admitted at the same time are one entry, however many they are.
///   rule   limit, window in ns
///   state  (entries, units in all of them, then for each entry, oldest first: its time, its units)
///   seen   (units, the time of the entry that has to leave before the request fits, the newest time)
inline constexpr Function sliding_window{"sliding_window_2", policy_types, policy_arguments, policy_kind, R"(
DECLARE
    most      CONSTANT bigint := rule[1];
    window_ns CONSTANT bigint := rule[2];
    used      bigint := coalesce(state[at + 1], 0);
    last      integer := at + 2 * coalesce(state[at], 0);  -- where the newest entry begins
    first     integer := at + 2;                           -- and the oldest that has not left the window
    newest    bigint := CASE WHEN last > at THEN state[last] END;
    own_ns    CONSTANT bigint := greatest(now_ns, newest);
    leaving   integer;
    excess    bigint;  -- units that have to leave before the request fits
BEGIN
    size := last + 2 - at;
    rebased := coalesce(newest > now_ns + skew_ns, false);
    IF newest <= own_ns - window_ns THEN
        first := last + 2;
        used := 0;
    END IF;
    WHILE first <= last AND state[first] <= own_ns - window_ns LOOP
        used := used - state[first + 1];
        first := first + 2;
    END LOOP;
    IF used = 0 THEN
        seen := '{0,0,0}';
    ELSE
        excess := used + units - most;
        leaving := first;
        WHILE leaving < last AND state[leaving + 1] < excess LOOP
            excess := excess - state[leaving + 1];
            leaving := leaving + 2;
        END LOOP;
        seen := ARRAY[used, state[leaving], newest];
    END IF;

    IF rebased THEN
        fits := units <= 0;
        used := most + least(units, 0);
        life_ns := window_ns;
        after := CASE WHEN used > 0 THEN ARRAY[1, used, now_ns, used] ELSE '{0,0}' END;
        RETURN;
    END IF;
    fits := units <= most - used;
    life_ns := own_ns - now_ns + window_ns;
    IF units < 0 THEN  -- the newest entries go
        excess := least(-units, used);
        used := state[at + 1] - excess;
        WHILE first <= last AND state[last + 1] <= excess LOOP
            excess := excess - state[last + 1];
            last := last - 2;
        END LOOP;
        after := state[at : last + 1];
        after[1] := (last - at) / 2;
        after[2] := used;
        IF excess > 0 THEN
            after[last + 2 - at] := state[last + 1] - excess;
        END IF;
    ELSIF NOT fits THEN
        after := state[at : last + 1];
    ELSIF newest = own_ns AND first <= last THEN
        after := ARRAY[(last + 2 - first) / 2, used + units] || state[first : last] || (state[last + 1] + units);
    ELSE
        after := ARRAY[(last + 4 - first) / 2, used + units] || state[first : last + 1] || ARRAY[own_ns, units];
    END IF;
END
)"};

}  // namespace sluice::detail::postgres::sql

#endif
