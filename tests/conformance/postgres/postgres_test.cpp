// SPDX-License-Identifier: MIT

#include "conformance/postgres_kit.hpp"
#include "conformance/suite.hpp"

TEST_CASE("the Postgres store conforms") { conformance::suite<conformance::PostgresKit>(); }
