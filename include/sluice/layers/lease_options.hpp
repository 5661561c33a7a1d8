// SPDX-License-Identifier: MIT
#ifndef SLUICE_LAYERS_LEASE_OPTIONS_HPP
#define SLUICE_LAYERS_LEASE_OPTIONS_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>

#include <sluice/detail/validate.hpp>

namespace sluice {

/// Who does what leases need in the background.
enum class Drive {
    thread,  ///< a thread of the Lease's own, started with the first lease
    manual,  ///< the program: it calls maintain() every few milliseconds
};

struct LeaseOptions {
    std::chrono::nanoseconds span = std::chrono::milliseconds{20};  ///< a lease is what a key needs in this time
    std::uint64_t max_units = 1'048'576;                            ///< but no more than this, 1 .. 2^39
    std::uint32_t instances = 16;  ///< processes that share a limit, about; nor more than this part of what is left
    std::size_t max_keys = 1'024;  ///< keys leased at once, 1 .. 16,384; 256 bytes each and 32 for each counted key
    Drive drive = Drive::thread;

    /// *this, or std::invalid_argument.
    const LeaseOptions& checked() const {
        static_cast<void>(detail::checked_period("span", span));
        static_cast<void>(detail::checked_units("max_units", max_units, std::uint64_t{1} << 39));
        static_cast<void>(detail::checked_units("instances", instances, 1U << 20));
        static_cast<void>(detail::checked_units("max_keys", max_keys, 1U << 14));
        return *this;
    }
};

struct LeaseStats {
    std::uint64_t hits = 0;      ///< units admitted without asking the store
    std::uint64_t leases = 0;    ///< times that the store gave units ahead of need
    std::uint64_t held = 0;      ///< units that are held now
    std::uint64_t returned = 0;  ///< units given back
    std::uint64_t stranded = 0;  ///< units neither spent nor given back: their window ended, or the store failed
};

}  // namespace sluice

#endif
