// SPDX-License-Identifier: MIT
#ifndef SLUICE_POSTGRES_SQL_FIXED_WINDOW_HPP
#define SLUICE_POSTGRES_SQL_FIXED_WINDOW_HPP

#include <sluice/postgres/sql/function.hpp>

namespace sluice::detail::postgres::sql {

/// FixedWindow.
///   rule   limit, window in ns
///   state  (the end of the window, the units used in it)
inline constexpr Function fixed_window{"fixed_window_2", policy_types, policy_arguments, policy_kind, R"(
DECLARE
    most      CONSTANT bigint := rule[1];
    window_ns CONSTANT bigint := rule[2];
    ends_at   bigint := (now_ns / window_ns + 1) * window_ns;
    used      bigint := 0;
BEGIN
    size := 2;
    seen := state[at : at + 1];
    rebased := coalesce(state[at] - window_ns > now_ns + skew_ns, false);
    IF rebased THEN
        used := most;
    ELSIF state[at] >= ends_at THEN
        ends_at := state[at];
        used := state[at + 1];
    END IF;

    fits := units <= most - used;
    life_ns := ends_at - now_ns;
    IF units < 0 AND used = 0 OR NOT fits AND NOT rebased THEN
        after := seen;
    ELSE
        after := ARRAY[ends_at, CASE WHEN fits THEN greatest(used + units, 0) ELSE used END];
    END IF;
END
)"};

}  // namespace sluice::detail::postgres::sql

#endif
