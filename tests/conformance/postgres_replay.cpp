// SPDX-License-Identifier: MIT

#include "conformance/postgres_kit.hpp"
#include "conformance/replay.hpp"

namespace {

const conformance::RegisterReplay<conformance::PostgresKit> postgres{"postgres"};

}  // namespace
