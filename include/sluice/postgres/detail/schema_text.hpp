// SPDX-License-Identifier: MIT
#ifndef SLUICE_POSTGRES_DETAIL_SCHEMA_TEXT_HPP
#define SLUICE_POSTGRES_DETAIL_SCHEMA_TEXT_HPP

#include <string_view>

// What PostgresStore needs in a database, with `sluice.` before each name and @unlogged@ where a table is created. The
// names end with a version: a release that changes one of these brings new names, and both can run side by side.
namespace sluice::postgres {

inline constexpr std::string_view table_text = R"(
CREATE SCHEMA IF NOT EXISTS sluice;

-- state: what the policies know of a key, one after the other; {} is a key never seen.
-- due:   from then on the row may be removed. It is moved rarely, so that most updates touch no index (HOT).
CREATE @unlogged@ TABLE IF NOT EXISTS sluice.state_1 (
    scope bigint NOT NULL,
    key   bytea NOT NULL,
    state bigint[] NOT NULL,
    due   timestamptz NOT NULL,
    PRIMARY KEY (scope, key)
) WITH (fillfactor = 50);
CREATE INDEX IF NOT EXISTS state_1_due ON sluice.state_1 (due);
)";

// The policies' arithmetic as far as it must be atomic; all of it is explained where the policies are.
inline constexpr std::string_view step_text = R"(
-- One step of one or more policies, all or nothing. Times are nanoseconds since the epoch.
--   parts    five numbers for each policy: kind, limit, window or the rate's period, ticks per unit, ticks per period
--   state    as in the table; null or {} for a key never seen
--   units    to consume, or with a minus to give back
--   allowed  whether all policies allow it
--   next     the state to write; null for none, as after a denial
--   seen     the state before, for the client, with a log shortened to (size, what has to leave first, newest)
--   life_ns  after which the state next is that of a key never seen
CREATE OR REPLACE FUNCTION sluice.step_1(
    parts bigint[], state bigint[], now_ns bigint, units bigint,
    OUT allowed boolean, OUT next bigint[], OUT seen bigint[], OUT life_ns bigint)
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    fresh      constant boolean := coalesce(cardinality(state), 0) = 0;
    skew_ns    constant bigint := 1000000;  -- so far ahead, a state is the present still
    most       bigint;
    span       bigint;
    per_unit   bigint;
    per_period bigint;
    at         int := 1;  -- where the policy's state begins
    size       int;
    tick       bigint;
    until      bigint;
    used       bigint;
    past       bigint;    -- the count of the window before; for a bucket the ticks of the whole of it
    weight     bigint;    -- of the window before; for a bucket the ticks of the request
    log        bigint[];
    old        bigint[];  -- this policy's state before,
    new        bigint[];  -- and after
    view       bigint[];
    fits       boolean;
    ahead      boolean;   -- the clock went back
    kept       bigint[] := '{}';
    repaired   boolean := false;
BEGIN
    allowed := true;
    next := '{}';
    seen := '{}';
    life_ns := 0;
    FOR part IN 1 .. cardinality(parts) BY 5 LOOP
        most := parts[part + 1];
        span := parts[part + 2];

        IF parts[part] = 1 THEN
            -- A bucket: (the time at which it is full).
            per_unit := parts[part + 3];
            per_period := parts[part + 4];
            size := 1;
            past := most * per_unit;
            IF per_period = span THEN
                tick := now_ns;
                used := CASE WHEN fresh THEN 0 ELSE greatest(state[at] - now_ns, 0) END;
            ELSE
                tick := div(now_ns::numeric * per_period, span);
                used := CASE WHEN fresh OR state[at] <= now_ns THEN 0
                             ELSE div(state[at]::numeric * per_period, span) - tick END;
            END IF;
            ahead := used > past;
            used := least(used, past);
            weight := greatest(least(units, most), -most) * per_unit;
            fits := units <= most AND weight <= past - used;
            tick := tick + CASE WHEN fits THEN greatest(used + weight, 0) ELSE past END;
            until := CASE WHEN per_period = span THEN tick
                          ELSE div(tick::numeric * span + per_period - 1, per_period) END;
            old := state[at : at];
            new := CASE WHEN units < 0 AND used = 0 THEN old ELSE ARRAY[greatest(until, now_ns)] END;
            view := old;
            life_ns := greatest(life_ns, until - now_ns);

        ELSIF parts[part] = 4 THEN
            -- An exact log: (the number of times, the times).
            size := 1 + CASE WHEN fresh THEN 0 ELSE state[at]::int END;
            old := state[at : at + size - 1];
            log := ARRAY(SELECT t FROM unnest(old[2 : size]) WITH ORDINALITY AS entry (t, place)
                         WHERE t > now_ns - span ORDER BY place);
            used := cardinality(log);
            view := CASE WHEN used = 0 THEN '{0,0,0}'
                         ELSE ARRAY[used, log[greatest(least(used + units - most, used), 1)], log[used]] END;
            ahead := coalesce(log[used] > now_ns + skew_ns, false);
            fits := units <= most - used;
            IF units < 0 THEN
                log := log[1 : used + greatest(units, -used)];
            ELSE
                IF ahead THEN
                    log := ARRAY(SELECT least(t, now_ns) FROM unnest(log) WITH ORDINALITY AS entry (t, place)
                                 ORDER BY place);
                END IF;
                IF fits THEN
                    log := log || array_fill(greatest(now_ns, log[used]), ARRAY[units::int]);
                END IF;
            END IF;
            new := cardinality(log)::bigint || log;
            life_ns := greatest(life_ns, span + skew_ns);

        ELSE
            -- Windows: (the end of the current one, its count), or (the end, the count before, the count).
            until := (now_ns / span + 1) * span;
            IF NOT fresh AND state[at] - span = until AND until - now_ns <= skew_ns THEN
                until := state[at];
            END IF;
            ahead := NOT fresh AND state[at] > until;
            IF parts[part] = 2 THEN
                size := 2;
                past := 0;
                used := CASE WHEN fresh OR state[at] < until THEN 0 ELSE state[at + 1] END;
                weight := 0;
                life_ns := greatest(life_ns, until - now_ns);
            ELSE
                size := 3;
                past := CASE WHEN fresh THEN 0
                             WHEN state[at] >= until THEN state[at + 1]
                             WHEN state[at] = until - span THEN state[at + 2]
                             ELSE 0 END;
                used := CASE WHEN fresh OR state[at] < until THEN 0 ELSE state[at + 2] END;
                weight := CASE WHEN past = 0 THEN 0
                               ELSE div(past::numeric * least(until - now_ns, span) + span - 1, span) END;
                life_ns := greatest(life_ns, until - now_ns + span);
            END IF;
            old := state[at : at + size - 1];
            view := old;
            fits := units <= most AND used + weight <= most - units;
            IF units < 0 AND used + past = 0 THEN
                new := old;
            ELSE
                IF units < 0 THEN
                    weight := least(-units, used);  -- from the current count, then from the one before
                    past := past - least(-units - weight, past);
                    used := used - weight;
                ELSIF fits THEN
                    used := used + units;
                END IF;
                new := CASE WHEN size = 2 THEN ARRAY[until, used] ELSE ARRAY[until, past, used] END;
            END IF;
        END IF;

        allowed := allowed AND fits;
        next := next || new;
        -- A denial writes only to bring back what a clock gone back has left in the future.
        kept := kept || CASE WHEN ahead AND NOT fits THEN new ELSE old END;
        repaired := repaired OR (ahead AND NOT fits);
        seen := seen || view;
        at := at + size;
    END LOOP;

    IF fresh THEN
        seen := NULL;
    END IF;
    IF units < 0 THEN
        next := CASE WHEN NOT fresh THEN next END;
    ELSIF NOT allowed THEN
        next := CASE WHEN repaired THEN kept END;
    END IF;
