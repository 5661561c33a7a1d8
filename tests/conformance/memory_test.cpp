// SPDX-License-Identifier: MIT

#include "conformance/memory_kit.hpp"
#include "conformance/suite.hpp"

TEST_CASE("the memory store conforms") { conformance::suite<conformance::MemoryKit>(); }

TEST_CASE("the memory store conforms where it keeps whole keys") { conformance::suite<conformance::FullKeysKit>(); }
