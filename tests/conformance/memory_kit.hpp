// SPDX-License-Identifier: MIT
#ifndef SLUICE_TESTS_CONFORMANCE_MEMORY_KIT_HPP
#define SLUICE_TESTS_CONFORMANCE_MEMORY_KIT_HPP

#include <chrono>
#include <cstddef>

#include <sluice/sluice.hpp>

namespace conformance {

/// A kit makes stores of one kind, all on one clock that the test sets. Stores of one kit may share their states (as
/// those on one server do): limiters are kept apart by their names.
struct MemoryKit {
    static constexpr std::chrono::nanoseconds resolution{1};  ///< of the store's time; at most a microsecond
    static constexpr std::size_t longest_key = 65'536;
    static constexpr int sequences = 2'000;  ///< of 50 operations, compared with the bare policy
    static constexpr int requests_per_thread = 5'000;

    sluice::ManualClock clock;

    template <sluice::Policy P>
    auto store() {
        return sluice::MemoryStore<P, sluice::ManualClock>{{}, clock};
    }
};

/// The same where keys are known by two hashes.
struct WideFingerprintsKit : MemoryKit {
    template <sluice::Policy P>
    auto store() {
        return sluice::MemoryStore<P, sluice::ManualClock>{{.wide_fingerprints = true}, clock};
    }
};

}  // namespace conformance

#endif