END
$$;
)";

inline constexpr std::string_view decide_text = R"(
-- One decision for each key. A key is read without a lock; a denial ends there and writes nothing. What is to be
-- written is written if the state is still the one that was read, else the row is locked now, and read again. Callers
-- sort the keys, so that no two of them can wait for each other.
--   mode     0 consume or give back, 1 peek, 2 forget the key
--   at_ns    instead of the server's time, or null
--   wait_ms  how long to wait for another's lock
-- Returns for each key: the time, whether it is allowed, how many numbers follow, and the state before as step_1 shows it.
CREATE OR REPLACE FUNCTION sluice.decide_1(
    of_scope bigint, keys bytea[], parts bigint[], units bigint, mode int, at_ns bigint, wait_ms int)
RETURNS bigint[] LANGUAGE plpgsql AS $$
DECLARE
    this bytea;
    old  bigint[];
    step record;
    now_ns bigint;
    wall timestamptz;
    more interval := CASE WHEN at_ns IS NULL THEN interval '1 minute' ELSE interval '1 hour' END;
    born int := 0;
    answers bigint[] := '{}';
BEGIN
    PERFORM set_config('lock_timeout', wait_ms::text, true);  -- until the end of this transaction
    IF mode = 2 THEN
        UPDATE sluice.state_1 SET state = '{}' WHERE scope = of_scope AND key = ANY (keys);
        RETURN answers;
    END IF;
    FOREACH this IN ARRAY keys LOOP
        LOOP
            SELECT state INTO old FROM sluice.state_1 WHERE scope = of_scope AND key = this;
            wall := clock_timestamp();
            now_ns := coalesce(at_ns, (extract(epoch FROM wall) * 1000000)::bigint * 1000);
            step := sluice.step_1(parts, old, now_ns, units);
            EXIT WHEN mode = 1 OR step.next IS NULL;
            INSERT INTO sluice.state_1 AS row (scope, key, state, due)
            VALUES (of_scope, this, step.next, wall + step.life_ns / 1000 * interval '1 microsecond' + more)
            ON CONFLICT (scope, key) DO UPDATE
                SET state = excluded.state,
                    due = CASE WHEN row.due < excluded.due - more THEN excluded.due ELSE row.due END
                WHERE row.state = old;
            IF FOUND THEN
                born := born + CASE WHEN old IS NULL THEN 1 ELSE 0 END;
                EXIT;
            END IF;
        END LOOP;
        answers := answers || now_ns || step.allowed::int::bigint || coalesce(cardinality(step.seen), 0)::bigint || step.seen;
    END LOOP;
    -- Every new row pays for the removal of a few that are due. Last, since nothing may be waited for after it.
    IF born <> 0 THEN
        DELETE FROM sluice.state_1 WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM sluice.state_1 WHERE due < wall ORDER BY due LIMIT 4 * born FOR UPDATE SKIP LOCKED));
    END IF;
    RETURN answers;
END
$$;
)";

}  // namespace sluice::postgres

#endif
