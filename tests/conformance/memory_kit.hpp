// SPDX-License-Identifier: MIT
#ifndef SLUICE_TESTS_CONFORMANCE_MEMORY_KIT_HPP
#define SLUICE_TESTS_CONFORMANCE_MEMORY_KIT_HPP

#include <chrono>

#include <sluice/sluice.hpp>

namespace conformance {

/// A kit makes stores of one kind, all on one clock that the test sets. Each new store starts empty, or its users
/// keep apart by the limiter's name.
struct MemoryKit {
    static constexpr std::chrono::nanoseconds resolution{1};  ///< of the store's time

    sluice::ManualClock clock;

    template <sluice::Policy P>
    auto store() {
        return sluice::MemoryStore<P, sluice::ManualClock>{{}, clock};
    }
};

}  // namespace conformance

#endif
