// SPDX-License-Identifier: MIT
#ifndef SLUICE_POSTGRES_SQL_BUCKET_HPP
#define SLUICE_POSTGRES_SQL_BUCKET_HPP

#include <sluice/postgres/sql/function.hpp>

namespace sluice::detail::postgres::sql {

/// TokenBucket and LeakyBucket, see policies/detail/bucket.hpp.
///   rule   capacity, the rate's period in ns, ticks that one unit takes, ticks in the period, and how many ticks the bucket may
///          be from full for anything to be consumed, or -1
///   state  (the time at which the bucket is full)
inline constexpr Function bucket{"bucket_2", policy_types, policy_arguments, policy_kind, R"(
DECLARE
    capacity   CONSTANT bigint := rule[1];
    period_ns  CONSTANT bigint := rule[2];
    per_unit   CONSTANT bigint := rule[3];
    per_period CONSTANT bigint := rule[4];
    bound      CONSTANT bigint := rule[5];
    full_ticks CONSTANT bigint := capacity * per_unit;
    full_at    bigint := coalesce(state[at], now_ns);
    fill_ns    bigint := full_ticks;
    tick       bigint := now_ns;
    debt       bigint := greatest(full_at - now_ns, 0);  -- ticks until the bucket is full
    price      bigint;
BEGIN
    size := 1;
    seen := state[at : at];
    IF per_period <> period_ns THEN  -- a tick is longer than a nanosecond
        fill_ns := pg_catalog.div(full_ticks::numeric * period_ns + per_period - 1, per_period::numeric);
        tick := pg_catalog.div(now_ns::numeric * per_period, period_ns::numeric);
        IF debt <> 0 THEN
            debt := pg_catalog.div(full_at::numeric * per_period, period_ns::numeric) - tick;
        END IF;
    END IF;
    rebased := full_at > now_ns + fill_ns + skew_ns;
    IF rebased THEN
        debt := full_ticks;
    END IF;

    price := greatest(least(units, capacity), -capacity) * per_unit;
    fits := units <= 0 OR units <= capacity AND price <= full_ticks - debt AND (bound < 0 OR debt <= bound);
    IF units < 0 AND debt = 0 THEN
        after := seen;
        life_ns := 0;
        RETURN;
    END IF;
    IF fits THEN
        debt := greatest(debt + price, 0);
    END IF;
    full_at := tick + debt;
    IF per_period <> period_ns THEN
        full_at := pg_catalog.div(full_at::numeric * period_ns + per_period - 1, per_period::numeric);
    END IF;
    full_at := greatest(full_at, now_ns);
    life_ns := full_at - now_ns;
    after := CASE WHEN fits OR rebased THEN ARRAY[full_at] ELSE seen END;
END
)"};

}  // namespace sluice::detail::postgres::sql

#endif
