// SPDX-License-Identifier: MIT

#include <chrono>
#include <string>

#include <sluice/postgres.hpp>
#include <sluice/sluice.hpp>

#include "support/catch.hpp"
#include "support/postgres_server.hpp"

using namespace std::chrono_literals;

namespace {

/// What a user without any right but to create in `public` does so that others run his code: for every function and
/// operator that our functions' text could mean, one of the same name there, for the same types and for those that would
/// need a conversion, and types called as those of pg_catalog.
constexpr auto traps = R"(
CREATE TABLE public.loot (who name);
GRANT INSERT ON public.loot TO PUBLIC;

CREATE FUNCTION public.set_traps(of_schema text) RETURNS bigint LANGUAGE plpgsql SET search_path = pg_catalog AS $traps$
DECLARE
    types text[] := '{integer,bigint,numeric,text,bytea,"double precision","timestamp with time zone",interval,boolean,'
                    '"bigint[]","bytea[]","text[]",tid,"tid[]",oid,regclass}';
    words text[] := ARRAY(SELECT DISTINCT w[1] FROM pg_proc, regexp_matches(prosrc, '[a-z_]+', 'g') AS w
                          WHERE pronamespace = of_schema::regnamespace);
    body  constant text := 'AS $b$ BEGIN INSERT INTO public.loot VALUES (current_user); RETURN NULL; END $b$';
    trap  record;
    made  bigint := 0;
BEGIN
    FOR trap IN
        SELECT proname AS name, pg_get_function_identity_arguments(oid) AS arguments, format_type(prorettype, NULL) AS result
        FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace AND proname = ANY (words) AND prokind = 'f'
            AND NOT proretset AND provariadic = 0
        UNION SELECT p.proname, format('%s, %s', a, b), format_type(p.prorettype, NULL)
        FROM pg_proc p, unnest(types) AS a, unnest(types) AS b
        WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.proname = ANY (words) AND p.pronargs = 2
            AND NOT p.proretset AND p.provariadic = 0 AND p.prokind = 'f'
        UNION SELECT p.proname, a, format_type(p.prorettype, NULL)
        FROM pg_proc p, unnest(types) AS a
        WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.proname = ANY (words) AND p.pronargs = 1
            AND NOT p.proretset AND p.provariadic = 0 AND p.prokind = 'f'
    LOOP
        BEGIN
            EXECUTE format('CREATE FUNCTION public.%I(%s) RETURNS %s LANGUAGE plpgsql %s',
                           trap.name, trap.arguments, trap.result, body);
            made := made + 1;
        EXCEPTION WHEN OTHERS THEN NULL;  -- polymorphic, or there already
        END;
    END LOOP;
    FOR trap IN
        SELECT DISTINCT o.oprname AS name, l, r, format_type(o.oprresult, NULL) AS result
        FROM pg_operator o, unnest(types) AS l, unnest(types) AS r
        WHERE o.oprname IN ('=', '<>', '<', '<=', '>', '>=', '+', '-', '*', '/', '%', '#', '||')
            AND o.oprleft = ANY (types::regtype[]) AND o.oprright = ANY (types::regtype[])
    LOOP
        BEGIN
            made := made + 1;
            EXECUTE format('CREATE FUNCTION public.trap_%s(%s, %s) RETURNS %s LANGUAGE plpgsql %s',
                           made, trap.l, trap.r, trap.result, body);
            EXECUTE format('CREATE OPERATOR public.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = public.trap_%s)',
                           trap.name, trap.l, trap.r, made);
        EXCEPTION WHEN OTHERS THEN NULL;  -- there already
        END;
    END LOOP;
    RETURN made;
END
$traps$;
CREATE DOMAIN public.text AS pg_catalog.int4;
CREATE DOMAIN public.bytea AS pg_catalog.int4;
CREATE DOMAIN public.int8 AS pg_catalog.text;
CREATE DOMAIN public.oid AS pg_catalog.text;
CREATE DOMAIN public.tid AS pg_catalog.text;
CREATE DOMAIN public.regclass AS pg_catalog.text;
)";

}  // namespace

TEST_CASE("no other user's code runs in a decision") {
    const PostgresServer server{{"autovacuum=off"}};
    server.command("CREATE ROLE mallory LOGIN; CREATE ROLE app LOGIN");
    server.command("ALTER ROLE app SET search_path = public, pg_catalog");
    for (const std::string schema : {"sluice", "public"}) {
        INFO(schema);
        const sluice::PostgresOptions options{.timeout = 10s, .schema = schema};
        const auto database = [&](const std::string& user) { return server.connection_string() + " user=" + user; };
        REQUIRE_FALSE(sluice::PostgresStore(server.connection_string(), options).ensure_schema());
        server.command("GRANT ALL ON SCHEMA public TO PUBLIC");
        server.command("GRANT USAGE ON SCHEMA " + schema + " TO app; GRANT SELECT, INSERT, UPDATE, DELETE ON " +
                       schema + ".state_2 TO app");
        const PostgresServer::Session mallory{server, database("mallory")};
        mallory.command(traps);
        REQUIRE(mallory.command("SELECT public.set_traps('" + schema + "') > 1000") == "t");
        REQUIRE(PostgresServer::Session(server, database("app")).command("SELECT 1::bigint + 1::bigint") == "");
        REQUIRE(server.command("SELECT count(*) FROM public.loot WHERE who = 'app'") == "1");  // the traps work

        const sluice::PostgresStore store{database("app"), options};
        const auto use = [&](const auto& policy) {
            const std::string name{policy.kind};
            const sluice::RateLimiter limiter{policy, store, {.name = name}};
            INFO(name);
            for (int i = 0; i != 8; ++i) CHECK_FALSE(limiter.try_consume("key").error);
            CHECK_FALSE(limiter.try_consume("key"));
            CHECK_FALSE(limiter.refund("key", 1));
            CHECK(limiter.peek("key"));
            CHECK(limiter.try_consume("key"));
            CHECK_FALSE(limiter.reset("key"));
            CHECK_FALSE(
                limiter.store()
                    .decide_at(sluice::Request<std::decay_t<decltype(policy)>>{sluice::Scope{name, policy}, "key"}, 1h)
                    .error);
        };
        use(sluice::TokenBucket{5, sluice::per_day(1)});
        use(sluice::LeakyBucket{5, sluice::Rate{7, 24h}});  // on ticks longer than a nanosecond
        use(sluice::FixedWindow{5, 2400h});
        use(sluice::SlidingWindow{5, 24h});
        use(sluice::SlidingWindowCounter{5, 2400h});
        use(sluice::AllOf{sluice::TokenBucket{5, sluice::per_day(1)}, sluice::SlidingWindow{9, 24h}});
        CHECK(PostgresServer::Session(server, database("app"))
                  .command("SELECT " + schema + ".sweep_2('0'::pg_catalog.int8, '100'::pg_catalog.int4)") != "");
        CHECK(server.command("SELECT count(*) FROM public.loot WHERE who = 'app'") == "1");
        // Of the traps, not of the table.
        CHECK_FALSE(sluice::PostgresStore(server.connection_string(), options).ensure_schema());
        server.command("DROP SCHEMA public CASCADE; CREATE SCHEMA public");
    }
}
