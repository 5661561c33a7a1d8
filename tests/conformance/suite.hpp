// SPDX-License-Identifier: MIT
#ifndef SLUICE_TESTS_CONFORMANCE_SUITE_HPP
#define SLUICE_TESTS_CONFORMANCE_SUITE_HPP

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include <sluice/testing/conformance.hpp>

#include "support/catch.hpp"
#include "support/random.hpp"

// The library's conformance kit in Catch2. A store's test file makes a kit (see memory_kit.hpp) and calls
// conformance::suite<Kit>() in a TEST_CASE.
namespace conformance {

using sluice::detail::conformance::for_each_policy;
using sluice::detail::conformance::start;

inline void expect(bool ok, const std::string& what) {
    if (!ok) FAIL(what);
}

/// A part of the random cases under a sanitizer.
template <class Kit>
struct InTime : Kit {
    static constexpr int sequences = slow_build ? Kit::sequences / 5 : Kit::sequences;
};

/// Each case with a kit of its own.
template <class Kit>
void suite() {
    for (const auto& one : sluice::conformance::store_cases<InTime<Kit>>()) {
        SECTION(one.name) {
            InTime<Kit> kit;
            one.run(kit, expect, Random{one.name}.bits());
            SUCCEED();
        }
    }
}

template <class MakeStore>
void default_clock_suite(std::size_t longest_key, MakeStore make_store) {
    sluice::conformance::check_store_on_its_clock(longest_key, std::move(make_store), expect,
                                                  Random{"own clock"}.bits());
    SUCCEED();
}

}  // namespace conformance

#endif
