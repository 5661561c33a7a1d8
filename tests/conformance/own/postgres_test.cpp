// SPDX-License-Identifier: MIT

#include "conformance/own/own_policy.hpp"
#include "conformance/postgres_kit.hpp"
#include "conformance/suite.hpp"
#include "support/catch.hpp"

TEST_CASE("policies of one's own conform on Postgres") {
    conformance::suite<conformance::OwnKit<conformance::PostgresKit>>();
}
