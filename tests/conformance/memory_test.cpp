// SPDX-License-Identifier: MIT

#include "conformance/memory_kit.hpp"
#include "conformance/suite.hpp"

TEST_CASE("the memory store conforms") { conformance::suite<conformance::MemoryKit>(); }

TEST_CASE("the memory store conforms with wide fingerprints") {
    conformance::suite<conformance::WideFingerprintsKit>();
}

TEST_CASE("the memory store conforms on its own clock") {
    conformance::default_clock_suite(conformance::MemoryKit::longest_key, [](const auto& policy) {
        return sluice::MemoryStore<std::decay_t<decltype(policy)>>{};
    });
}

TEST_CASE("the memory store conforms on its own clock with wide fingerprints") {
    conformance::default_clock_suite(conformance::MemoryKit::longest_key, [](const auto& policy) {
        return sluice::MemoryStore<std::decay_t<decltype(policy)>>{{.wide_fingerprints = true}};
    });
}
