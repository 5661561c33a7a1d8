// SPDX-License-Identifier: MIT

#include "conformance/memory_kit.hpp"
#include "conformance/suite.hpp"

TEST_CASE("the memory store conforms") { conformance::suite<conformance::MemoryKit>(); }

TEST_CASE("the memory store conforms where it keeps whole keys") { conformance::suite<conformance::FullKeysKit>(); }

TEST_CASE("the memory store conforms on its own clock") {
    conformance::default_clock_suite(conformance::MemoryKit::longest_key, [](const auto& policy) {
        return sluice::MemoryStore<std::decay_t<decltype(policy)>>{};
    });
}

TEST_CASE("the memory store conforms on its own clock where it keeps whole keys") {
    conformance::default_clock_suite(conformance::MemoryKit::longest_key, [](const auto& policy) {
        return sluice::MemoryStore<std::decay_t<decltype(policy)>>{{.full_keys = true}};
    });
}
