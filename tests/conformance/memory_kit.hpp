// SPDX-License-Identifier: MIT
#ifndef SLUICE_TESTS_CONFORMANCE_MEMORY_KIT_HPP
#define SLUICE_TESTS_CONFORMANCE_MEMORY_KIT_HPP

#include <chrono>
#include <cstddef>

#include <sluice/sluice.hpp>

namespace conformance {

/// Not steady: the suite sets it back by up to 5 s, and states that have expired have to stay for those who are late.
struct SettableClock : sluice::ManualClock {
    static constexpr bool is_steady = false;
    using ManualClock::ManualClock;
};

/// A kit makes stores of one kind, all on one clock that the test sets. Stores of one kit may share their states (as
/// those on one server do): limiters are kept apart by their names.
struct MemoryKit {
    static constexpr std::chrono::nanoseconds resolution{1};  ///< of the store's time; at most a microsecond
    static constexpr std::size_t longest_key = 65'536;
    static constexpr int sequences = 2'000;  ///< of 50 operations, compared with the bare policy
    static constexpr int requests_per_thread = 5'000;

    SettableClock clock;

    template <sluice::Policy P>
    auto store() {
        return sluice::MemoryStore<P, SettableClock>{{}, clock};
    }
};

/// The same where keys are known by two hashes.
struct WideFingerprintsKit : MemoryKit {
    template <sluice::Policy P>
    auto store() {
        return sluice::MemoryStore<P, SettableClock>{{.wide_fingerprints = true}, clock};
    }
};

}  // namespace conformance

#endif
