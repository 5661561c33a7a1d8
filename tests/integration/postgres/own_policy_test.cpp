// SPDX-License-Identifier: MIT

#include <chrono>

#include <sluice/postgres.hpp>
#include <sluice/sluice.hpp>

#include "support/catch.hpp"
#include "support/cooldown_cases.hpp"
#include "support/postgres_server.hpp"

using namespace std::chrono_literals;

TEST_CASE("a policy of one's own runs in Postgres") {
    PostgresServer server;
    const auto make_store = [&] { return sluice::PostgresStore{server.connection_string(), {.timeout = 10s}}; };
    REQUIRE_FALSE(make_store().ensure_schema());
    runs_a_policy_of_ones_own(make_store());
    swaps_exactly_one(make_store);
}
